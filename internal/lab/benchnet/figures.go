package main

import (
	"fmt"
	"io"
	"slices"
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
	if middle, taken := f.middle(name, base); taken {
		f.line(name, base, middle, most, middle <= most)
	}
}

// atLeast is ratio with the least that it should be.
func (f figures) atLeast(name, base string, least float64) {
	if middle, taken := f.middle(name, base); taken {
		f.line(name, base, middle, least, middle >= least)
	}
}

// middle is the median of the rounds' ratios.
func (f figures) middle(name, base string) (ratio float64, taken bool) {
	a, b := f.samples[name], f.samples[base]
	if len(a) == 0 || len(b) == 0 {
		return 0, false
	}
	ratios := make([]float64, len(a))
	for i := range a {
		ratios[i] = a[i] / b[i]
	}
	return median(ratios), true
}

// line prints a ratio with its target.
func (f figures) line(name, base string, ratio, target float64, met bool) {
	verdict := fmt.Sprintf("target %.3f  met", target)
	switch {
	case target == 0:
		verdict = "no target"
	case !met:
		verdict = fmt.Sprintf("target %.3f  MISSED", target)
	}
	fmt.Fprintf(f.out, "%s\n    over %-62s %8.3f  %s\n", name, base, ratio, verdict)
}

// less makes figures of what is left of some without others, and returns their name.
func (f figures) less(name, other string) string {
	rest, others := slices.Clone(f.samples[name]), f.samples[other]
	name += ", less " + other
	if len(others) == 0 {
		return name
	}
	for i := range rest {
		rest[i] -= others[i]
	}
	f.samples[name] = rest
	return name
}

// worst returns the name of the greatest of some figures, as far as they were taken.
func (f figures) worst(names []string) (worst string) {
	for _, name := range names {
		if taken := len(f.samples[name]) > 0; taken && (worst == "" || median(f.samples[name]) > median(f.samples[worst])) {
			worst = name
		}
	}
	return worst
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
