package config

import (
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
