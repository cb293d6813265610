package adopt

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"natspread/internal/adopt/walk"
	"natspread/internal/rules"
	"natspread/internal/subnet"
)

// spread is where the connections of one packet go.
type spread struct {
	parts []part
	left  float64 // what no rule translates
	list  []*walk.Rule
	doubt []*walk.Rule
	turns bool // in turn, and not by chance
	mixed bool // both
}

// part is the share of a target.
type part struct {
	target walk.Target
	share  float64
	rules  []*walk.Rule
}

// kept returns a target as it is for a port: one with a range of ports, and no base, leaves a port that is
// in the range as it is.
func kept(target walk.Target, port uint16) walk.Target {
	if target.Base == 0 && target.Ports.First < target.Ports.Last && target.Ports.First <= port && port <= target.Ports.Last {
		target.Ports = rules.Ports{}
	}
	return target
}

// own is the share that stays at this host, at the port that was asked for. In a config it is a backend like
// others.
var own = walk.Target{Kind: walk.Translates, Name: "ACCEPT"}

// spreadOf sorts an outcome by its targets. The packets ask for a port. What ACCEPT takes beside rules that
// translate is a share of this host's own, and so is with keepLeft what no rule takes.
func spreadOf(o walk.Outcome, port uint16, keepLeft bool) spread {
	s := spread{doubt: o.Doubt}
	random := false
	divided := len(o.Taken(walk.Translates)) > 0
	for _, end := range o.Ends {
		switch rule := end.Rule; {
		case rule != nil && rule.Target.Kind == walk.Translates:
			s.add(kept(rule.Target, port), end)
		case rule != nil && rule.Target.Kind == walk.Accepts && divided, divided && keepLeft:
			s.add(own, end)
		default:
			s.left += end.Part
			if rule != nil && rule.Target.Kind == walk.Opaque {
				s.doubt = append(s.doubt, rule)
			}
		}
	}
	for _, rule := range s.list {
		s.turns = s.turns || rule.Share.Mode == walk.Nth || rule.Share.Mode == walk.Counter
		random = random || rule.Share.Mode == walk.Random && rule.Share.Part < 1
	}
	s.mixed = s.turns && random
	s.turns = s.turns && !random && len(s.parts) > 1
	return s
}

// add adds what a rule took to the share of a target.
func (s *spread) add(target walk.Target, end walk.End) {
	at := slices.IndexFunc(s.parts, func(p part) bool { return p.target.Same(target) })
	if at < 0 {
		s.parts = append(s.parts, part{target: target})
		at = len(s.parts) - 1
	}
	s.parts[at].share += end.Part
	if end.Rule != nil {
		s.list = append(s.list, end.Rule)
		s.parts[at].rules = append(s.parts[at].rules, end.Rule)
	}
}

// alike tells whether two spreads have the same shares, to a millionth.
func (s spread) alike(other spread) bool { return s.key() == other.key() }

// key is the same for what is alike.
func (s spread) key() string {
	var words []string
	for _, p := range s.parts {
		words = append(words, fmt.Sprintf("%s/%d %s %.6f", p.target.Backend(), p.target.Base, strings.Join(p.target.Options, ""), p.share))
	}
	slices.Sort(words)
	return fmt.Sprint(words, s.turns)
}

// send follows a packet through a chain of the nat table.
func (f *finder) send(chain string, p walk.Packet) (spread, walk.Outcome) {
	out := f.set.Send("nat", chain, p)
	return spreadOf(out, p.Port, f.in.Shares == Kept), out
}

// incoming is what becomes of a cell's connections that come in by an interface.
type incoming struct {
	spread
	allow, deny []netip.Prefix
}

// key is the same for what is alike.
func (i incoming) key() string { return fmt.Sprint(i.spread.key(), i.allow, i.deny) }

// way is how a packet comes to a host.
type way struct {
	link   string
	client netip.Addr
}

// asked returns the clients and the interfaces that rules ask for on the way of a packet, whoever sent it and by
// whichever interface it comes: those rules, too, that only some packets come to.
func (f *finder) asked(p walk.Packet) (sources []netip.Prefix, links []string) {
	gone := map[way]bool{}
	known := map[netip.Prefix]bool{}
	for more := true; more; {
		more = false
		senders := clients(sources)
		for _, link := range append([]string{""}, links...) {
			for _, client := range senders {
				if gone[way{link, client}] {
					continue
				}
				gone[way{link, client}], more = true, true
				p.In, p.Source = link, client
				_, out := f.send(rules.Prerouting, p)
				links = union(links, slices.DeleteFunc(out.Links, isLoopback))
				for _, source := range out.Sources {
					if !known[source] {
						known[source] = true
						sources = append(sources, source)
					}
				}
			}
		}
	}
	return sources, links
}

