package value

import (
	"fmt"
	"maps"
	"math"
	"slices"
)

// mostDigits is how many digits behind the point of a weight count.
const mostDigits = 4

// WeightFixes returns the fix for each of some weights, by how they were written: whole numbers, as
// small as they can be, in the same ratio, or nearly so where the greatest is more than most. Where
// good ones have to change too, it says so.
func WeightFixes(written map[string]float64, good map[string]bool, most int) map[string]string {
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
		divisor = GCD(divisor, int(min(math.Round(n*scale), 1<<53)))
	}
	if scale == 1 { // "2" is 2, whatever the others are
		divisor = 1
	}
	per := max(float64(max(divisor, 1)), greatest/float64(most))
	fixes, others := map[string]string{}, ""
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

// GCD returns the greatest common divisor; that of 0 and n is n.
func GCD(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
