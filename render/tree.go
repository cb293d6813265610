package render

import (
	"fmt"
	"net/netip"
	"slices"

	"natspread/internal/rules"
)

// side says which of the trees an entry belongs to.
type side byte

// The sides. Each is the letter with which the names of its tree's chains begin, a
// capital that no service's name can begin with.
const (
	both           side = 'D' // by destination, the same for PRE and OUT
	incomingOnly   side = 'I' // by destination, for PRE only
	localOnly      side = 'L' // by destination, for OUT only
	source         side = 'S' // by what the destination was, for POST
	backendSource  side = 'B' // by the backend, for POST and the services on "*"
	backendFirst   side = 'U' // by the backend that speaks first, for POST and takeover
	forward        side = 'F' // by what the destination was, for FORWARD
	backendForward side = 'R' // by the backend that answers, for FORWARD and the services on "*"
	relatedTo      side = 'T' // by the backend that answers, for what helpers expect
	relatedFrom    side = 'Q' // by the backend that began, for what helpers expect
	backendBegan   side = 'V' // by the backend that began, for FORWARD and takeover
	clamp          side = 'M' // by what the destination was, for what makes segments shorter
	backendClamp   side = 'N' // by the backend that answers, for that and the services on "*"
	answer         side = 'A' // by the backend that answers, for a service's chain in the filter table
)

// part is what one tree is planted from: of each side the entries of single addresses
// and those of every address, which a way by address cannot tell from one another.
type part struct {
	side    side
	every   bool
	service string
}

// treeBuilder grows the trees of one family's table.
type treeBuilder struct {
	limits limits
	parts  map[part][]rules.Rule // the rules at the root of each
	named  map[string]bool
	chains []rules.Chain
}

// root returns the rules of a chain that a jump leads to: all of them while they are
// few, else the branches of trees. A tree but the last is left by -j, which comes
// back, because packets that it has nothing for may be another's.
func (p *treeBuilder) root(entries []dispatchEntry, most int) []rules.Rule {
	if countRules(entries) <= most {
		return rulesOf(entries)
	}
	of := partsOf(entries)
	var rules []rules.Rule
	for _, side := range []side{incomingOnly, localOnly, backendSource, both, source, backendFirst, backendForward, forward, relatedTo, relatedFrom, backendBegan, backendClamp, clamp, answer} {
		for _, every := range []bool{true, false} {
			if key := (part{side, every, entries[0].service}); len(of[key]) > 0 {
				for i := range rules {
					rules[i] = comingBack(rules[i])
				}
				rules = append(rules, p.tree(key, of[key])...)
			}
		}
	}
	return rules
}

// partsOf sorts entries by the trees that they belong to.
func partsOf(entries []dispatchEntry) map[part][]dispatchEntry {
	parts := map[part][]dispatchEntry{}
	for _, c := range entries {
		key := part{c.side, !c.address.IsValid(), c.service}
		parts[key] = append(parts[key], c)
	}
	return parts
}

// comingBack returns the rule with -j in place of -g.
func comingBack(rule rules.Rule) rules.Rule {
	if rule.Target.Kind == rules.Goto {
		rule.Target.Kind = rules.Jump
	}
	return rule
}

// tree returns the rules at the root of a tree, which is grown once.
func (p *treeBuilder) tree(key part, entries []dispatchEntry) []rules.Rule {
	if _, grown := p.parts[key]; !grown {
		entries = sortAndJoin(entries)
		left := key.side.depth()
		if key.side == incomingOnly {
			left = max(0, left-p.limits.gates)
		}
		p.parts[key] = p.node(key.side, entries, position{height: height(entries, p.limits.leaf), left: left, root: true})
	}
	return p.parts[key]
}

// depth bounds the chains on a way through a tree of the side.
func (s side) depth() int {
	if s == answer {
		return pickDepth
	}
	return treeDepth
}

// position is where a chain stands in its tree.
type position struct {
	height int // chains below it, if it parts at fixed places
	left   int // chains that may be below it
	root   bool
}

// node returns the rules of a chain, and plants the chains below it. The entries are
// sorted. A packet that gets here is one of theirs or nobody's, so the last branch is
// taken without a look, but for the root, where all others' packets come by.
func (p *treeBuilder) node(side side, entries []dispatchEntry, at position) []rules.Rule {
	if rules, few := p.last(entries, at); few {
		return rules
	}
	cut := splitByPrefix
	if at.height > at.left {
		cut = splitBalanced
	}
	groups := cut(entries)
	var list []rules.Rule
	for i, group := range groups {
		below := at.below(group.entries, p.limits.leaf)
		chain := p.node(side, group.entries, below)
		if len(chain) == 1 {
			list = append(list, chain[0])
			continue
		}
		branch := rules.Rule{Target: rules.Target{Kind: rules.Goto, Chain: p.name(side, group)}}
		p.chains = append(p.chains, rules.Chain{Name: branch.Target.Chain, Rules: chain})
		if at.root || i < len(groups)-1 {
			branch = side.condition(branch, group, at.root)
		}
		list = append(list, branch)
	}
	return list
}

// below returns where a group's chain stands. Fixed places, once too many for the
// depth that is left, may do again for a part.
func (w position) below(entries []dispatchEntry, leaf int) position {
	below := position{height: w.height - 1, left: w.left - 1}
	if w.height > w.left {
		below.height = height(entries, leaf)
	}
	return below
}