// isLoopback tells whether what comes in by an interface is the host's own: it has met OUTPUT already, and meets
// no nat rule here.
func isLoopback(link string) bool { return link == "lo" }

// comeIn follows the packets of a cell that come in by an interface, from all clients that rules name.
// It returns what becomes of those that are translated, once for all clients with the same backends,
// and why it cannot be said, if so.
func (f *finder) comeIn(c cell, link string, sources []netip.Prefix) (kinds []*incoming, refusal *Refusal) {
	p := f.packet(c)
	p.In = link
	all, out := f.send(rules.Prerouting, p)
	if out.Endless {
		return nil, &Refusal{"its chains lead to one another too often", f.first(c)}
	}
	if len(all.parts) > 0 {
		kinds = append(kinds, &incoming{spread: all})
	}
	served := map[netip.Prefix]*incoming{}
	for _, source := range sources {
		if p.Source = clientOf(source, sources); !p.Source.IsValid() {
			continue
		}
		one, _ := f.send(rules.Prerouting, p)
		served[source] = nil
		if len(one.parts) == 0 {
			continue
		}
		at := slices.IndexFunc(kinds, func(k *incoming) bool { return k.alike(one) })
		if at < 0 {
			kinds, at = append(kinds, &incoming{spread: one}), len(kinds)
		}
		served[source] = kinds[at]
	}
	for i, kind := range kinds {
		if why := kind.cannot(); why != nil {
			return nil, why
		}
		kind.gate(served, i == 0 && len(all.parts) > 0)
	}
	return kinds, nil
}

// cannot returns why a config cannot say where connections go; nil where it may.
func (i *incoming) cannot() *Refusal {
	for _, p := range i.parts {
		if p.target.Base == 0 && p.target.Ports.First < p.target.Ports.Last {
			return &Refusal{"a range of ports, of which the kernel picks one: a backend has one port", i.list}
		}
	}
	if len(i.doubt) > 0 {
		return &Refusal{"no key asks for " + unknown(i.doubt), slices.Concat(i.doubt, i.list)}
	}
	return nil
}

// gate sets which clients get these backends: open, for all that no rule names and those it serves, else only
// for these. A client that has other backends, or none, is turned away. As deny goes before allow, deny is what
// is left around clients that are served.
func (i *incoming) gate(served map[netip.Prefix]*incoming, open bool) {
	var taken, turned []netip.Prefix
	for source, kind := range served {
		if kind == i {
			taken = append(taken, source)
		} else {
			turned = append(turned, source)
		}
	}
	for _, source := range inOrder(taken) {
		if !open && narrowest(taken, source) < 0 {
			i.allow = append(i.allow, source)
		}
	}
	for _, source := range inOrder(turned) {
		yes, no := narrowest(taken, source), narrowest(turned, source)
		if yes > no || yes == no && open {
			around := func(p netip.Prefix) bool { return subnet.Within(source, p) }
			i.deny = append(i.deny, subnet.Without(source, slices.DeleteFunc(slices.Clone(taken), around))...)
		}
	}
}

// inOrder returns subnets in the order of their addresses.
func inOrder(list []netip.Prefix) []netip.Prefix {
	slices.SortFunc(list, func(p, q netip.Prefix) int {
		return cmp.Or(p.Addr().Compare(q.Addr()), cmp.Compare(p.Bits(), q.Bits()))
	})
	return list
}

// narrowest returns the length of the narrowest subnet around another one, -1 where there is none.
func narrowest(list []netip.Prefix, inner netip.Prefix) int {
	bits := -1
	for _, p := range list {
		if p != inner && subnet.Within(inner, p) {
			bits = max(bits, p.Bits())
		}
	}
	return bits
}

// has tells whether one of a list is alike.
func has(kinds []*incoming, one *incoming) bool {
	return slices.ContainsFunc(kinds, func(o *incoming) bool { return o.key() == one.key() })
}

// first returns the rules that lead to a cell's translation, for a refusal of chains that never end.
func (f *finder) first(c cell) []*walk.Rule {
	for _, key := range f.set.Keys("nat", rules.Prerouting, translates) {
		if slices.Contains(f.cells(key), c) {
			return []*walk.Rule{key.Rule}
		}
	}
	return nil
}

// clientOf returns a client in a prefix, and in none of narrower ones; not valid where these cover it.
func clientOf(prefix netip.Prefix, all []netip.Prefix) netip.Addr {
	addr := prefix.Addr()
	for range len(all) + 1 {
		at := slices.IndexFunc(all, func(p netip.Prefix) bool { return p.Bits() > prefix.Bits() && p.Contains(addr) })
		if at < 0 {
			return addr
		}
		if addr = subnet.Last(all[at]).Next(); !addr.IsValid() || !prefix.Contains(addr) {
			break
		}
	}
	return netip.Addr{}
}

