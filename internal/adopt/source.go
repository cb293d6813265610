package adopt

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"

	"natspread/internal/adopt/walk"
	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/internal/text"
)

// The sources that backends see, as a config has them.
const (
	masquerade  = "masquerade"
	keepsSource = "none"
)

// hidden is what becomes of the source of connections to a backend.
type hidden struct {
	snat  string // as a config has it, several addresses with blanks between them
	fully bool   // with ports by chance
	notes []string
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
	parts := map[string]float64{}
	var words []string
	kept, hides := 0.0, 0.0
	for _, end := range out.Ends {
		switch {
		case end.Rule == nil || end.Rule.Target.Kind == walk.Accepts || end.Rule.Target.Kind == walk.Returns:
			kept += end.Part
		case end.Rule.Target.Kind == walk.Hides && end.Rule.Target.Ports == rules.Ports{}:
			hides += end.Part
			word := sourceText(end.Rule.Target)
			if parts[word] += end.Part; !slices.Contains(words, word) {
				words = append(words, word)
			}
			h.rules = append(h.rules, end.Rule)
		default:
			h.doubt = append(h.doubt, end.Rule)
		}
	}
	h.fully = slices.ContainsFunc(h.rules, isFully)
	switch {
	case hides == 0:
		h.snat = keepsSource
	case kept < 1e-9 && !(len(words) > 1 && slices.Contains(words, masquerade)) && !(h.fully && slices.ContainsFunc(h.rules, isNotFully)):
		h.snat = strings.Join(words, " ")
		h.tell(words, parts)
	default:
		h.doubt = append(h.doubt, h.rules...)
	}
	return h
}

// isFully tells whether a rule picks the source port by chance.
func isFully(rule *walk.Rule) bool { return slices.Contains(rule.Target.Options, "--random-fully") }

// isNotFully tells whether it does not.
func isNotFully(rule *walk.Rule) bool { return !isFully(rule) }

// sourceText writes the source that a rule makes as a config does.
func sourceText(target walk.Target) string {
	switch {
	case !target.Address.IsValid():
		return masquerade
	case target.Last.IsValid():
		return target.Address.String() + "-" + target.Last.String()
	}
	return target.Address.String()
}

// tell notes how several addresses are spread otherwise than before: the config spreads a few evenly
// by chance.
func (h *hidden) tell(words []string, parts map[string]float64) {
	all := poolOf(h.snat)
	few := len(all.Spread()) == len(all.Addresses())
	for _, word := range words {
		addresses := poolOf(word).Addresses()
		switch evenly := float64(len(addresses)) / float64(max(1, len(all.Addresses()))); {
		case !few || len(addresses) == 0:
		case math.Abs(parts[word]-evenly) > near:
			h.notes = append(h.notes, fmt.Sprintf("the old rules gave %s of the connections the source %s: each address gets the same part now", text.Percent(parts[word]), word))
		case len(addresses) > 1:
			h.notes = append(h.notes, fmt.Sprintf("the kernel picked one address of %s by the client's address: it is by chance now", word))
		}
	}
}

// poolOf returns the source addresses that snat has; none where it is a mode.
func poolOf(snat string) config.SNAT {
	pool := config.SNAT{Mode: config.Address}
	for _, word := range strings.Fields(snat) {
		low, high, ranged := strings.Cut(word, "-")
		if !ranged {
			high = low
		}
		first, err := netip.ParseAddr(low)
		last, wrong := netip.ParseAddr(high)
		if err == nil && wrong == nil {
			pool.Pool = append(pool.Pool, config.Sources{First: first, Last: last})
		}
	}
	return pool
}

// addressesOf returns the source addresses that snat has, in order; none where it is a mode.
func addressesOf(snat string) []netip.Addr {
	all := poolOf(snat).Addresses()
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}

