package adopt

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strings"

	"natspread/internal/adopt/walk"
	"natspread/internal/rules"
	"natspread/internal/text"
)

// Difference is what the config's rules do otherwise than the old ones, and nobody agreed to.
type Difference struct {
	Service string `json:"service"`
	Packet  string `json:"packet"` // "tcp 192.0.2.10:80 from outside"
	Old     string `json:"old"`
	New     string `json:"new"`
}

// compare follows the same packets through the old rules of a family and the new ones: of each cell that
// was adopted, from outside, from the backends' subnet and from this host.
func (r *Result) compare(set *walk.Ruleset, in Input) {
	before := finder{set: set, in: in, result: &Result{}}
	before.measure()
	after := before
	after.set = renderedSet(r.Tables, set.Family)
	r.compareUnadopted(after)
	for _, service := range r.Services {
		if service.draft.family != set.Family {
			continue
		}
		for _, c := range service.draft.cells {
			for _, addr := range service.draft.addresses(c) {
				pair := pair{before, after, service.draft, cell{c.protocol, addr, c.ports}, r}
				pair.all()
				if !addr.IsValid() {
					pair.others()
				}
			}
		}
	}
}

// compareUnadopted looks whether the new rules take packets whose old rules were not adopted.
func (r *Result) compareUnadopted(after finder) {
	for _, one := range r.unadopted {
		if one.family != after.set.Family || len(one.rules) == 0 {
			continue
		}
		p := after.packet(one.cell)
		p.In, p.Source = one.link, one.source
		now, _ := after.send(rules.Prerouting, p)
		if len(now.parts) == 0 {
			continue
		}
		c := pair{draft: &draft{name: "what stays"}, result: r}
		c.differ(p, "from outside", Quote(one.rules[0]), sharesText(c.sharesOf(now, p)))
	}
}

// renderedSet reads natspread's own tables. Their chains get another prefix, since walk leaves out rules
// that lead to natspread's chains.
func renderedSet(tables rules.Tables, family rules.Family) *walk.Ruleset {
	text := string(tables.Of(family).Text()) + string(tables.Filter(family).Text())
	return walk.Parse(family, []byte(strings.ReplaceAll(text, rules.Prefix, "SPREAD")))
}

// addresses returns what stands for the address of a cell: itself, or each that was chosen.
func (d *draft) addresses(c cell) []netip.Addr {
	if c.destination.IsValid() {
		return []netip.Addr{c.destination}
	}
	var list []netip.Addr
	if d.forHost || slices.Contains(d.choices.Listen, "*") {
		return []netip.Addr{{}}
	}
	for _, one := range d.choices.Listen {
		addr, _ := netip.ParseAddr(one)
		if addr.Is6() == (d.family == rules.IPv6) {
			list = append(list, addr)
		}
	}
	return list
}

// pair is the old rules and the new ones for the packets of a cell.
type pair struct {
	before, after finder
	draft         *draft
	cell          cell
	result        *Result
}

// all compares what comes in by any interface, from all clients that rules name, and what the host makes
// itself.
func (c *pair) all() {
	p := c.before.packet(c.cell)
	sources, links := c.before.asked(p)
	newSources, newLinks := c.after.asked(p)
	sources = union(sources, newSources)
	for _, link := range slices.Concat([]string{""}, union(links, newLinks)) {
		p.In = link
		where := "from outside"
		if link != "" {
			where += " by " + link
		}
		p.Source = netip.Addr{}
		c.one(rules.Prerouting, p, where)
		for _, source := range sources {
			if p.Source = clientOf(source, sources); p.Source.IsValid() {
				c.one(rules.Prerouting, p, "from "+source.String())
			}
		}
	}
	p.In, p.Source, p.Made = "", netip.Addr{}, true
	c.one(rules.Output, p, "from this host")
}

// others compares an address out of each subnet that old rules name, or leave out: "*" may be one of these.
func (c *pair) others() {
	var subnets []netip.Prefix
	for _, key := range c.before.asking {
		if (key.Protocol == "" || protocol(key.Protocol) == c.cell.protocol) && overlap(key.Ports, []rules.Ports{c.cell.ports}) {
			subnets = append(append(subnets, key.Destination...), key.NotFor...)
		}
	}
	for _, subnet := range subnets {
		one := *c
		one.cell.destination = clientOf(subnet, subnets)
		if addr := one.cell.destination; addr.IsValid() && !addr.IsLoopback() && !c.result.judges(one.cell) {
			one.all()
		}
	}
}

