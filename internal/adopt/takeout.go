package adopt

import (
	"net/netip"
	"slices"

	"natspread/internal/adopt/walk"
	"natspread/internal/rules"
)

// Removal is a rule of the nat table that the config replaces, or with no Text a chain that is empty then.
type Removal struct {
	Family rules.Family
	Chain  string
	Place  int // as iptables -L --line-numbers counts
	Line   int
	Text   string
}

// Taken returns what a load of the config takes out.
func (r Result) Taken() []rules.Taken {
	var taken []rules.Taken
	for _, one := range r.TakeOut {
		taken = append(taken, rules.Taken{Family: one.Family, Chain: one.Chain, Place: one.Place, Text: one.Text})
	}
	return taken
}

// TakenWhole returns what a load takes out, once all questions that are open are answered.
func (r Result) TakenWhole() []rules.Taken {
	if len(r.open) == 0 {
		return r.Taken()
	}
	whole := Result{Services: slices.Clone(r.Services), Refused: r.Refused, excepted: r.excepted}
	for _, d := range r.open {
		whole.Services = append(whole.Services, Service{Name: d.name, Rules: d.list, draft: d})
	}
	for _, set := range r.sets {
		whole.takeOut(set)
	}
	return whole.Taken()
}

// takeOut finds the rules of a family that were adopted, in all that they do, and the chains that are empty
// without them. Rules that hide the source of more than backends stay: they serve others, too.
func (r *Result) takeOut(set *walk.Ruleset) {
	t := remover{set: set, result: r, adopted: map[cell]bool{}, goes: map[*walk.Rule]bool{}}
	t.finder = finder{set: set, result: &Result{}}
	t.finder.measure()
	backends := map[netip.Addr]bool{}
	for _, service := range r.Services {
		if service.draft.family != set.Family {
			continue
		}
		for _, c := range service.draft.cells {
			t.adopted[c] = true
		}
		for _, p := range service.draft.parts {
			backends[p.target.Address] = true
		}
	}
	t.translations()
	t.hiding(backends)
	t.chains()
	t.list()
}

// remover collects what goes.
type remover struct {
	finder  finder
	set     *walk.Ruleset
	result  *Result
	adopted map[cell]bool
	goes    map[*walk.Rule]bool
	empty   []string
}

// translations finds the rules that translate nothing but what was adopted.
func (t *remover) translations() {
	stays := map[*walk.Rule]bool{}
	for _, rule := range t.result.excepted {
		stays[rule] = true
	}
	for _, refusal := range t.result.Refused {
		for _, rule := range refusal.Rules {
			stays[rule] = true
		}
	}
	for _, chain := range []string{rules.Prerouting, rules.Output} {
		for _, key := range t.set.Keys("nat", chain, t.adopts) {
			cells := t.finder.cells(key)
			whole := protocol(key.Protocol) != "" && len(cells) > 0 && !slices.ContainsFunc(cells, func(c cell) bool { return !t.covers(c) })
			stays[key.Rule] = stays[key.Rule] || !whole
			t.goes[key.Rule] = !stays[key.Rule]
		}
	}
}

// adopts tells whether a rule translates, or has a share of this host's own in a service.
func (t *remover) adopts(rule *walk.Rule) bool {
	return translates(rule) || rule.Target.Kind == walk.Accepts && slices.ContainsFunc(t.result.Services, func(s Service) bool { return slices.Contains(s.Rules, rule) })
}

// covers tells whether a cell was adopted, by itself or with every address.
func (t *remover) covers(c cell) bool {
	return t.adopted[c] || t.adopted[cell{c.protocol, netip.Addr{}, c.ports}]
}

// hiding finds the rules that hide the source of connections to backends, and of nothing else. One that a
// rule which stays needs, stays.
func (t *remover) hiding(backends map[netip.Addr]bool) {
	for _, service := range t.result.Services {
		if service.draft.family != t.set.Family {
			continue
		}
		for _, rule := range service.draft.hiding {
			alone := len(rule.Asks.Destination)+len(rule.Asks.Original) > 0
			for _, prefix := range rule.Asks.Destination {
				alone = alone && prefix.IsSingleIP() && backends[prefix.Addr()] && !t.leadsTo(prefix.Addr())
			}
			for _, prefix := range rule.Asks.Original {
				alone = alone && prefix.IsSingleIP() && t.listens(prefix.Addr()) && !t.translates(prefix.Addr())
			}
			if t.goes[rule] = alone; !alone {
				t.result.leave("it matches other connections, too; natspread's rules stand before it", rule)
			}
		}
		for _, rule := range service.draft.accepted {
			t.accepted(service, rule)
		}
	}
}

