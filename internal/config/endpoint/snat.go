package endpoint

import (
	"net/netip"
	"strings"

	"natspread/internal/config/habits"
	"natspread/internal/config/value"
)

// SNAT is whose address a backend sees as the client's.
type SNAT struct {
	Mode SNATMode
	Addr netip.Addr // with mode Address: the only address, or the zero Addr where Pool has several
	Pool []Sources  // in file order
}

// SNATMode is the kind of source address rewriting.
type SNATMode int

// The modes of SNAT.
const (
	Masquerade SNATMode = iota // the balancer's address on the way out; the default
	Address                    // fixed addresses
	None                       // the client's own: backends must route back through the balancer
)

// MaxSpread is how many source addresses have a rule of their own each; more are ranges, of which
// there are as many at most.
const MaxSpread = 16

// String writes s as the config does: "masquerade", "none", the address, or several with blanks
// between them.
func (s SNAT) String() string {
	switch {
	case s.Mode == None:
		return "none"
	case s.Mode == Masquerade:
		return "masquerade"
	case s.Pool == nil:
		return s.Addr.String()
	}
	var all []string
	for _, sources := range s.Pool {
		all = append(all, sources.String())
	}
	return strings.Join(all, " ")
}

// Addresses returns all addresses of mode Address.
func (s SNAT) Addresses() []netip.Addr {
	if s.Addr.IsValid() {
		return []netip.Addr{s.Addr}
	}
	var all []netip.Addr
	for _, sources := range s.Pool {
		all = append(all, sources.All()...)
	}
	return all
}

// Spread returns the addresses among which connections are spread, each alone while they are few,
// and else in ranges, out of which the kernel picks one by the client and the backend.
func (s SNAT) Spread() []Sources {
	all := s.Addresses()
	if len(all) > MaxSpread {
		return MergeSources(s.Pool)
	}
	single := make([]Sources, len(all))
	for i, a := range all {
		single[i] = Sources{First: a, Last: a}
	}
	return single
}

// ParseSNAT reads a mode or the addresses that stand for one.
func ParseSNAT(text string) (SNAT, *value.Fault) {
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
	sources, why := ParseSources(text)
	if why != nil {
		return SNAT{}, why
	}
	return SNAT{Mode: Address, Pool: []Sources{sources}}, nil
}
