package config

import (
	"strings"
)

// parseSNAT reads a mode or the address that stands for one.
func parseSNAT(text string) (SNAT, *fault) {
	switch {
	case text == "masquerade":
		return SNAT{Mode: Masquerade}, nil
	case text == "none":
		return SNAT{Mode: None}, nil
	case !strings.ContainsAny(text, ".:"):
		_, why := oneOf(SNAT{Mode: Masquerade}.String(), SNAT{Mode: None}.String())(text)
		why.cause += " or an address"
		if why.fix == "" {
			why.fix = `write "masquerade", "none" or the address that backends shall see`
		}
		return SNAT{}, why
	}
	if e, why := splitEndpoint(text); why == nil && e.hasPorts {
		return SNAT{}, &fault{"it has a port, and the ports of SNAT are the kernel's to pick", "write " + e.host + " alone"}
	}
	a, why := parseUnicast(text)
	return SNAT{Address, a}, why
}
