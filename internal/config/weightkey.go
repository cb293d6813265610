package config

import (
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
type weightFixes = map[string]string

// readWeights returns the fixes for the weights of some backends.
func readWeights(items []source.Value) weightFixes {
	if !slices.ContainsFunc(items, hasBadWeight) {
		return nil
	}
	written, good := map[string]float64{}, map[string]bool{}
	for _, item := range items {
		v := source.ValueOf(item.Pairs, "weight")
		text := strings.TrimSpace(strings.TrimSuffix(v.Text, "%"))
		n, err := strconv.ParseFloat(text, 64)
		switch {
		case v.Kind == "":
			text, n = "", 1
		case err != nil || n < 0 || math.IsInf(n, 0) || math.IsNaN(n):
			continue
		}
		written[text], good[text] = n, !hasBadWeight(item)
	}
	return value.WeightFixes(written, good, MaxWeight)
}

// hasBadWeight tells whether a backend has a weight that is not a whole number within the bounds.
func hasBadWeight(backend source.Value) bool {
	v := source.ValueOf(backend.Pairs, "weight")
	if v.Kind == "" {
		return false
	}
	n, err := strconv.Atoi(v.Text)
	return v.Kind != source.Integer || err != nil || n < 0 || n > MaxWeight
}
