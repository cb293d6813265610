package adopt

import (
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"natspread/internal/adopt/walk"
	"natspread/internal/rules"
)

// cell is packets that all rules treat alike, but for the interface and the client.
type cell struct {
	protocol    string
	destination netip.Addr // not valid is every address that no rule names
	ports       rules.Ports
}

// finder finds what balances in the rules of a family.
type finder struct {
	set    *walk.Ruleset
	in     Input
	result *Result
	edges  []uint16 // where ranges of ports begin that rules ask for, and the port behind each
	any    netip.Addr
	asking []walk.Key // how packets that come in, or are made here, reach any rule that names an address
}

// mostListed is how many addresses of a subnet are listed one by one.
const mostListed = 64

// find returns the services of the family.
func (f *finder) find() []*draft {
	for _, table := range []string{"nat", "filter", "raw", "mangle"} {
		if f.set.Endless(table) {
			f.result.refuse("the chains of the "+table+" table lead to one another in a circle, or too often", f.set.Rules(table)[0])
			return nil
		}
	}
	f.measure()
	var cells []cell
	known := map[cell]bool{}
	for _, key := range f.set.Keys("nat", rules.Prerouting, translates) {
		if !f.canAdopt(key) {
			f.addUnadopted(key)
			continue
		}
		for _, one := range f.cells(key) {
			if !known[one] {
				known[one] = true
				cells = append(cells, one)
			}
		}
	}
	f.outputOnly(known)
	var drafts []*draft
	for _, one := range cells {
		drafts = append(drafts, f.drafts(one)...)
	}
	return f.join(drafts)
}

// translates tells whether a rule rewrites the destination, or may.
func translates(r *walk.Rule) bool {
	return r.Target.Kind == walk.Translates || r.Target.Kind == walk.Opaque
}

// canAdopt tells whether a config may say what a rule does, and else reports why not.
func (f *finder) canAdopt(key walk.Key) bool {
	rule := key.Rule
	for _, one := range key.Way {
		if whose := walk.Owner(one.Chain); whose != "" {
			f.result.leave("it is "+whose+"'s own", rule)
			return false
		}
	}
	switch {
	case protocol(key.Protocol) == "":
		f.result.refuse(noProtocol(key.Protocol), rule)
	case rule.Target.Kind == walk.Opaque:
		f.result.refuse(fmt.Sprintf("the target %s: natspread can't say what it does", rule.Target.Name), rule)
	case rule.Target.Last.IsValid():
		f.result.refuse("a range of backends, of which the kernel picks by a hash of the client: list them as backends, with algorithm = \"source\"", rule)
	case len(rule.Unknown) > 0 || doubtful(key.Way) != nil:
		f.result.refuse("no key asks for "+unknown(key.Way), rule)
	default:
		return true
	}
	return false
}

// addUnadopted notes the packets of a key whose rule was not adopted: new rules must not take them.
func (f *finder) addUnadopted(key walk.Key) {
	if protocol(key.Protocol) == "" {
		return
	}
	quiet := *f
	quiet.result = &Result{}
	for _, one := range quiet.cells(key) {
		f.result.unadopted = append(f.result.unadopted, unadoptedCell{f.set.Family, key.In, netip.Addr{}, one, []*walk.Rule{key.Rule}})
	}
}

// doubtful returns the first rule that asks for what natspread cannot judge.
func doubtful(way []*walk.Rule) *walk.Rule {
	for _, rule := range way {
		if len(rule.Unknown) > 0 {
			return rule
		}
	}
	return nil
}

// unknown returns what rules ask for that natspread cannot judge.
func unknown(way []*walk.Rule) string {
	var words []string
	holes := ""
	for _, rule := range way {
		words = append(words, rule.Unknown...)
		for _, one := range rule.Unknown {
			if strings.HasPrefix(one, "-s ") {
				holes = ", a mask with holes; algorithm = \"source\" picks a backend by the client's address"
			}
		}
	}
	return strings.Join(words, ", ") + holes
}

