package adopt

import (
	"net/netip"
	"slices"

	"natspread/internal/adopt/walk"
	"natspread/internal/rules"
)

// beside files what other tables of a family do with the connections that were adopted: it stays.
func (r *Result) beside(set *walk.Ruleset) {
	for _, service := range r.Services {
		d := service.draft
		if d.family != set.Family {
			continue
		}
		for _, table := range []string{"raw", "mangle"} {
			for _, key := range set.Keys(table, rules.Prerouting, func(*walk.Rule) bool { return true }) {
				if slices.ContainsFunc(d.cells, func(c cell) bool { return touches(key, c) }) {
					r.leave("it is in the "+table+" table, which meets the connections of "+d.name+" before: it is not adopted, and goes on", key.Rule)
				}
			}
		}
		if d.accepted == nil {
			r.leave("FORWARD drops connections of "+d.name+"; forward = \"accept\" would let them through", d.dropped...)
		}
		if d.policy && d.accepted == nil {
			r.leave("FORWARD's policy drops connections of "+d.name+"; forward = \"accept\" would let them through", nil)
		}
	}
}

// touches tells whether packets of a cell may reach a rule.
func touches(key walk.Key, c cell) bool {
	in := func(p netip.Prefix) bool {
		return p.Bits() == 0 || !c.destination.IsValid() || p.Contains(c.destination)
	}
	return (key.Protocol == "" || key.Protocol == "all" || protocol(key.Protocol) == c.protocol) &&
		(key.Destination == nil || slices.ContainsFunc(key.Destination, in)) && overlap(key.Ports, []rules.Ports{c.ports})
}
