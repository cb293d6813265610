package value

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"natspread/internal/config/source"
)

// ReadWeights returns WeightFixes for the weights of some backends, none where all are good.
func ReadWeights(backends []source.Value, most int) map[string]string {
	bad := func(backend source.Value) bool { return hasBadWeight(backend, most) }
	if !slices.ContainsFunc(backends, bad) {
		return nil
	}
	written, good := map[string]float64{}, map[string]bool{}
	for _, backend := range backends {
		v := source.ValueOf(backend.Pairs, "weight")
		text := strings.TrimSpace(strings.TrimSuffix(v.Text, "%"))
		n, err := strconv.ParseFloat(text, 64)
		switch {
		case v.Kind == "":
			text, n = "", 1
		case err != nil || n < 0 || math.IsInf(n, 0) || math.IsNaN(n):
			continue
		}
		written[text], good[text] = n, !bad(backend)
	}
	return WeightFixes(written, good, most)
}

// hasBadWeight tells whether a backend has a weight that is not a whole number within the bounds.
func hasBadWeight(backend source.Value, most int) bool {
	v := source.ValueOf(backend.Pairs, "weight")
	if v.Kind == "" {
		return false
	}
	n, err := strconv.Atoi(v.Text)
	return v.Kind != source.Integer || err != nil || n < 0 || n > most
}