// protocol returns the name of a protocol that services can have; "" for any other.
func protocol(word string) string {
	for _, name := range []string{"tcp", "udp", "sctp"} {
		if word == name || word == strconv.Itoa(int(rules.ProtocolNumber(name))) {
			return name
		}
	}
	return ""
}

// noProtocol says why a protocol cannot be adopted.
func noProtocol(word string) string {
	if word == "" || word == "all" || word == "0" {
		return "it is for all protocols, and protocol takes \"tcp\", \"udp\" and \"sctp\""
	}
	return fmt.Sprintf("it is for %s, and protocol takes \"tcp\", \"udp\" and \"sctp\"", word)
}

// measure looks where the ports that rules ask for begin and end, and for an address that no rule names.
func (f *finder) measure() {
	edges := map[uint16]bool{}
	var named []netip.Prefix
	of := func(rule *walk.Rule) {
		for _, ports := range rule.Asks.Named {
			edges[ports.First] = true
			if ports.Last < 65535 {
				edges[ports.Last+1] = true
			}
		}
	}
	for _, rule := range f.set.Rules("nat") {
		of(rule)
		if to := rule.Target.Ports; rule.Target.Kind == walk.Translates && to.First < to.Last && to.Last < 65535 {
			edges[to.First], edges[to.Last+1] = true, true
		}
		named = append(append(named, rule.Asks.Destination...), rule.Asks.NotDestination...)
	}
	for _, key := range f.set.Keys("filter", rules.Forward, anyRule) {
		for _, rule := range key.Way {
			of(rule)
		}
	}
	f.shift(edges)
	for edge := range edges {
		f.edges = append(f.edges, edge)
	}
	slices.Sort(f.edges)
	f.any = unnamed(f.set.Family, named)
	for _, chain := range []string{rules.Prerouting, rules.Output} {
		for _, key := range f.set.Keys("nat", chain, anyRule) {
			if len(key.Destination)+len(key.NotFor) > 0 {
				f.asking = append(f.asking, key)
			}
		}
	}
}

// anyRule wants every rule.
func anyRule(*walk.Rule) bool { return true }

// shift adds the ports that clients ask for where a shifted range begins and ends, and where it leads
// to the ports of edges: rules of POSTROUTING and FORWARD see these.
func (f *finder) shift(edges map[uint16]bool) {
	seen := slices.Collect(maps.Keys(edges))
	for _, rule := range f.set.Rules("nat") {
		to := rule.Target
		if to.Base == 0 {
			continue
		}
		edges[to.Base] = true
		if behind := int(to.Base) + int(to.Ports.Last-to.Ports.First) + 1; behind <= math.MaxUint16 {
			edges[uint16(behind)] = true
		}
		for _, edge := range seen {
			if to.Ports.First <= edge && edge <= to.Ports.Last {
				edges[edge-to.Ports.First+to.Base] = true
			}
		}
	}
}

// inShift tells whether a shifted range has a port for each of some ports. For others the kernel begins anew.
func inShift(target walk.Target, ports rules.Ports) bool {
	return target.Base == 0 || target.Base <= ports.First && ports.Last-target.Base <= target.Ports.Last-target.Ports.First
}

// unnamed returns an address that is in no prefix but that of everything.
func unnamed(family rules.Family, named []netip.Prefix) netip.Addr {
	addr := netip.MustParseAddr("198.18.0.1")
	if family == rules.IPv6 {
		addr = netip.MustParseAddr("2001:2::1")
	}
	for range 1 << 12 {
		at := slices.IndexFunc(named, func(p netip.Prefix) bool { return p.Bits() > 0 && p.Contains(addr) })
		if at < 0 {
			break
		}
		addr = addr.Next()
	}
	return addr
}

// cells returns the cells that a key leads to.
func (f *finder) cells(key walk.Key) []cell {
	addresses, listed := f.addresses(key)
	if !listed {
		return nil
	}
	var cells []cell
	for _, ports := range f.split(key.Ports) {
		for _, addr := range addresses {
			cells = append(cells, cell{protocol(key.Protocol), addr, ports})
		}
	}
	return cells
}