// judges tells whether a cell is compared by itself: it was adopted, or is noted as not adopted.
func (r *Result) judges(c cell) bool {
	return slices.ContainsFunc(r.Services, func(s Service) bool { return slices.Contains(s.draft.cells, c) }) ||
		slices.ContainsFunc(r.unadopted, func(s unadoptedCell) bool { return s.cell == c })
}

// one compares a packet, and what becomes of its source on the way to each backend.
func (c *pair) one(chain string, p walk.Packet, where string) {
	old, _ := c.before.send(chain, p)
	now, _ := c.after.send(chain, p)
	if len(old.parts)+len(now.parts) == 0 || len(now.parts) == 0 && c.result.staysWith(old.list) {
		return
	}
	if !c.agreed() || len(old.parts) == 0 || len(now.parts) == 0 {
		if a, b := c.sharesOf(old, p), c.sharesOf(now, p); !alike(a, b) {
			c.differ(p, where, sharesText(a), sharesText(b))
			return
		}
	}
	if chain == rules.Output || c.draft.unsure || c.draft.choices.SNAT != "" {
		return
	}
	for _, part := range old.parts {
		addr, _, host := backendOf(part.target, p)
		if host || addr == p.Destination || c.draft.snat == "" {
			continue
		}
		a, b := c.before.translated(p, part.target), c.after.translated(p, part.target)
		c.source(a, b, where)
		a.Source, b.Source = addr.Prev(), addr.Prev()
		c.source(a, b, "from the backends' subnet")
	}
}

// staysWith tells whether some rules are all of services that are left out: whatever natspread's rules do not take
// still comes to these.
func (r *Result) staysWith(list []*walk.Rule) bool {
	return !slices.ContainsFunc(list, func(rule *walk.Rule) bool { return !slices.Contains(r.excepted, rule) })
}

// agreed tells whether a choice said that the shares are to differ.
func (c *pair) agreed() bool { return c.draft.slip.meant != nil || c.draft.left > lost }

// source compares what becomes of the source of a translated packet.
func (c *pair) source(old, now walk.Packet, where string) {
	a, b := c.before.hide(old), c.after.hide(now)
	if (!sameSources(a.snat, b.snat) || a.fully != b.fully) && len(a.doubt) == 0 {
		c.differ(old, where+", seen by "+old.Destination.String(), "source "+a.text(), "source "+b.text())
	}
}

// text says what becomes of the source.
func (h hidden) text() string {
	if h.fully {
		return h.snat + ", with ports by chance"
	}
	return h.snat
}

// differ adds a difference, once.
func (c *pair) differ(p walk.Packet, where, old, now string) {
	to := netip.AddrPortFrom(p.Destination, p.Port).String()
	if p.Asked.IsValid() {
		to = p.Asked.String()
	}
	one := Difference{c.draft.name, fmt.Sprintf("%s %s %s", p.Protocol, to, where), old, now}
	if !slices.Contains(c.result.Differences, one) {
		c.result.Differences = append(c.result.Differences, one)
	}
}

// sharesOf returns the shares of each address and port. This host has one address as good as another.
func (c *pair) sharesOf(s spread, p walk.Packet) map[string]float64 {
	shares := map[string]float64{}
	for _, part := range s.parts {
		addr, port, host := backendOf(part.target, p)
		name := netip.AddrPortFrom(addr, port).String()
		if host || addr == p.Destination || slices.Contains(c.draft.choices.Listen, addr.String()) {
			name = fmt.Sprintf("this host:%d", port)
		}
		shares[name] += part.share
	}
	if s.left > lost { // what nobody translates reaches this host, which has the address
		shares[fmt.Sprintf("this host:%d", p.Port)] += s.left
	}
	return shares
}

// alike tells whether two lists of shares are the same, to 1 %.
func alike(a, b map[string]float64) bool {
	near := func(a, b map[string]float64) bool {
		for name, share := range a {
			if math.Abs(share-b[name]) > near+1e-9 {
				return false
			}
		}
		return true
	}
	return near(a, b) && near(b, a)
}

// sharesText writes shares in the order of their names.
func sharesText(shares map[string]float64) string {
	var words []string
	for name, share := range shares {
		words = append(words, name+" "+text.Percent(share))
	}
	slices.Sort(words)
	if words == nil {
		return "not translated"
	}
	return strings.Join(words, ", ")
}