// sameSources tells whether two values of snat have the same mode, or the same addresses.
func sameSources(a, b string) bool {
	return a == b || len(addressesOf(a)) > 0 && slices.Equal(addressesOf(a), addressesOf(b))
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
		hairpin, why := f.hairpin(to, &h)
		switch {
		case why != nil:
			return why
		case !first && (!sameSources(h.snat, d.snat) || h.fully != d.fully || !slices.Equal(hairpin, d.hairpin)):
			return &Refusal{"some backends see another source than others, and snat is the same for all backends of a service", slices.Concat(h.rules, d.hiding)}
		}
		if first {
			d.notes = append(d.notes, h.notes...)
		}
		d.snat, d.fully, d.hairpin, first = h.snat, h.fully, hairpin, false
		d.hiding = union(d.hiding, h.rules)
	}
	if first { // all backends are on this host, which sees the client
		d.snat = ""
	}
	return nil
}

// unsure decides what rules do of which only the interface that packets leave by is not known. One
// that does what is done anyhow makes no difference. A service whose clients come in by that interface
// has its backends elsewhere.
func (f *finder) unsure(d *draft, h *hidden) *Refusal {
	unsure := slices.DeleteFunc(h.doubt, func(r *walk.Rule) bool {
		return h.maybe(r) && sourceText(r.Target) == h.snat && isFully(r) == h.fully
	})
	h.doubt = nil
	for _, rule := range unsure {
		if rule.Target.Kind == walk.Hides && rule.Target.Ports != (rules.Ports{}) {
			return &Refusal{"snat has no range of source ports: the kernel picks them, and snat_ports says how", []*walk.Rule{rule}}
		}
		if !h.maybe(rule) {
			return &Refusal{"natspread can't tell what it does to the source of the connections", []*walk.Rule{rule}}
		}
	}
	switch {
	case len(unsure) == 0:
	case f.in.SNAT != "":
		if h.snat != f.in.SNAT {
			h.snat, h.rules, h.notes = f.in.SNAT, nil, nil
		}
	case !slices.ContainsFunc(unsure, func(r *walk.Rule) bool { return !slices.Contains(d.links, r.Asks.Out) }):
	default:
		d.unsure = true
	}
	return nil
}

// maybe tells whether a rule hides the source of all that it meets, and only what it meets is not known.
func (h *hidden) maybe(rule *walk.Rule) bool {
	return !slices.Contains(h.rules, rule) && rule.Target.Kind == walk.Hides && rule.Target.Ports == rules.Ports{} && len(rule.Unknown) == 0 && rule.Share.Mode == walk.All
}

// hairpin returns the clients whose source is hidden although that of others is not. Where it is the
// other way round no key says so.
func (f *finder) hairpin(to walk.Packet, h *hidden) ([]netip.Prefix, *Refusal) {
	var list []netip.Prefix
	for _, source := range h.asked {
		if to.Source = clientOf(source, h.asked); !to.Source.IsValid() {
			continue
		}
		one := f.hide(to)
		switch {
		case slices.ContainsFunc(one.doubt, func(r *walk.Rule) bool { return !one.maybe(r) }) || sameSources(one.snat, h.snat) && one.fully == h.fully:
		case h.snat == keepsSource && one.snat == masquerade && (len(list) == 0 || one.fully == h.fully):
			h.fully = one.fully
			list = append(list, source)
		default:
			return nil, &Refusal{"clients of " + source.String() + " have another source than others: the config can say that only where these are masqueraded (hairpin), and all others keep their address (snat = \"none\")", one.rules}
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
		out := f.set.Send("filter", rules.Forward, to)
		known := len(out.Doubt)+len(out.Links) == 0 // else a rule may accept them by the interface
		for _, end := range out.Ends {
			switch rule := end.Rule; {
			case rule != nil && rule.Target.Kind == walk.Accepts && named(rule, to):
				d.accepted = append(d.accepted, rule)
			case !known:
			case rule != nil && rule.Target.Kind == walk.Drops:
				d.drops = union(d.drops, []drop{{c.protocol, rule}})
			case rule == nil && f.set.Chain("filter", rules.Forward) != nil && f.set.Chain("filter", rules.Forward).Policy == "DROP":
				d.drops = union(d.drops, []drop{{c.protocol, nil}})
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
