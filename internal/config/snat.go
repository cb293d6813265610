package config

import (
	"fmt"
	"net/netip"
	"slices"

	"natspread/internal/config/endpoint"
	"natspread/internal/config/field"
	"natspread/internal/config/source"
	"natspread/internal/config/value"
)

// SNAT is whose address a backend sees as the client's.
type SNAT = endpoint.SNAT

// Sources are source addresses that follow on one another.
type Sources = endpoint.Sources

// SNATMode is the kind of source address rewriting.
type SNATMode = endpoint.SNATMode

// The modes of SNAT.
const (
	Masquerade = endpoint.Masquerade // the balancer's address on the way out; the default
	Address    = endpoint.Address    // fixed addresses
	None       = endpoint.None       // the client's own: backends must route back through the balancer
)

// SourcePorts is how the source port is picked where the source is rewritten.
type SourcePorts string

// The kinds of SourcePorts.
const (
	KeepPorts   SourcePorts = "keep"         // the client's own while it is free; the default
	RandomPorts SourcePorts = "random-fully" // by chance, so that two CPUs hardly pick the same one
)

// setSNAT reads a mode, or addresses, which stand for one.
func setSNAT(d *draft, f field.Field) {
	d.sources = nil
	if f.Value.Kind != source.List {
		field.Set(&d.snat, f, endpoint.ParseSNAT)
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
	if mode, why := endpoint.ParseSNAT(text); why == nil && mode.Mode != Address {
		return Sources{}, &value.Fault{Cause: "it stands in a list, which is for addresses", Fix: "write snat = " + source.Quote(text)}
	}
	return endpoint.ParseSources(text)
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

// sourcesOf leaves a draft only those of its sources that are of a family, if there are any.
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
	} else if groups := len(d.snat.Val.Spread()); groups > endpoint.MaxSpread {
		s.Refuse(d.snat.At, fmt.Sprintf("natspread can't take more: write at most %d addresses, or addresses that follow on one another", endpoint.MaxSpread), "cannot use snat: it has %d addresses in %d groups that follow on one another, and %d are the most", n, groups, endpoint.MaxSpread)
	}
}

// rewrites tells whether the source of any client is rewritten.
func (d *draft) rewrites() bool { return d.snat.Val.Mode != None || len(d.hairpin) > 0 }

// checkSourcePorts files snat_ports where no source is rewritten, in neither family. That of
// [defaults] is not for such a service.
func (s inspection) checkSourcePorts(d *draft) {
	at, _ := d.keys.Of("snat_ports")
	if d.Value("snat_ports").Kind != "" && !d.rewrites() && len(d.Value("hairpin").Items) == 0 && !d.unread("snat", d.snat.At) {
		s.Refuse(at, `take snat_ports out, or write snat = "masquerade"`, `cannot use snat_ports %s: with snat = "none" no source is rewritten`, s.Show(at))
	}
}