// addresses returns the addresses that a key is for, one that is not valid for all that no rule names.
func (f *finder) addresses(key walk.Key) (list []netip.Addr, listed bool) {
	if key.Destination == nil || slices.ContainsFunc(key.Destination, func(p netip.Prefix) bool { return p.Bits() == 0 }) {
		return append([]netip.Addr{{}}, f.named(key)...), true
	}
	for _, prefix := range key.Destination {
		for addr := prefix.Addr(); prefix.Contains(addr); addr = addr.Next() {
			if len(list) == mostListed {
				f.result.refuse(fmt.Sprintf("it is for more than %d addresses, and listen takes them one by one", mostListed), key.Rule)
				return nil, false
			}
			list = append(list, addr)
		}
	}
	return list, true
}

// named returns the single addresses that other rules name for the protocol and ports of a key.
func (f *finder) named(key walk.Key) []netip.Addr {
	var list []netip.Addr
	for _, other := range f.asking {
		if other.Protocol != "" && protocol(other.Protocol) != protocol(key.Protocol) || !overlap(other.Ports, key.Ports) {
			continue
		}
		for _, prefix := range slices.Concat(other.Destination, other.NotFor) {
			if prefix.IsSingleIP() && !prefix.Addr().IsLoopback() && !slices.Contains(list, prefix.Addr()) && len(list) < mostListed {
				list = append(list, prefix.Addr())
			}
		}
	}
	return list
}

// overlap tells whether two lists of ports have one in common; nil is all.
func overlap(a, b []rules.Ports) bool {
	return a == nil || b == nil || slices.ContainsFunc(a, func(one rules.Ports) bool {
		return slices.ContainsFunc(b, func(other rules.Ports) bool { return one.First <= other.Last && other.First <= one.Last })
	})
}

// split divides ranges of ports where those of other rules begin or end. No port is 0.
func (f *finder) split(ranges []rules.Ports) []rules.Ports {
	if ranges == nil {
		ranges = []rules.Ports{{First: 1, Last: 65535}}
	}
	var parts []rules.Ports
	for _, one := range ranges {
		first := max(one.First, 1)
		for _, edge := range f.edges {
			if first < edge && edge <= one.Last {
				parts = append(parts, rules.Ports{First: first, Last: edge - 1})
				first = edge
			}
		}
		if first <= one.Last {
			parts = append(parts, rules.Ports{First: first, Last: one.Last})
		}
	}
	return parts
}

// packet returns the first packet of a connection that belongs to a cell.
func (f *finder) packet(c cell) walk.Packet {
	p := walk.Packet{Protocol: c.protocol, Destination: c.destination, Port: c.ports.First, Local: true}
	if !p.Destination.IsValid() {
		p.Destination = f.any
	}
	return p
}

// outputOnly refuses what only the OUTPUT chain translates.
func (f *finder) outputOnly(known map[cell]bool) {
	for _, key := range f.set.Keys("nat", rules.Output, translates) {
		if slices.ContainsFunc(key.Way, func(r *walk.Rule) bool { return walk.Owner(r.Chain) != "" }) || protocol(key.Protocol) == "" {
			continue
		}
		alone := func(one cell) bool {
			return !known[one] && !known[cell{one.protocol, netip.Addr{}, one.ports}] && !f.covered(one) && f.takes(key.Rule, one)
		}
		if slices.ContainsFunc(f.cells(key), alone) {
			f.result.refuse("it is for connections of this host only: no key says that", key.Rule)
		}
	}
}

// takes tells whether connections that the host makes itself come to a rule, or may.
func (f *finder) takes(rule *walk.Rule, c cell) bool {
	p := f.packet(c)
	p.Made = true
	out := f.set.Send("nat", rules.Output, p)
	return slices.Contains(out.Doubt, rule) || slices.ContainsFunc(out.Ends, func(end walk.End) bool { return end.Rule == rule })
}

// covered tells whether what comes in is translated for a cell, too.
func (f *finder) covered(c cell) bool {
	return len(f.set.Send("nat", rules.Prerouting, f.packet(c)).Taken(walk.Translates)) > 0
}
