package walk

import (
	"net/netip"

	"natspread/internal/rules"
)

// Key is what a connection has to ask for to reach a rule that translates: all that the rules which
// lead there ask for together. None of a kind is no condition.
type Key struct {
	Rule        *Rule
	Way         []*Rule // the rules that lead to it, from the built-in chain on
	In          string
	Protocol    string
	Destination []netip.Prefix
	Ports       []rules.Ports
	NotFor      []netip.Prefix // destinations that some rule on the way leaves out
}

// mostKeys bounds how many ways to rules are followed.
const mostKeys = 1 << 16

// Keys returns how connections reach the rules of a kind below a built-in chain, in their order.
func (s *Ruleset) Keys(table, chain string, wanted func(*Rule) bool) []Key {
	k := keyFinder{set: s, table: table, wanted: wanted}
	k.chain(chain, Key{}, 0)
	return k.keys
}

// keyFinder collects keys.
type keyFinder struct {
	set    *Ruleset
	table  string
	wanted func(*Rule) bool
	keys   []Key
	steps  int
}

// chain collects those of a chain that is reached by what a key asks for.
func (k *keyFinder) chain(name string, before Key, depth int) {
	chain := k.set.tables[k.table][name]
	if chain == nil || depth > mostDepth {
		return
	}
	for _, rule := range chain.Rules {
		if k.steps++; k.steps > mostRules || len(k.keys) > mostKeys {
			return
		}
		leads := rule.Target.Kind == Jumps
		if !leads && !k.wanted(rule) {
			continue
		}
		key, possible := before.with(rule)
		switch {
		case !possible:
		case leads:
			k.chain(rule.Target.Name, key, depth+1)
		default:
			key.Rule = rule
			k.keys = append(k.keys, key)
		}
	}
}

// with adds what a rule asks for; false where nothing can ask for both.
func (k Key) with(rule *Rule) (Key, bool) {
	asks, possible := rule.Asks, true
	both := func(before, more string) string {
		possible = possible && (before == "" || more == "" || before == more || sameLink(before, more) || sameLink(more, before))
		if more == "" || sameLink(more, before) && before != "" {
			return before
		}
		return more
	}
	k.In = both(k.In, asks.In)
	if k.Protocol != "" && asks.Protocol != "" && !sameProtocol(asks.Protocol, k.Protocol) && !sameProtocol(k.Protocol, asks.Protocol) {
		return k, false
	}
	if k.Protocol == "" {
		k.Protocol = asks.Protocol
	}
	k.Destination = bothPrefixes(k.Destination, asks.Destination)
	k.Ports = bothPorts(k.Ports, asks.Ports)
	k.NotFor = append(k.NotFor[:len(k.NotFor):len(k.NotFor)], asks.NotDestination...)
	k.Way = append(k.Way[:len(k.Way):len(k.Way)], rule)
	return k, possible && (k.Destination == nil || len(k.Destination) > 0) && (k.Ports == nil || len(k.Ports) > 0)
}

// bothPrefixes returns what is in both of two lists; nil is everything.
func bothPrefixes(a, b []netip.Prefix) []netip.Prefix {
	if a == nil || b == nil {
		return append(a, b...)
	}
	both := []netip.Prefix{}
	for _, one := range a {
		for _, other := range b {
			if one.Overlaps(other) && one.Bits() >= other.Bits() {
				both = append(both, one)
			} else if one.Overlaps(other) {
				both = append(both, other)
			}
		}
	}
	return both
}

// bothPorts returns what is in both of two lists; nil is everything.
func bothPorts(a, b []rules.Ports) []rules.Ports {
	if a == nil || b == nil {
		return append(a, b...)
	}
	both := []rules.Ports{}
	for _, one := range a {
		for _, other := range b {
			if first, last := max(one.First, other.First), min(one.Last, other.Last); first <= last {
				both = append(both, rules.Ports{First: first, Last: last})
			}
		}
	}
	return both
}