// last returns the rules of entries as the last chain of a way, and whether they are
// few enough, or no chain may be below it.
func (p *treeBuilder) last(entries []dispatchEntry, at position) ([]rules.Rule, bool) {
	few := p.limits.leaf
	if at.root {
		few *= 2 // which saves a chain
	}
	list, ok := merge(entries, few)
	switch {
	case ok:
	case len(entries) > 1 && at.left > 0:
		return nil, false
	default:
		list = rulesOf(entries)
	}
	for i := range list {
		if list[i].Target.Kind == rules.Jump && !passedOn(list[i:]) {
			list[i].Target.Kind = rules.Goto
		}
	}
	return list, true
}

// passedOn tells whether what comes back from the chain of the first rule may be for that of
// another one: those behind it which are for the same packets.
func passedOn(list []rules.Rule) bool {
	what := func(r rules.Rule) rules.Rule {
		r.InInterface, r.Target, r.ReplySource, r.ReplyPorts = "", rules.Target{}, netip.Prefix{}, rules.Ports{}
		return r
	}
	for _, rule := range list[1:] {
		if what(rule) != what(list[0]) {
			return false
		}
		if rule.Target.Chain != list[0].Target.Chain {
			return true
		}
	}
	return false
}

// condition gives a branch what tells its group from the others of its chain, and at
// the root from everyone else's packets.
func (s side) condition(branch rules.Rule, g group, root bool) rules.Rule {
	var prefix netip.Prefix
	if (root || g.by == byAddress) && g.prefix.Bits() > 0 { // iptables prints no condition that all have
		prefix = g.prefix
	}
	switch protocol := g.entries[0].protocol; {
	case g.by == byAddress:
	case s.byConnection():
		branch.ConnectionProtocol = protocol
	default:
		branch.Protocol = protocol
	}
	var ports rules.Ports
	if g.by == byPort {
		ports = g.ports()
	}
	toPrefix, toPorts := s.where(&branch)
	*toPrefix, *toPorts = prefix, ports
	branch.Translated = root && (s == source || s == backendSource)
	return branch
}

// byConnection tells whether a side tells protocols apart by that of the connection, not of the packet.
func (s side) byConnection() bool {
	return slices.Contains([]side{forward, backendForward, backendBegan, clamp, backendClamp, answer}, s)
}

// where returns the conditions of a rule by which a side tells entries apart.
func (s side) where(rule *rules.Rule) (*netip.Prefix, *rules.Ports) {
	switch s {
	case source, forward, clamp:
		return &rule.OriginalDestination, &rule.OriginalPorts
	case backendSource:
		return &rule.Destination, &rule.OriginalPorts
	case backendForward, backendClamp:
		return &rule.ReplySource, &rule.OriginalPorts
	case answer, relatedTo:
		return &rule.ReplySource, &rule.ReplyPorts
	case backendFirst:
		return &rule.Source, &rule.SourcePorts
	case backendBegan:
		return &rule.OriginalSource, &rule.OriginalSourcePorts
	case relatedFrom:
		return &rule.OriginalSource, &rule.ReplyPorts
	}
	return &rule.Destination, &rule.DestinationPorts
}

// name returns the name of a group's chain. It says for what packets the chain is,
// and so stays when other services come and go: the address in hexadecimal with the
// length of its prefix, or, for a single one, the first letter of the protocol, and
// the first port in hexadecimal with how many of its bits are common. Of IPv6 addresses
// the name holds a hash, and so does that of a chain below one of a service's.
func (p *treeBuilder) name(side side, g group) string {
	name := fmt.Sprintf("%s-%c%s", rules.Prefix, side, regionOf(g.prefix))
	first := g.entries[0]
	switch g.by {
	case byProtocol:
		name += "." + first.protocol[:1]
	case byPort:
		bits := commonPorts(g.entries)
		name += fmt.Sprintf(".%c%04x-%02d", first.protocol[0], first.ports.First&^(1<<(16-bits)-1), bits)
	default:
		if g.prefix.IsSingleIP() {
			name += ".all"
		}
	}
	if first.service != "" {
		name = fmt.Sprintf("%s-%c%s", rules.Prefix, side, rules.Digest(first.service + " " + name)[:14])
	}
	if p.named[name] {
		// Balanced cuts the same prefix twice, and the hashes of two may be one.
		last := g.entries[len(g.entries)-1]
		name = fmt.Sprintf("%s-%cx%s", rules.Prefix, side, rules.Digest(fmt.Sprint(first.service, g.prefix, first, last, len(g.entries)))[:13])
	}
	p.named[name] = true
	return name
}

// regionOf writes a prefix for a name.
func regionOf(prefix netip.Prefix) string {
	switch {
	case !prefix.IsValid():
		return "any"
	case prefix.Addr().Is6():
		return rules.Digest(prefix.String())[:8]
	case prefix.IsSingleIP():
		return fmt.Sprintf("%x", prefix.Addr().AsSlice())
	}
	return fmt.Sprintf("%x-%02d", prefix.Addr().AsSlice(), prefix.Bits())
}

// height returns how many chains are below one with these entries, parted at fixed
// places.
func height(entries []dispatchEntry, leaf int) int {
	if len(entries) <= leaf || len(entries) == 1 {
		return 0
	}
	highest := 0
	for _, group := range splitByPrefix(entries) {
		highest = max(highest, height(group.entries, leaf))
	}
	return 1 + highest
}
