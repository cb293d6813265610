package walk

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"natspread/internal/rules"
)

// targetOf reads a target and the words behind it.
func targetOf(name string, goTo bool, words []string) Target {
	target := Target{Name: name, Goto: goTo}
	switch name {
	case "ACCEPT":
		target.Kind = Accepts
	case "DROP", "REJECT", "TARPIT", "STEAL":
		target.Kind = Drops
	case "RETURN":
		target.Kind = Returns
	case "DNAT", "REDIRECT":
		target.Kind = Translates
	case "SNAT", "MASQUERADE":
		target.Kind = Hides
	default:
		if !rules.Passes(name) {
			target.Kind = Opaque
		}
		return target
	}
	target.options(words)
	return target
}

// options reads what stands behind DNAT, REDIRECT, SNAT or MASQUERADE. An option that is not known makes
// the target Opaque.
func (t *Target) options(words []string) {
	for i := 0; i < len(words); i++ {
		word, value := words[i], ""
		if i+1 < len(words) {
			value = words[i+1]
		}
		known := true
		switch word {
		case "--to-destination", "--to-source", "--to":
			known = !t.Address.IsValid() && t.socket(value) // an old kernel takes several
			i++
		case "--to-ports", "--to-port":
			known = t.portsOf(value)
			i++
		case "--random", "--random-fully", "--persistent":
			t.Options = append(t.Options, word)
		default:
			known = t.Kind != Translates && t.Kind != Hides // of REJECT
		}
		if !known {
			t.Kind = Opaque
			return
		}
	}
	if t.Name == "DNAT" && !t.Address.IsValid() && t.Ports == (rules.Ports{}) || t.Name == "SNAT" && !t.Address.IsValid() {
		t.Kind = Opaque
	}
}

// socket reads ADDRESS[-ADDRESS][:PORT[-PORT][/BASE]], an IPv6 address before a port in brackets.
func (t *Target) socket(value string) bool {
	addresses, ports := value, ""
	switch {
	case strings.HasPrefix(value, "["):
		inner, rest, closed := strings.Cut(value[1:], "]")
		if !closed {
			return false
		}
		addresses, ports = inner, strings.TrimPrefix(rest, ":")
		if ports == rest && rest != "" {
			return false
		}
	case strings.Count(value, ":") == 1:
		addresses, ports, _ = strings.Cut(value, ":")
	}
	first, last, ranged := strings.Cut(addresses, "-")
	if addresses != "" {
		var err error
		if t.Address, err = netip.ParseAddr(first); err != nil || t.Address.Zone() != "" {
			return false
		}
		if ranged {
			if t.Last, err = netip.ParseAddr(last); err != nil || t.Last.Zone() != "" {
				return false
			}
			if t.Last == t.Address {
				t.Last = netip.Addr{}
			}
		}
	}
	return ports == "" || t.portsOf(ports)
}

// portsOf reads PORT[-PORT][/BASE].
func (t *Target) portsOf(value string) bool {
	text, base, based := strings.Cut(value, "/")
	first, last, ranged := strings.Cut(text, "-")
	if !ranged {
		last = first
	}
	low, errLow := strconv.ParseUint(first, 10, 16)
	high, errHigh := strconv.ParseUint(last, 10, 16)
	if errLow != nil || errHigh != nil || low == 0 || high < low {
		return false
	}
	if based {
		number, err := strconv.ParseUint(base, 10, 16)
		if err != nil {
			return false
		}
		t.Base = uint16(number)
	}
	t.Ports = rules.Ports{First: uint16(low), Last: uint16(high)}
	return true
}

// portsText writes ports as a config does: 80, 8000-8010.
func portsText(p rules.Ports) string {
	if p.First == p.Last {
		return strconv.Itoa(int(p.First))
	}
	return strconv.Itoa(int(p.First)) + "-" + strconv.Itoa(int(p.Last))
}

// Same tells whether two targets lead to the same place.
func (t Target) Same(other Target) bool {
	return t.Kind == other.Kind && t.Address == other.Address && t.Last == other.Last && t.Ports == other.Ports && t.Base == other.Base &&
		slices.Equal(t.Options, other.Options)
}
