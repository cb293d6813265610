package render

import (
	"net/netip"
	"slices"

	"natspread/internal/rules"
)

// merge returns the rules of entries if they are few, or become so by joining those
// that get the same to prefixes of addresses and to ranges of ports that hold nothing
// else.
func merge(entries []dispatchEntry, few int) (joined []rules.Rule, ok bool) {
	if countRules(entries) <= few {
		return rulesOf(entries), true
	}
	alike, ok := sameRule(entries, few)
	if !ok {
		return nil, false
	}
	for _, same := range alike {
		joined = append(joined, aggregate(same)...)
		if len(joined) > few {
			return nil, false
		}
	}
	// The prefix that most connections ask for comes first.
	slices.SortStableFunc(joined, func(a, b rules.Rule) int {
		prefixA, _ := entries[0].side.where(&a)
		prefixB, _ := entries[0].side.where(&b)
		return prefixA.Bits() - prefixB.Bits()
	})
	return joined, true
}

// sameRule parts entries of one rule each into those whose rules differ in address and
// ports only. It gives up when there are more than few kinds.
func sameRule(entries []dispatchEntry, few int) (alike [][]dispatchEntry, ok bool) {
	for _, c := range entries {
		if len(c.rules) != 1 {
			return nil, false
		}
		rule := c.placeless()
		kind := slices.IndexFunc(alike, func(same []dispatchEntry) bool { return same[0].placeless() == rule })
		if kind < 0 {
			if len(alike) == few {
				return nil, false
			}
			kind = len(alike)
			alike = append(alike, nil)
		}
		alike[kind] = append(alike[kind], c)
	}
	return alike, true
}

// placeless returns the first rule of an entry without the address and the ports.
func (c dispatchEntry) placeless() rules.Rule {
	rule := c.rules[0]
	prefix, ports := c.side.where(&rule)
	*prefix, *ports = netip.Prefix{}, rules.Ports{}
	return rule
}

// aggregate returns the rule of sorted entries, which is the same for all, with prefixes
// and ranges that hold just the addresses and ports of the entries.
func aggregate(entries []dispatchEntry) []rules.Rule {
	prefixes := map[rules.Ports][]netip.Prefix{}
	var order []rules.Ports
	for _, c := range mergePorts(entries) {
		if prefixes[c.ports] == nil {
			order = append(order, c.ports)
		}
		prefixes[c.ports] = appendPrefix(prefixes[c.ports], host(c.address))
	}
	var rules []rules.Rule
	for _, ports := range order {
		for _, prefix := range prefixes[ports] {
			rule := entries[0].rules[0]
			toPrefix, toPorts := entries[0].side.where(&rule)
			*toPrefix, *toPorts = prefix, ports
			rules = append(rules, rule)
		}
	}
	return rules
}

// mergePorts joins those of sorted entries of one address whose ports follow on one
// another.
func mergePorts(entries []dispatchEntry) []dispatchEntry {
	var wide []dispatchEntry
	for _, c := range entries {
		last := len(wide) - 1
		if last >= 0 && wide[last].address == c.address && wide[last].ports.Last+1 == c.ports.First {
			wide[last].ports.Last = c.ports.Last
		} else {
			wide = append(wide, c)
		}
	}
	return wide
}

// appendPrefix adds a prefix behind others that are lower. Two halves of a prefix become that
// one.
func appendPrefix(prefixes []netip.Prefix, next netip.Prefix) []netip.Prefix {
	for n := len(prefixes); n > 0 && next.IsValid() && next.Bits() > 0; n-- {
		before := prefixes[n-1]
		whole := netip.PrefixFrom(before.Addr(), next.Bits()-1).Masked()
		if before.Bits() != next.Bits() || !whole.Contains(next.Addr()) {
			break
		}
		prefixes, next = prefixes[:n-1], whole
	}
	return append(prefixes, next)
}
