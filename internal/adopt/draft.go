package adopt

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"natspread/internal/adopt/walk"
	"natspread/internal/config"
	"natspread/internal/rules"
)

// draft is a service that is not written yet: first of one cell, then of all cells that are alike.
type draft struct {
	incoming
	family   rules.Family
	links    []string // that it is for; none is all
	cells    []cell
	local    bool
	snat     string // "" where all backends are on this host
	fully    bool   // source ports are picked by chance
	unsure   bool   // a rule with -o may be for it
	hairpin  []netip.Prefix
	hiding   []*walk.Rule // that hide the source
	accepted []*walk.Rule // of FORWARD, for its backends alone
	drops    []drop       // what FORWARD drops of it
	maps     []portPair   // for ports of its own
	choices  Choices
	apart    bool // others have the same listen address, for other interfaces or clients

	name      string
	protocols []string
	listen    []string
	anywhere  bool // a listen is "*", or whatever the choice for that says
	forHost   bool // its rules name no destination, but ask for addresses of this host: that is "*"
	weights   []int
	slip      slip
	notes     []string
}

// drop is what drops connections of a protocol: a rule of FORWARD, or its policy, which is no rule.
type drop struct {
	protocol string
	rule     *walk.Rule
}

// portPair is a port that clients ask for, and where the backends answer.
type portPair struct{ from, to uint16 }

// key is the same for drafts that one service can say.
func (d *draft) key() string {
	at := netip.Addr{} // where this host is a backend, it is so by the address that was asked for
	if d.onHost() {
		at = d.cells[0].destination
	}
	return fmt.Sprint(at, d.apart, d.forHost, d.incoming.key(), d.links, d.local, d.snat, d.fully, d.unsure, d.hairpin, len(d.accepted) > 0, int(1e6*d.left+0.5))
}

// join puts drafts together that are alike in all but listen and protocol.
func (f *finder) join(drafts []*draft) []*draft {
	by := map[string]*draft{}
	var joined []*draft
	for _, d := range drafts {
		into := by[d.key()]
		if into == nil {
			by[d.key()] = d
			joined = append(joined, d)
			continue
		}
		into.add(d)
	}
	var all []*draft
	for _, d := range joined {
		all = append(all, f.byProtocol(d)...)
	}
	return all
}

// add adds the connections of another draft, and the rules that are for them.
func (d *draft) add(other *draft) {
	d.cells = append(d.cells, other.cells...)
	d.list = union(d.list, other.list)
	d.hiding = union(d.hiding, other.hiding)
	d.accepted = union(d.accepted, other.accepted)
	d.drops = union(d.drops, other.drops)
}

// union returns what is in both lists, each once.
func union[T comparable](a, b []T) []T {
	for _, one := range b {
		if !slices.Contains(a, one) {
			a = append(a, one)
		}
	}
	return a
}

// byProtocol divides a draft where it has not the same listen addresses for all its protocols.
func (f *finder) byProtocol(d *draft) []*draft {
	var all []*draft
	for _, protocol := range []string{"tcp", "udp", "sctp"} {
		cells := slices.DeleteFunc(slices.Clone(d.cells), func(c cell) bool { return c.protocol != protocol })
		if len(cells) == 0 {
			continue
		}
		one := *d
		one.cells = cells
		one.protocols = []string{protocol}
		one.list = ofProtocol(d.list, protocol)
		one.drops = slices.DeleteFunc(slices.Clone(d.drops), func(o drop) bool { return o.protocol != protocol })
		one.setListen()
		same := slices.IndexFunc(all, func(o *draft) bool { return slices.Equal(o.listen, one.listen) })
		if same >= 0 {
			all[same].protocols = append(all[same].protocols, protocol)
			all[same].add(&one)
			continue
		}
		all = append(all, &one)
	}
	return all
}

// ofProtocol returns those rules that may be for a protocol, as far as they say one themselves.
func ofProtocol(list []*walk.Rule, wanted string) []*walk.Rule {
	return slices.DeleteFunc(slices.Clone(list), func(r *walk.Rule) bool {
		return r.Asks.Protocol != "" && protocol(r.Asks.Protocol) != wanted
	})
}

