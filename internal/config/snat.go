package config

import (
	"strings"

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
		_, why := value.OneOf(SNAT{Mode: Masquerade}.String(), SNAT{Mode: None}.String())(text)
		why.Cause += " or an address"
		if why.Fix == "" {
			why.Fix = `write "masquerade", "none" or the address that backends shall see`
		}
		return SNAT{}, why
	}
	if e, why := value.SplitEndpoint(text); why == nil && e.HasPorts {
		return SNAT{}, &value.Fault{Cause: "it has a port, and the ports of SNAT are the kernel's to pick", Fix: "write " + e.Host + " alone"}
	}
	a, why := value.ParseUnicast(text)
	return SNAT{Address, a}, why
}
