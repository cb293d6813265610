package packetpath

import (
	"cmp"
	"math"
	"slices"

	"natspread/internal/rules"
)

// Point is where in the kernel a chain is hooked.
type Point string

// The points that packets of a service come by, in the words of nft.
const (
	Ingress     Point = "ingress"
	Prerouting  Point = "prerouting"
	Input       Point = "input"
	Forward     Point = "forward"
	Output      Point = "output"
	Postrouting Point = "postrouting"
)

// The priorities in the kernel at which packets are tracked, and translated: the destination,
// and then the source. Chains of nft's of type nat run there whatever their own priority is,
// which orders them among themselves (nf_nat_register_fn).
const (
	tracking  = -200
	natBefore = -100
	natAfter  = 100
)

// hook is a chain that the kernel runs.
type hook struct {
	at       Point
	priority int
	rank     int  // among those of one priority: the lower ones run first
	unranked bool // legacy's: nothing shows when it was registered
	tied     bool // nobody can tell whether it runs before natspread's
	nat      bool
	ours     bool   // natspread's jump is, or would be, in it
	device   string // of an ingress hook
	table    table
	chain    string
}

// Path is all that the kernel runs on the packets of a family.
type Path struct {
	hooks []hook
}

// Kind is what happens to a packet.
type Kind int

// The kinds.
const (
	Dropped   Kind = iota
	Taken          // another rule, or another program, gets it instead of natspread's
	Hidden         // the backends do not see the client's address
	Untracked      // so it is not translated
	Zoned          // into a zone of conntrack
	Asked          // a program, or what nobody here knows, decides
	Unreached      // a rule that would translate it, had natspread not done so before
)

// Event is what a rule does to packets.
type Event struct {
	What    Kind
	Rule    Rule
	Sure    bool  // false where nobody can tell whether it does
	Packets []int // by their places, in order
}

// Read is what was read, for a family.
type Read struct {
	Family  rules.Family
	Variant rules.Variant // of natspread's rules
	rules.Hooks
}

// builtInChain is a chain that iptables hooks.
type builtInChain struct {
	table, chain string
	at           Point
	priority     int
}

// builtIn are those chains.
var builtIn = []builtInChain{
	{"raw", "PREROUTING", Prerouting, -300}, {"raw", "OUTPUT", Output, -300},
	{"mangle", "PREROUTING", Prerouting, -150}, {"mangle", "FORWARD", Forward, -150}, {"mangle", "OUTPUT", Output, -150}, {"mangle", "POSTROUTING", Postrouting, -150},
	{"nat", "PREROUTING", Prerouting, natBefore}, {"nat", "OUTPUT", Output, natBefore}, {"nat", "POSTROUTING", Postrouting, natAfter},
	{"filter", "FORWARD", Forward, 0}, {"filter", "OUTPUT", Output, 0},
	{"security", "FORWARD", Forward, 50}, {"security", "OUTPUT", Output, 50},
	{"mangle", "INPUT", Input, -150}, {"filter", "INPUT", Input, 0}, {"security", "INPUT", Input, 50},
}

// New sorts what was read into the kernel's order.
func New(read Read) Path {
	var path Path
	for _, ruleset := range read.Rulesets {
		if ruleset.Family == read.Family {
			path.hooks = append(path.hooks, read.ofIPTables(ruleset)...)
		}
	}
	for _, native := range read.Native {
		path.hooks = append(path.hooks, read.ofNative(native)...)
	}
	path.lead()
	path.tie()
	slices.SortStableFunc(path.hooks, func(a, b hook) int {
		return cmp.Or(cmp.Compare(a.priority, b.priority), cmp.Compare(a.rank, b.rank))
	})
	return path
}

// ofIPTables returns the hooks of one variant. One whose table sleeps runs nothing.
func (read Read) ofIPTables(ruleset rules.Ruleset) []hook {
	var hooks []hook
	tables := map[string]table{}
	for _, known := range builtIn {
		if len(ruleset.Tables[known.table]) == 0 || ruleset.Variant == rules.NFT && read.sleeps(read.Family.NFTWord(), known.table) {
			continue
		}
		if tables[known.table] == nil {
			tables[known.table] = fromIPTables(ruleset, known.table, read.partly(ruleset, known.table))
		}
		one := hook{
			at: known.at, priority: known.priority, rank: math.MinInt + 1, nat: known.table == "nat", table: tables[known.table], chain: known.chain,
			ours: known.table == "nat" && ruleset.Variant == read.Variant, unranked: ruleset.Variant == rules.Legacy,
		}
		if ruleset.Variant == rules.NFT {
			one.rank = read.rank(read.Family.NFTWord(), known.table, known.chain)
		}
		hooks = append(hooks, one)
	}
	return hooks
}

// partly returns the rules of a table of which only a part is shown, by chain and place.
func (read Read) partly(ruleset rules.Ruleset, name string) map[string][]int {
	places := map[string][]int{}
	for _, one := range read.Partly {
		if ruleset.Variant == rules.NFT && one.Family == ruleset.Family && one.Table == name {
			places[one.Chain] = append(places[one.Chain], one.Place)
		}
	}
	return places
}

// sleeps tells whether a table of nftables is dormant.
func (read Read) sleeps(family, name string) bool {
	return slices.ContainsFunc(read.Chains, func(c rules.BaseChain) bool {
		return c.Family == family && c.Table == name && c.Dormant
	})
}