// setListen writes the cells of one protocol as a config does. "*" stands for every address. Services
// that are told apart by interfaces or clients must have the same ranges of ports, so theirs are not
// joined.
func (d *draft) setListen() {
	everywhere := func(c cell) bool {
		return c.destination.IsValid() && slices.ContainsFunc(d.cells, func(o cell) bool {
			return !o.destination.IsValid() && o.ports.First <= c.ports.First && c.ports.Last <= o.ports.Last
		})
	}
	cells := slices.DeleteFunc(slices.Clone(d.cells), everywhere)
	slices.SortStableFunc(cells, func(a, b cell) int {
		return cmp.Or(a.destination.Compare(b.destination), cmp.Compare(a.ports.First, b.ports.First))
	})
	var merged []cell
	for _, c := range cells {
		last := len(merged) - 1
		if last >= 0 && !d.apart && merged[last].destination == c.destination && int(merged[last].ports.Last)+1 == int(c.ports.First) {
			merged[last].ports.Last = c.ports.Last
			continue
		}
		merged = append(merged, c)
	}
	d.listen, d.anywhere = nil, false
	for _, c := range merged {
		d.anywhere = d.anywhere || !c.destination.IsValid() && !d.forHost
		d.listen = append(d.listen, config.Listen{Addr: c.destination, Ports: config.Ports(c.ports)}.String())
	}
}

// mapPorts joins drafts whose backends are the same but for the ports, where each has one port for all
// backends: one service with ports.
func mapPorts(drafts []*draft) []*draft {
	var joined []*draft
	by := map[string]*draft{}
	for _, d := range drafts {
		pair, addresses, key := d.mapKey()
		into := by[key]
		switch {
		case key == "":
			joined = append(joined, d)
		case into == nil:
			by[key] = d
			d.maps, d.listen = []portPair{pair}, addresses
			joined = append(joined, d)
		case len(into.maps) == config.MaxPairs || slices.ContainsFunc(into.maps, func(p portPair) bool { return p.from == pair.from }):
			joined = append(joined, d)
		default:
			into.maps = append(into.maps, pair)
			into.add(d)
		}
	}
	for _, d := range joined {
		d.unmap()
	}
	return joined
}

// unmap says without ports what needs none: one port, which the backends may have, or ports that all stay
// as they are.
func (d *draft) unmap() {
	stay := !slices.ContainsFunc(d.maps, func(p portPair) bool { return p.from != p.to })
	if len(d.maps) == 0 || len(d.maps) > 1 && !stay {
		return
	}
	addresses := d.listen
	d.listen = nil
	for _, addr := range addresses {
		for _, p := range d.maps {
			d.listen = append(d.listen, fmt.Sprintf("%s:%d", bracketed(addr), p.from))
		}
	}
	if len(d.maps) > 1 {
		for i := range d.parts {
			d.parts[i].target.Ports = rules.Ports{}
		}
	}
	d.maps = nil
}

// bracketed writes an address as it stands before a port.
func bracketed(addr string) string {
	if strings.Contains(addr, ":") {
		return "[" + addr + "]"
	}
	return addr
}

// mapKey returns the one port of a draft and where its backends answer, its addresses, and what is the same
// for all drafts that may be joined; "" for one that may not.
func (d *draft) mapKey() (pair portPair, addresses []string, key string) {
	var listen []netip.Addr
	for _, c := range d.cells {
		if c.ports != d.cells[0].ports || c.ports.First != c.ports.Last || !c.destination.IsValid() {
			return pair, nil, ""
		}
		if !slices.Contains(listen, c.destination) {
			listen = append(listen, c.destination)
		}
	}
	pair = portPair{d.cells[0].ports.First, d.parts[0].target.Ports.First}
	kept := pair.to == 0
	if kept {
		pair.to = pair.from
	}
	bare := d.spread
	bare.parts = slices.Clone(d.parts)
	for i, p := range d.parts {
		if p.target.Ports.First != pair.to && !(kept && p.target.Ports.First == 0) || p.target.Base != 0 || !p.target.Address.IsValid() {
			return pair, nil, ""
		}
		bare.parts[i].target.Ports = rules.Ports{}
	}
	for _, addr := range listen {
		addresses = append(addresses, addr.String())
	}
	one := *d
	one.spread = bare
	return pair, addresses, fmt.Sprint(d.family, d.protocols, addresses, one.key())
}

// prefixTexts writes subnets, single addresses without their length.
func prefixTexts(list []netip.Prefix) []string {
	var texts []string
	for _, prefix := range list {
		if prefix.IsSingleIP() {
			texts = append(texts, prefix.Addr().String())
		} else {
			texts = append(texts, prefix.String())
		}
	}
	return texts
}
