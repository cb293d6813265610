package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"natspread/internal/config/endpoint"
	"natspread/internal/config/field"
	"natspread/internal/config/habits"
	"natspread/internal/config/source"
	"natspread/internal/config/value"
)

// SNAT is whose address a backend sees as the client's.
type SNAT struct {
	Mode SNATMode
	Addr netip.Addr // with mode Address: the only address, or the zero Addr where Pool has several
	Pool []Sources  // in file order
}

// Sources are source addresses that follow on one another.
type Sources = endpoint.Sources

// SNATMode is the kind of source address rewriting.
type SNATMode int

// The modes of SNAT.
const (
	Masquerade SNATMode = iota // the balancer's address on the way out; the default
	Address                    // fixed addresses
	None                       // the client's own: backends must route back through the balancer
)

// SourcePorts is how the source port is picked where the source is rewritten.
type SourcePorts string

// The kinds of SourcePorts.
const (
	KeepPorts   SourcePorts = "keep"         // the client's own while it is free; the default
	RandomPorts SourcePorts = "random-fully" // by chance, so that two CPUs hardly pick the same one
)

// maxSpread is how many source addresses have a rule of their own each; more are ranges, of which there are
// as many at most.
const maxSpread = 16

// String writes s as the config does: "masquerade", "none", the address, or several with blanks between them.
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

// Spread returns the addresses among which connections are spread, each alone while they are few, and else
// in ranges, out of which the kernel picks one by the client and the backend.
func (s SNAT) Spread() []Sources {
	all := s.Addresses()
	if len(all) > maxSpread {
		return endpoint.MergeSources(s.Pool)
	}
	single := make([]Sources, len(all))
	for i, a := range all {
		single[i] = Sources{First: a, Last: a}
	}
	return single
}

// setSNAT reads a mode, or addresses, which stand for one.
func setSNAT(d *draft, f field.Field) {
	d.sources = nil
	if f.Value.Kind != source.List {
		field.Set(&d.snat, f, parseSNAT)
	} else if list := field.Many(f, f.OneOrMore(), parseListed); len(list) == len(f.Value.Items) && len(list) > 0 {
		d.snat = field.Located[SNAT]{Val: SNAT{Mode: Address}, At: f.Value.At}
		d.sources = list
	}
	if d.sources == nil && d.snat.Val.Mode == Address {
		for _, sources := range d.snat.Val.Pool {
			d.sources = append(d.sources, field.Located[Sources]{Val: sources, At: d.snat.At})
		}
	}
	d.poolSources()
}

// parseListed reads an item of a list. A mode stands alone.
func parseListed(text string) (Sources, *value.Fault) {
	if mode, why := parseSNAT(text); why == nil && mode.Mode != Address {
		return Sources{}, &value.Fault{Cause: "it stands in a list, which is for addresses", Fix: "write snat = " + source.Quote(text)}
	}
	return endpoint.ParseSources(text)
}

// parseSNAT reads a mode or the addresses that stand for one.
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
	sources, why := endpoint.ParseSources(text)
	if why != nil {
		return SNAT{}, why
	}
	return SNAT{Mode: Address, Pool: []Sources{sources}}, nil
}

// poolSources makes the sources of a draft those of its snat.
func (d *draft) poolSources() {
	if d.snat.Val.Mode != Address {
		return
	}
	d.snat.Val.Addr, d.snat.Val.Pool = netip.Addr{}, values(d.sources)
	if len(d.sources) == 1 && d.sources[0].Val.First == d.sources[0].Val.Last {
		d.snat.Val.Addr, d.snat.Val.Pool = d.sources[0].Val.First, nil
	}
}

// sourcesOf returns the draft with those of its sources only that are of a family, if any is.
func (d *draft) sourcesOf(six bool) {
	if own := keepFamily(d.sources, six, func(s Sources) netip.Addr { return s.First }); len(own) > 0 {
		d.sources = own
		d.poolSources()
	}
}

// checkSources files sources that are there twice, and too many of them.
func (s inspection) checkSources(d *draft) {
	for i, l := range d.sources {
		if twice := slices.IndexFunc(d.sources[:i], func(other field.Located[Sources]) bool { return other.Val.Overlaps(l.Val) }); twice >= 0 {
			first := d.sources[twice].At
			s.Refuse(l.At, "take it out", "cannot use snat %s: %s on line %d has it already", s.Show(l.At), s.Show(first), s.Line(first)).Related = s.Line(first)
			return
		}
	}
	if n := len(d.snat.Val.Addresses()); n > endpoint.MaxSources {
		s.Refuse(d.snat.At, "natspread can't take more: write fewer of this machine's addresses", "cannot use snat: it has more than %d addresses", endpoint.MaxSources)
	} else if groups := len(d.snat.Val.Spread()); groups > maxSpread {
		s.Refuse(d.snat.At, fmt.Sprintf("natspread can't take more: write at most %d addresses, or addresses that follow on one another", maxSpread), "cannot use snat: it has %d addresses in %d groups that follow on one another, and %d are the most", n, groups, maxSpread)
	}
}

// checkSourcePorts files snat_ports where no source is rewritten.
func (s inspection) checkSourcePorts(d *draft) {
	at, given := d.keys.Of("snat_ports")
	if given && d.snat.Val.Mode == None && len(d.hairpin) == 0 && !d.unread("snat", d.snat.At) {
		s.Refuse(at, `take snat_ports out, or write snat = "masquerade"`, `cannot use snat_ports %s: with snat = "none" no source is rewritten`, s.Show(at))
	}
}
