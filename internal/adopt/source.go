package adopt

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"natspread/internal/adopt/walk"
	"natspread/internal/rules"
)

// The sources that backends see, as a config has them.
const (
	masquerade = "masquerade"
	keeps      = "none"
)

// hidden is what becomes of the source of connections to a backend.
type hidden struct {
	snat  string // as a config has it; "" where several shares differ
	rules []*walk.Rule
	doubt []*walk.Rule
	asked []netip.Prefix // the clients for whom it may be otherwise
}

// backendOf returns where a target leads for a packet, and whether that is this host: REDIRECT keeps the
// address that was asked for, as the host has that.
func backendOf(target walk.Target, p walk.Packet) (addr netip.Addr, port uint16, host bool) {
	addr, port = target.Address, target.Ports.First
	if target.Base != 0 {
		port += p.Port - target.Base
	}
	if port == 0 {
		port = p.Port
	}
	if !addr.IsValid() {
		addr, host = p.Destination, true
	}
	return addr, port, host
}

// translated returns a packet as it is behind the rule that translated it.
func (f *finder) translated(p walk.Packet, target walk.Target) walk.Packet {
	asked := netip.AddrPortFrom(p.Destination, p.Port)
	p.Destination, p.Port, _ = backendOf(target, p)
	p.Asked, p.Local = asked, false
	if f.in.Link != nil {
		p.Out = f.in.Link(p.Destination)
	}
	return p
}

// hide follows a translated packet through POSTROUTING.
func (f *finder) hide(p walk.Packet) hidden {
	p.In = "" // which POSTROUTING does not know
	out := f.set.Send("nat", rules.Postrouting, p)
	h := hidden{doubt: out.Doubt, asked: out.Sources}
	var addresses []string
	kept, hides := 0.0, 0.0
	for _, end := range out.Ends {
		switch {
		case end.Rule == nil || end.Rule.Target.Kind == walk.Stays || end.Rule.Target.Kind == walk.Returns:
			kept += end.Part
		case end.Rule.Target.Kind == walk.Hides && !end.Rule.Target.Last.IsValid():
			hides += end.Part
			h.rules = append(h.rules, end.Rule)
			word := masquerade
			if end.Rule.Target.Address.IsValid() {
				word = end.Rule.Target.Address.String()
			}
			if !slices.Contains(addresses, word) {
				addresses = append(addresses, word)
			}
		default:
			h.doubt = append(h.doubt, end.Rule)
		}
	}
	switch {
	case hides == 0:
		h.snat = keeps
	case kept < 1e-9 && !(len(addresses) > 1 && slices.Contains(addresses, masquerade)):
		h.snat = strings.Join(addresses, " ")
	default:
		h.doubt = append(h.doubt, h.rules...)
	}
	return h
}

// sources finds out what backends see as the client's address.
func (f *finder) sources(d *draft, c cell) *Refusal {
	p := f.packet(c)
	if len(d.links) > 0 {
		p.In = d.links[0]
	}
	first := true
	for _, part := range d.parts {
		if addr, _, host := backendOf(part.target, p); host || addr == p.Destination || slices.Contains(f.in.Listen, addr.String()) {
			continue
		}
		to := f.translated(p, part.target)
		h := f.hide(to)
		if len(h.doubt) > 0 {
			if why := f.unsure(d, &h); why != nil {
				return why
			}
		}
		hairpin, why := f.hairpin(to, h)
		switch {
		case why != nil:
			return why
		case !first && (h.snat != d.snat || !slices.Equal(hairpin, d.hairpin)):
			return &Refusal{"some backends see another source than others, and snat is the same for all backends of a service", slices.Concat(h.rules, d.hiding)}
		}
		d.snat, d.hairpin, first = h.snat, hairpin, false
		for _, rule := range h.rules {
			if !slices.Contains(d.hiding, rule) {
				d.hiding = append(d.hiding, rule)
			}
		}
	}
	if first { // all of it is on this host, which sees the client
		d.snat = ""
	}
	return nil
}

// unsure decides what rules do of which only the interface that packets leave by is not known. A service
// whose clients come in by that interface has its backends elsewhere.
func (f *finder) unsure(d *draft, h *hidden) *Refusal {
	for _, rule := range h.doubt {
		if len(rule.Unknown) > 0 || rule.Target.Kind != walk.Hides || rule.Target.Last.IsValid() || rule.Share.Mode != walk.All || len(h.rules) > 0 {
			return &Refusal{"natspread can't tell what it does to the source of the connections", []*walk.Rule{rule}}
		}
	}
	unsure := h.doubt
	h.rules, h.doubt = nil, nil
	switch {
	case f.in.SNAT != "":
		h.snat = f.in.SNAT
	case !slices.ContainsFunc(unsure, func(r *walk.Rule) bool { return !slices.Contains(d.links, r.Asks.Out) }):
	default:
		d.unsure = true
	}
	return nil
}

// hairpin returns the clients whose source is hidden although that of others is not. Where it is the
// other way round no key says so.
func (f *finder) hairpin(to walk.Packet, h hidden) ([]netip.Prefix, *Refusal) {
	var list []netip.Prefix
	for _, source := range h.asked {
		if to.Source = clientOf(source, h.asked); !to.Source.IsValid() {
			continue
		}
		one := f.hide(to)
		switch {
		case len(one.doubt) > 0 || one.snat == h.snat:
		case h.snat == keeps && one.snat == masquerade:
			list = append(list, source)
		default:
			return nil, &Refusal{"clients of " + source.String() + " are seen by another source than others: of that hairpin can only say \"masquerade\" beside snat = \"none\"", one.rules}
		}
	}
	slices.SortFunc(list, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	return list, nil
}

// forward finds out whether FORWARD has rules that let the connections of a draft through.
func (f *finder) forward(d *draft, c cell) {
	if !f.set.Has("filter") {
		return
	}
	p := f.packet(c)
	if len(d.links) > 0 {
		p.In = d.links[0]
	}
	for _, part := range d.parts {
		if addr, _, host := backendOf(part.target, p); host || addr == p.Destination {
			continue
		}
		to := f.translated(p, part.target)
		for _, end := range f.set.Send("filter", rules.Forward, to).Ends {
			switch rule := end.Rule; {
			case rule != nil && rule.Target.Kind == walk.Stays && named(rule, to):
				d.accepted = append(d.accepted, rule)
			case rule != nil && rule.Target.Kind == walk.Drops:
				d.dropped = append(d.dropped, rule)
			case rule == nil && f.set.Chain("filter", rules.Forward) != nil && f.set.Chain("filter", rules.Forward).Policy == "DROP":
				d.policy = true
			}
		}
	}
}

// named tells whether a rule asks for the address of a backend alone, or for connections that were
// translated.
func named(rule *walk.Rule, translated walk.Packet) bool {
	asks := rule.Asks
	return len(asks.Backend)+len(asks.Original) > 0 ||
		len(asks.Destination) == 1 && asks.Destination[0].IsSingleIP() && asks.Destination[0].Addr() == translated.Destination
}
