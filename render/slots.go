package render

import (
	"slices"

	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/internal/slots"
)

// slotFan is how many ways a chain of a tree of slots parts, at most. It is a power of two, so
// that a chain looks at some bits of the mark.
const slotFan = 16

// The levels of chains by their letters in their names. Chains for a random pick and for turns have
// lower ones.
const (
	levelRefused  = int('R' - 'A') // the chain that refuses
	levelPairs    = int('P' - 'A') // chains for the turns of a mapped port, a level for each protocol
	levelSixteens = int('S' - 'A') // chains for slotFan leaves
	levelLeaves   = int('T' - 'A') // chains for slotFan slots
	levelBackends = int('Z' - 'A') // chains for a backend
)

// chainPlaces is how many chains a level can have: see rules.PickChain.
const chainPlaces = 36 * 36

// bySlot returns the rules of the service's chain that give a connection its slot as a mark,
// and lead to the backend that owns it. No rule but the last ones names a protocol, so that
// several cost a rule for each backend only.
//
// The tree and its names are the same whoever is drained: then leaves change, and the chain of
// the backend goes. With all of them drained a chain that refuses owns the slots.
func (p *selector) bySlot(service config.Service) []rules.Rule {
	owners, former := service.Owners(), formerOwners(service)
	targets := p.backendChains(service, slices.Concat(owners, former))
	if owners == nil {
		owners = slices.Repeat([]int{len(targets)}, service.Slots)
		targets = append(targets, p.addChain(levelRefused, 0, append([]rules.Rule{restoreMark()}, p.refuse(service.Listen)...)))
	}
	tree := slotTree{selector: p, ranks: make([]int, len(targets)), former: former, backends: targets}
	for rank, place := range slots.Order(service.SlotBackends()) {
		tree.ranks[place] = rank
	}
	hash := rules.Rule{Target: rules.Target{
		Kind: rules.Hash, Prefix: uint8(service.SourcePrefix), SourcePort: service.Algorithm == config.Flow, Slots: uint16(service.Slots),
	}}
	return append([]rules.Rule{hash}, tree.rules(owners, 0)...)
}

// slotTree grows the tree of slots of one service.
type slotTree struct {
	*selector
	ranks    []int          // of the backends, in the order in which ties are broken
	former   []int          // see formerOwners
	backends []rules.Target // what leads to each backend
}

// rules returns the rules of a chain that part some slots, the first of which is a multiple of
// how many they are, and plants the chains below it. Every packet that gets here has one of
// these slots, so the last branch is taken without a look.
func (t slotTree) rules(owners []int, first int) []rules.Rule {
	if len(owners) <= slotFan {
		return t.leaf(owners, first)
	}
	size, level := slotFan, levelLeaves
	if len(owners) > slotFan*slotFan {
		size, level = slotFan*slotFan, levelSixteens
	}
	list := make([]rules.Rule, 0, len(owners)/size)
	for from := 0; from < len(owners); from += size {
		below := t.rules(owners[from:from+size], first+from)
		branch := rules.Rule{Target: t.addChain(level, (first+from)/size, below)}
		if from+size < len(owners) {
			branch.Mark = rules.Mark{Value: uint16(from), Mask: uint16(len(owners) - size)}
		}
		list = append(list, branch)
	}
	return list
}

// leaf returns a rule for each of a few slots, from the first on, but those of the commonest
// owner, who gets the rest. Before the rule of a slot that has a former owner stands one that
// gives that owner what is in the middle of a connection.
func (t slotTree) leaf(owners []int, first int) []rules.Rule {
	held := map[int]int{}
	commonest := owners[0]
	for _, owner := range owners {
		held[owner]++
	}
	for owner, slots := range held {
		if slots > held[commonest] || slots == held[commonest] && t.ranks[owner] < t.ranks[commonest] {
			commonest = owner
		}
	}
	list := make([]rules.Rule, 0, len(owners)-held[commonest]+1) // thousands of services have many leaves
	for slot, owner := range owners {
		mark := rules.Mark{Value: uint16(slot), Mask: slotFan - 1}
		if t.former != nil && t.former[first+slot] >= 0 {
			list = append(list, rules.Rule{Protocol: string(config.TCP), Midstream: true, Mark: mark, Target: t.backends[t.former[first+slot]]})
		}
		if owner != commonest {
			list = append(list, rules.Rule{Mark: mark, Target: t.backends[owner]})
		}
	}
	return append(list, rules.Rule{Target: t.backends[commonest]})
}

// backendChains adds a chain for each backend that is among the owners, and returns what leads to
// them, by the places of the backends. Such a chain takes the slot off the packet and translates.
// DNAT ends the packet's walk, so it comes last.
func (p *selector) backendChains(service config.Service, owners []int) []rules.Target {
	owns := map[int]bool{}
	for _, owner := range owners { // with -1, which is no backend: see formerOwners
		owns[owner] = true
	}
	targets := make([]rules.Target, len(service.Backends))
	for i, place := range slots.Places(service.SlotBackends(), chainPlaces) {
		if owns[i] {
			list := append([]rules.Rule{restoreMark()}, p.translate(service.Backends[i])...)
			targets[i] = p.addChain(levelBackends, place, list)
		}
	}
	return targets
}

// restoreMark gives a packet back the mark that others have given to its connection, in place of
// its slot.
func restoreMark() rules.Rule { return rules.Rule{Target: rules.Target{Kind: rules.RestoreMark}} }
