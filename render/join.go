package render

import (
	"net/netip"
	"slices"

	"natspread/internal/rules"
)

// joined returns the rules of claims if they are few, or become so by joining those
// that get the same to prefixes of addresses and to ranges of ports that hold nothing
// else.
func joined(claims []claim, few int) (joined []rules.Rule, ok bool) {
	if countRules(claims) <= few {
		return rulesOf(claims), true
	}
	alike, ok := sameRule(claims, few)
	if !ok {
		return nil, false
	}
	for _, same := range alike {
		joined = append(joined, cover(same)...)
		if len(joined) > few {
			return nil, false
		}
	}
	// The prefix that most connections ask for comes first.
	slices.SortStableFunc(joined, func(a, b rules.Rule) int {
		prefixA, _ := claims[0].side.where(&a)
		prefixB, _ := claims[0].side.where(&b)
		return prefixA.Bits() - prefixB.Bits()
	})
	return joined, true
}

// sameRule parts claims of one rule each into those whose rules differ in address and
// ports only. It gives up when there are more than few kinds.
func sameRule(claims []claim, few int) (alike [][]claim, ok bool) {
	kinds := map[rules.Rule]int{}
	for _, c := range claims {
		if len(c.rules) != 1 {
			return nil, false
		}
		rule := c.rules[0]
		prefix, ports := c.side.where(&rule)
		*prefix, *ports = netip.Prefix{}, rules.Ports{}
		kind, known := kinds[rule]
		if !known {
			if len(kinds) == few {
				return nil, false
			}
			kind = len(kinds)
			kinds[rule] = kind
			alike = append(alike, nil)
		}
		alike[kind] = append(alike[kind], c)
	}
	return alike, true
}

// cover returns the rule of sorted claims, which is the same for all, with prefixes
// and ranges that hold just what they claim.
func cover(claims []claim) []rules.Rule {
	prefixes := map[rules.Ports][]netip.Prefix{}
	var order []rules.Ports
	for _, c := range neighbours(claims) {
		if prefixes[c.ports] == nil {
			order = append(order, c.ports)
		}
		prefixes[c.ports] = add(prefixes[c.ports], host(c.address))
	}
	var rules []rules.Rule
	for _, ports := range order {
		for _, prefix := range prefixes[ports] {
			rule := claims[0].rules[0]
			toPrefix, toPorts := claims[0].side.where(&rule)
			*toPrefix, *toPorts = prefix, ports
			rules = append(rules, rule)
		}
	}
	return rules
}

// neighbours joins those of sorted claims of one address whose ports follow on one
// another.
func neighbours(claims []claim) []claim {
	var wide []claim
	for _, c := range claims {
		last := len(wide) - 1
		if last >= 0 && wide[last].address == c.address && wide[last].ports.Last+1 == c.ports.First {
			wide[last].ports.Last = c.ports.Last
		} else {
			wide = append(wide, c)
		}
	}
	return wide
}

// add adds a prefix behind others that are lower. Two halves of a prefix become that
// one.
func add(prefixes []netip.Prefix, next netip.Prefix) []netip.Prefix {
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
