package compare

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"natspread/internal/config"
	"natspread/internal/text"
)

// setting is a key of a service and its value in words.
type setting struct{ key, value string }

// settings returns the keys of a service, but for its name and its backends, in the
// order in which the manual has them.
func settings(s config.Service) []setting {
	return []setting{
		{"listen", list(s.Listen)},
		{"ports", cmp.Or(s.PortMap(), "none")},
		{"protocol", list(s.Protocols)},
		{"snat", s.SNAT.String()},
		{"snat_ports", string(s.SNATPorts)},
		{"algorithm", string(s.Algorithm)},
		{"slots", orNone(s.Slots)},
		{"source_prefix", orNone(s.SourcePrefix)},
		{"interface", cmp.Or(strings.Join(s.Interfaces, ", "), "any")},
		{"hairpin", list(s.Hairpin)},
		{"allow", cmp.Or(strings.Join(text.Strings(s.Allow), ", "), "all")},
		{"deny", list(s.Deny)},
		{"refused", cmp.Or(string(s.Refused), "none")},
		{"local", fmt.Sprint(s.Local)},
		{"on_remove", string(s.OnRemove)},
		{"forward", string(s.Forward)},
		{"clamp_mss", s.ClampMSS.String()},
		{"takeover", fmt.Sprint(s.Takeover)},
		{"check", s.Check.String()},
		{"min_up", orNone(s.MinUp)},
		{"on_down", cmp.Or(string(s.OnDown), "none")},
	}
}

// orNone writes a number; "none" is 0.
func orNone(n int) string {
	if n == 0 {
		return "none"
	}
	return strconv.Itoa(n)
}

// list writes the values of a key that takes several; "none" is none.
func list[T any](values []T) string {
	return cmp.Or(strings.Join(text.Strings(values), ", "), "none")
}
