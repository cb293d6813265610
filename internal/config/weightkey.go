package config

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"natspread/internal/config/field"
	"natspread/internal/config/source"
	"natspread/internal/config/value"
)

// setWeight reads a whole number from 0 to MaxWeight.
func setWeight(b *backendDraft, f field.Field) {
	fix, known := b.weights[strings.TrimSpace(strings.TrimSuffix(f.Value.Text, "%"))]
	switch {
	case f.Value.Kind == source.Float && !known:
		f.Refuse(f.Value, value.Fault{Cause: "a weight is a whole number", Fix: "write weight = 1"})
		return
	case f.Value.Kind == source.Float, f.Value.Kind == source.String && known:
		f.Refuse(f.Value, value.Fault{Cause: "a weight is a whole number", Fix: fix})
		return
	case !f.Has(f.Value, source.Integer):
		return
	}
	n := f.Whole()
	if n < 0 || n > MaxWeight {
		if !known {
			fix = "write weight = 1; drain = true is for a backend that gets no new connections"
		}
		f.Refuse(f.Value, value.Fault{Cause: "a weight is 0 to " + strconv.Itoa(MaxWeight), Fix: fix})
		return
	}
	b.weight = n
}

// weightFixes are the fixes for the weights of a service, by how they were written: whole numbers
// in the same ratio. It is empty where all are good.
type weightFixes map[string]string

// readWeights returns the fixes for the weights of some backends.
func readWeights(items []source.Value) weightFixes {
	written, good := map[string]float64{}, map[string]bool{}
	for _, item := range items {
		v := source.Table{Pairs: item.Pairs}.Value("weight")
		text := strings.TrimSpace(strings.TrimSuffix(v.Text, "%"))
		n, err := strconv.ParseFloat(text, 64)
		switch {
		case v.Kind == "":
			text, n = "", 1
		case err != nil || n < 0 || math.IsInf(n, 0) || math.IsNaN(n):
			continue
		}
		written[text] = n
		good[text] = v.Kind == "" || v.Kind == source.Integer && n <= MaxWeight
	}
	if len(written) == len(good) && !slices.Contains(slices.Collect(maps.Values(good)), false) {
		return nil
	}
	return fixWeights(written, good)
}

// mostDigits is how many digits behind the point of a weight count.
const mostDigits = 4

// fixWeights returns the fix for each of some weights: whole numbers, as small as they can be, in
// the same ratio, or nearly so where the greatest is too great. Where good ones have to change
// too, it says so.
func fixWeights(written map[string]float64, good map[string]bool) weightFixes {
	scale, greatest, divisor := 1.0, 0.0, 0
	for range mostDigits {
		for _, n := range written {
			if n*scale != math.Trunc(n*scale) {
				scale *= 10
				break
			}
		}
	}
	for _, n := range written {
		greatest = max(greatest, n*scale)
		divisor = gcd(divisor, int(min(math.Round(n*scale), 1<<53)))
	}
	if scale == 1 { // "2" is 2, whatever the others are
		divisor = 1
	}
	per := max(float64(max(divisor, 1)), greatest/MaxWeight)
	fixes, others := weightFixes{}, ""
	for _, text := range slices.Sorted(maps.Keys(written)) {
		whole := int(math.Round(written[text] * scale / per))
		if written[text] > 0 {
			whole = max(whole, 1)
		}
		fixes[text] = fmt.Sprintf("write weight = %d", whole)
		switch {
		case !good[text] || float64(whole) == written[text]:
		case text == "":
			others += fmt.Sprintf(", and weight = %d where there is none", whole)
		default:
			others += fmt.Sprintf(", and weight = %d for %s", whole, text)
		}
	}
	for text := range fixes {
		fixes[text] += others
	}
	return fixes
}