// clients returns a client that is in none of some prefixes, and one for each of them.
func clients(prefixes []netip.Prefix) []netip.Addr {
	all := []netip.Addr{{}}
	for _, prefix := range prefixes {
		if client := clientOf(prefix, prefixes); client.IsValid() {
			all = append(all, client)
		}
	}
	return all
}

// drafts returns what a cell's connections make: a draft for all clients with the same backends, and where
// interfaces differ for each kind of them.
func (f *finder) drafts(c cell) []*draft {
	sources, links := f.asked(f.packet(c))
	all, refusal := f.comeIn(c, "", sources)
	var drafts []*draft
	by := map[string]*draft{}
	for _, link := range links {
		kinds, why := f.comeIn(c, link, sources)
		gone := slices.IndexFunc(all, func(kind *incoming) bool { return !has(kinds, kind) })
		kinds = slices.DeleteFunc(kinds, func(kind *incoming) bool { return has(all, kind) })
		switch {
		case why != nil:
			refusal = why
		case len(kinds) == 0 && gone >= 0:
			refusal = &Refusal{fmt.Sprintf("connections that come in by %s go elsewhere, and interface names the interfaces that a service has: it can't leave one out", link), all[gone].list}
		}
		for _, kind := range kinds {
			if d := by[kind.key()]; d != nil {
				d.links = append(d.links, link)
				continue
			}
			d := &draft{family: f.set.Family, incoming: *kind, links: []string{link}, choices: f.in.Choices}
			by[kind.key()] = d
			drafts = append(drafts, d)
		}
	}
	for _, kind := range all {
		drafts = append(drafts, &draft{family: f.set.Family, incoming: *kind, choices: f.in.Choices})
	}
	if refusal != nil {
		f.refuseCell(c, "", refusal)
		return nil
	}
	return f.completed(c, drafts)
}

// completed returns the drafts of a cell with all that they need, without those that no config can say.
func (f *finder) completed(c cell, drafts []*draft) []*draft {
	kinds := slices.Clone(drafts)
	shifted := slices.ContainsFunc(kinds, func(d *draft) bool {
		return slices.ContainsFunc(d.parts, func(p part) bool { return p.target.Base != 0 })
	})
	return slices.DeleteFunc(drafts, func(d *draft) bool {
		d.cells, d.apart = []cell{c}, len(kinds) > 1 && !shifted
		d.forHost = f.forHost(c, d)
		why := f.complete(d, kinds, c)
		if why != nil {
			link := strings.Join(d.links[:min(1, len(d.links))], "")
			f.refuseCell(c, link, &Refusal{why.Why, union(slices.Clone(d.list), why.Rules)})
		}
		return why != nil
	})
}

// refuseCell refuses the rules for a cell's packets, which come in by an interface, and notes the packets.
func (f *finder) refuseCell(c cell, link string, why *Refusal) {
	f.result.refuse(why.Why, why.Rules...)
	f.result.unadopted = append(f.result.unadopted, unadoptedCell{f.set.Family, link, netip.Addr{}, c, why.Rules})
}

// forHost tells whether rules that name no destination leave transit traffic alone.
func (f *finder) forHost(c cell, d *draft) bool {
	p := f.packet(c)
	p.Local = false
	sources, _ := f.asked(p)
	for _, link := range append([]string{""}, d.links...) {
		for _, client := range clients(sources) {
			p.In, p.Source = link, client
			if through, _ := f.send(rules.Prerouting, p); len(through.parts) > 0 {
				return false
			}
		}
	}
	return !c.destination.IsValid()
}

// complete adds what the other chains do with the connections of a draft, one of those of its cell. What the
// host makes itself may be for another one of these.
func (f *finder) complete(d *draft, kinds []*draft, c cell) *Refusal {
	p := f.packet(c)
	p.Made = true
	out, _ := f.send(rules.Output, p)
	switch {
	case slices.ContainsFunc(d.parts, func(p part) bool { return !inShift(p.target, c.ports) }):
		return &Refusal{"a shifted range that has fewer ports than its rule is for: a backend has as many ports as listen", d.list}
	case len(out.doubt) > 0:
		return &Refusal{"no key asks for " + unknown(out.doubt), out.doubt}
	case len(out.parts) > 0 && !out.alike(d.spread) && slices.ContainsFunc(kinds, func(o *draft) bool { return out.alike(o.spread) }):
		out = spread{}
	case len(out.parts) > 0 && !out.alike(d.spread):
		return &Refusal{"connections of this host go to other backends, or by other shares, than those that come in: a service has the same for both", slices.Concat(d.list, out.list)}
	}
	d.local = len(out.parts) > 0
	d.list = append(d.list, out.list...)
	if why := f.sources(d, c); why != nil {
		return why
	}
	f.forward(d, c)
	return nil
}