// leadsTo tells whether a rule that stays leads to an address, or nobody knows where.
func (t *remover) leadsTo(addr netip.Addr) bool {
	return slices.ContainsFunc(t.set.Rules("nat"), func(rule *walk.Rule) bool {
		to := rule.Target
		in := to.Address == addr || to.Last.IsValid() && to.Address.Compare(addr) <= 0 && addr.Compare(to.Last) <= 0
		return translates(rule) && !t.goes[rule] && (in || to.Kind == walk.Opaque)
	})
}

// listens tells whether a service listens at an address.
func (t *remover) listens(addr netip.Addr) bool {
	for c := range t.adopted {
		if c.destination == addr {
			return true
		}
	}
	return false
}

// translates tells whether a rule that stays translates what an address is asked.
func (t *remover) translates(addr netip.Addr) bool {
	stays := func(rule *walk.Rule) bool { return translates(rule) && !t.goes[rule] }
	return slices.ContainsFunc(t.set.Keys("nat", rules.Prerouting, stays), func(key walk.Key) bool {
		return key.Destination == nil || slices.ContainsFunc(key.Destination, func(p netip.Prefix) bool { return p.Contains(addr) })
	})
}

// accepted says of a rule of FORWARD how to take it out, if it is for the backend's port alone.
func (t *remover) accepted(service Service, rule *walk.Rule) {
	why := "forward = \"accept\" does the same for the connections of " + service.Name
	asks := rule.Asks
	alone := walk.Owner(rule.Chain) == "" && asks.Protocol != "" && len(asks.Named) > 0 && !slices.ContainsFunc(asks.Destination, func(p netip.Prefix) bool { return t.leadsTo(p.Addr()) }) &&
		!slices.ContainsFunc(asks.Original, func(p netip.Prefix) bool { return t.translates(p.Addr()) })
	if alone {
		why += "; to take it out: " + rules.Program(t.set.Family, "", "") + " -t filter -D " + rule.Chain + " " + rule.Text
	} else {
		why += ", but this rule serves others, too"
	}
	t.result.leave(why, rule)
}

// chains finds the chains in which nothing is left, and the rules that lead there.
func (t *remover) chains() {
	for again := true; again; {
		again = false
		for _, rule := range t.set.Rules("nat") {
			if rule.Target.Kind == walk.Jumps && !t.goes[rule] && t.emptied(rule.Target.Name) {
				t.goes[rule], again = true, true
			}
		}
	}
	for _, rule := range t.set.Rules("nat") {
		if name := rule.Target.Name; t.goes[rule] && rule.Target.Kind == walk.Jumps && !slices.Contains(t.empty, name) && !t.held(name) {
			t.empty = append(t.empty, name)
		}
	}
}

// emptied tells whether a chain had rules that all go.
func (t *remover) emptied(name string) bool {
	chain := t.set.Chain("nat", name)
	return len(chain.Rules) > 0 && !slices.ContainsFunc(chain.Rules, func(r *walk.Rule) bool { return !t.goes[r] })
}

// held tells whether a rule that stays leads to a chain.
func (t *remover) held(name string) bool {
	return slices.ContainsFunc(t.set.Rules("nat"), func(r *walk.Rule) bool { return r.Target.Name == name && !t.goes[r] })
}

// list adds what goes to the result, in the order of the chains.
func (t *remover) list() {
	for _, rule := range t.set.Rules("nat") {
		if t.goes[rule] {
			t.result.TakeOut = append(t.result.TakeOut, Removal{t.set.Family, rule.Chain, rule.Place, rule.Line, rule.Text})
		}
	}
	for _, name := range t.empty {
		t.result.TakeOut = append(t.result.TakeOut, Removal{Family: t.set.Family, Chain: name})
	}
}
