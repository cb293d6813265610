package config

import (
	"fmt"
	"net/netip"
	"strings"

	"natspread/internal/config/habits"
	"natspread/internal/config/value"
)

// parseSNAT reads a mode or the address that stands for one.
func parseSNAT(text string) (SNAT, *value.Fault) {
	switch {
	case text == "masquerade":
		return SNAT{Mode: Masquerade}, nil
	case text == "none":
		return SNAT{Mode: None}, nil
	case !strings.ContainsAny(text, ".:"):
		_, why := value.OneOf(habits.SNAT, SNAT{Mode: Masquerade}.String(), SNAT{Mode: None}.String())(text)
		why.Cause += " or an address"
		return SNAT{}, why
	}
	if first, several := severalSources(text); several {
		return SNAT{}, &value.Fault{Cause: "it is more than one address", Fix: fmt.Sprintf("natspread can't use several: write %q, which is enough for 64,512 connections to each backend", first)}
	}
	if e, why := value.SplitEndpoint(text); why == nil && e.HasPorts {
		return SNAT{}, &value.Fault{Cause: "it has a port, and the ports of SNAT are the kernel's to pick", Fix: fmt.Sprintf("write %q", e.Host)}
	}
	a, why := value.ParseUnicast(text)
	return SNAT{Address, a}, why
}

// severalSources returns the first of several addresses that stand in one string, as a list or a
// range.
func severalSources(text string) (first string, several bool) {
	parts := strings.FieldsFunc(text, func(r rune) bool { return value.Separates(r) || r == '-' })
	for _, part := range parts {
		if a, err := netip.ParseAddr(part); err == nil && first == "" {
			first = a.String()
		}
	}
	return first, first != "" && len(parts) > 1
}
