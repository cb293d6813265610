package adopt

import (
	"net/netip"
	"slices"

	"natspread/internal/adopt/walk"
	"natspread/internal/rules"
)

// beside reports what other tables of a family do with the connections that were adopted: it stays.
func (r *Result) beside(set *walk.Ruleset) {
	for _, service := range r.Services {
		d := service.draft
		if d.family != set.Family {
			continue
		}
		for _, table := range []string{"raw", "mangle"} {
			for _, key := range set.Keys(table, rules.Prerouting, anyRule) {
				if slices.ContainsFunc(d.cells, func(c cell) bool { return touches(key, c) }) {
					r.leave("it is in the "+table+" table, and sees the connections of "+d.name+" before natspread's rules: adopt leaves it as it is", key.Rule)
				}
			}
		}
		r.clamps(set, d)
		r.drops(d)
	}
}

// drops reports what FORWARD drops of the connections of a service, where the service does not say that it
// is to let them through.
func (r *Result) drops(d *draft) {
	if d.accepted != nil {
		return
	}
	for _, one := range d.drops {
		what := "FORWARD"
		if one.rule == nil {
			what = "FORWARD's policy"
		}
		r.leave(what+" drops connections of "+d.name+"; forward = \"accept\" would let them through", one.rule)
	}
}

// clamps reports rules that set the size of TCP's segments for connections of a service: it has a key
// for that.
func (r *Result) clamps(set *walk.Ruleset, d *draft) {
	if !slices.Contains(d.protocols, "tcp") {
		return
	}
	for _, chain := range []string{rules.Forward, rules.Postrouting} {
		for _, key := range set.Keys("mangle", chain, func(rule *walk.Rule) bool { return rule.Target.Name == "TCPMSS" }) {
			if key.Protocol == "" || protocol(key.Protocol) == "tcp" {
				r.leave("it sets the MSS of TCP connections, and serves others, too: clamp_mss = true does that for a service's connections only", key.Rule)
			}
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