// rank returns the place of a chain of nftables among those of one priority: the one that was
// registered last runs first (nf_hook_entries_grow).
func (read Read) rank(family, table, name string) int {
	return -slices.IndexFunc(read.Chains, func(c rules.BaseChain) bool {
		return c.Family == family && c.Table == table && c.Name == name
	})
}

// lead puts natspread's jumps where apply will put them, where they are not there yet: as the
// first rule of a chain, which is registered last where it is not there either.
func (p *Path) lead() {
	for _, point := range []Point{Prerouting, Output} {
		at := slices.IndexFunc(p.hooks, func(h hook) bool { return h.ours && h.at == point })
		if at < 0 {
			at = len(p.hooks)
			p.hooks = append(p.hooks, hook{at: point, priority: natBefore, rank: math.MinInt + 1, nat: true, ours: true, table: table{}, chain: string(point)})
		}
		h := p.hooks[at]
		c := h.table[h.chain]
		if c == nil {
			c = &chain{}
			h.table[h.chain] = c
		}
		if !slices.ContainsFunc(c.rules, func(r rule) bool { return r.verdict == ours }) {
			c.rules = slices.Insert(c.rules, 0, rule{verdict: ours})
		}
	}
}

// tie puts before natspread's, as what may run there, every hook of type nat of which nobody
// can tell whether it does: it has the same priority, and nothing shows when legacy's chains
// were registered.
func (p Path) tie() {
	for _, own := range p.hooks {
		for i := range p.hooks {
			if h := &p.hooks[i]; own.ours && !h.ours && h.nat && h.at == own.at && h.priority == own.priority {
				if h.tied = h.unranked || own.unranked; h.tied {
					h.rank = math.MinInt
				}
			}
		}
	}
}

// at returns the hooks of a point that pass, in the kernel's order.
func (p Path) at(point Point, pass func(hook) bool) []hook {
	var hooks []hook
	for _, h := range p.hooks {
		if h.at == point && pass(h) {
			hooks = append(hooks, h)
		}
	}
	return hooks
}

// The hooks of a point: those that run before the destination is translated, those that run
// after that, those that do not translate, and those that do.
func beforeNAT(h hook) bool { return !h.nat && h.priority <= natBefore }
func afterNAT(h hook) bool  { return !h.nat && h.priority > natBefore }
func filters(h hook) bool   { return !h.nat }
func nats(h hook) bool      { return h.nat }

// Arrive follows packets of clients from the wire until they are translated. It returns, too,
// in which zone of conntrack each is; -1 where that is not known.
func (p Path) Arrive(packets []Packet) ([]Event, []int) {
	return follow(packets, p.at(Ingress, filters), p.at(Prerouting, beforeNAT), p.at(Prerouting, nats))
}

// Leave follows packets that the host itself sends to a service until they are translated.
func (p Path) Leave(packets []Packet) ([]Event, []int) {
	return follow(packets, p.at(Output, beforeNAT), p.at(Output, nats))
}

// Pass follows translated packets of clients to the backend. Of those who translate sources only
// those packets are asked about whose source natspread leaves as it is.
func (p Path) Pass(packets []Packet) []Event {
	events, _ := follow(packets, p.at(Prerouting, afterNAT), p.at(Forward, filters), p.at(Postrouting, filters), p.at(Postrouting, nats))
	return events
}

// Deliver follows packets of clients to a backend that is the host itself: translated ones, and those that
// stay at the address that they asked for.
func (p Path) Deliver(packets []Packet) []Event {
	events, _ := follow(packets, p.at(Prerouting, afterNAT), p.at(Input, filters))
	return events
}

// Alone tells whether packets meet nothing but natspread's own jumps, so that there is nobody
// to follow.
func (p Path) Alone() bool {
	return !slices.ContainsFunc(p.hooks, func(h hook) bool {
		c := h.table[h.chain]
		return c != nil && (c.policy != nil || slices.ContainsFunc(c.rules, func(r rule) bool { return r.verdict != ours }))
	})
}

// WatchesOut tells whether anything looks at translated packets that the host itself sent.
func (p Path) WatchesOut() bool {
	return len(p.at(Output, afterNAT))+len(p.at(Postrouting, filters)) > 0
}

// PassOut follows translated packets that the host itself sent.
func (p Path) PassOut(packets []Packet) []Event {
	events, _ := follow(packets, p.at(Output, afterNAT), p.at(Postrouting, filters))
	return events
}

// Return follows replies of a backend to the client, and returns the zone of each. Only the
// first packet of a connection meets the chains of type nat.
func (p Path) Return(packets []Packet) ([]Event, []int) {
	return follow(packets, p.at(Ingress, filters), p.at(Prerouting, filters), p.at(Forward, filters), p.at(Postrouting, filters))
}

// follow follows packets through hooks of several points, one after the other.
func follow(packets []Packet, points ...[]hook) ([]Event, []int) {
	hooks := slices.Concat(points...)
	if len(hooks) == 0 || len(packets) == 0 {
		return nil, make([]int, len(packets))
	}
	w := newWalk(packets)
	for _, h := range hooks {
		if h.nat && h.at == Postrouting {
			w.live = w.keepSource().and(w.live)
		}
		if w.live.empty() {
			break
		}
		w.run(h)
	}
	return w.events, w.zone
}
