package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// figures are the samples of a run by name, in the order of the rounds, and where
// to print what they say.
type figures struct {
	samples map[string][]float64
	out     io.Writer
}

// ratio prints one figure over another, as the median of the rounds' ratios, with
// the most that it should be, or 0 for none. A figure that was not taken has no line.
func (f figures) ratio(name, base string, most float64) {
	a, b := f.samples[name], f.samples[base]
	if len(a) == 0 || len(b) == 0 {
		return
	}
	ratios := make([]float64, len(a))
	for i := range a {
		ratios[i] = a[i] / b[i]
	}
	middle := median(ratios)
	f.line(name+"\n    over "+base, fmt.Sprintf("%.3f", middle), fmt.Sprintf("%.3f", most), most, middle <= most)
}

// line prints a figure with its target.
func (f figures) line(what, figure, target string, most float64, met bool) {
	verdict := "target " + target + "  met"
	switch {
	case most == 0:
		verdict = "no target"
	case !met:
		verdict = "target " + target + "  MISSED"
	}
	fmt.Fprintf(f.out, "%-*s %8s  %s\n", 62+strings.LastIndex(what, "\n")+1, what, figure, verdict)
}

// worst returns the name of the greatest of the figures whose names begin and end
// like that.
func (f figures) worst(begin, end string) (name string) {
	for other, samples := range f.samples {
		matches := strings.HasPrefix(other, begin) && strings.HasSuffix(other, end)
		if matches && (name == "" || median(samples) > median(f.samples[name])) {
			name = other
		}
	}
	return name
}

// median returns the middle of some numbers.
func median(numbers []float64) float64 { return quantile(numbers, 0.5) }

// quantile returns the number below which that part of the numbers is.
func quantile(numbers []float64, part float64) float64 {
	sorted := slices.Sorted(slices.Values(numbers))
	return sorted[min(int(part*float64(len(sorted))), len(sorted)-1)]
}

// spread prints a median with its quartiles.
func spread(numbers []float64) string {
	return fmt.Sprintf("%8.2f  (%.2f-%.2f)", median(numbers), quantile(numbers, 0.25), quantile(numbers, 0.75))
}
