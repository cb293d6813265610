package render

import (
	"cmp"
	"slices"

	"natspread/internal/config"
	"natspread/internal/rules"
)

// Update returns the tables of a config in which the services at some places changed, but only in
// which of their backends get new connections, and by what weights. Another version may have planned
// the tables before. The result is what New returns, but it takes no longer than the
// services that changed need: all other chains are those of the tables before, with the same
// Rules. For a service on "*", and for one with takeover that does not keep all connections of a
// backend that is down, it looks at all others, too.
//
// The filter tables let through what goes to any backend, and the mangle tables shorten its segments,
// so they stay as they are.
func Update(before rules.Tables, cfg config.Config, changed []int) rules.Tables {
	return measured.update(before, cfg, changed)
}

// update is Update in a layout.
func (l limits) update(before rules.Tables, cfg config.Config, changed []int) rules.Tables {
	for _, part := range []struct {
		family rules.Family
		nat    *rules.Table
	}{{rules.IPv4, &before.IPv4}, {rules.IPv6, &before.IPv6}} {
		p := patch{table: *part.nat}
		for _, place := range changed {
			if service := cfg.Services[place]; familyOf(service) == part.family {
				p.service(l, service)
			}
		}
		if p.star || p.sourcesChange {
			p.sources(l, cfg.Services)
		}
		part.nat.Chains = p.chains()
	}
	return before
}

// patch is what changes of a table.
type patch struct {
	table rules.Table
	gone  []stretch
	added []rules.Chain
	star  bool // a service that listens on "*" changes: POST tells its connections by the backends
	// sourcesChange is true where POST may have other rules now: it has none for a service that
	// reaches no backend, and none for what a backend sends first that is down and cut off.
	sourcesChange bool
}

// stretch is where some chains stand in a row in a table: at from, and before to.
type stretch struct{ from, to int }

// service replaces the chains of a service.
func (p *patch) service(l limits, service config.Service) {
	name := rules.ServiceChain(service.Name)
	if chain, found := p.table.Chain(name); found {
		reached := slices.ContainsFunc(chain.Rules, func(r rules.Rule) bool { return r.Target.Kind != rules.Refuse })
		p.sourcesChange = p.sourcesChange || reached != reaches(service)
	}
	p.sourcesChange = p.sourcesChange || silences(service)
	p.star = p.star || onStar(service)
	p.drop(name, name+"\x00")
	// The chains below it: "[" follows on "Z". The gate stays: its names end in "G", "GA" and "GR".
	p.drop(name+"A", name+"G")
	p.drop(name+"G0", name+"G:")
	p.drop(name+"Ga", name+"[")
	p.added = append(p.added, l.serviceChains(service)...)
}

// sources replaces the chains that rewrite sources: those that tell connections by the backend,
// and where the others may be changed, too, or are no tree, all of them.
func (p *patch) sources(l limits, services []config.Service) {
	post, _ := p.table.Chain(rules.ServicePost)
	isList := len(post.Rules) <= l.sources && !slices.ContainsFunc(post.Rules, func(r rules.Rule) bool { return r.Target.Chain != "" })
	p.drop(post.Name, post.Name+"\x00")
	p.dropSide(backendSource)
	family := ofFamily(p.table.Family, services)
	if isList || p.sourcesChange || len(togetherOf(family)) > 0 || p.sourcesFit(l, services) {
		p.dropSide(source)
		p.dropSide(backendFirst)
		p.added = append(p.added, l.buildTrees(root{rules.ServicePost, leavingEntries(family), l.sources})...)
		return
	}
	byBackend := func(r rules.Rule) bool { return !r.OriginalDestination.IsValid() && r.Translated }
	others := slices.DeleteFunc(slices.Clone(post.Rules), byBackend)
	trees := treeBuilder{limits: l, parts: map[part][]rules.Rule{}, named: map[string]bool{}}
	var list []rules.Rule
	if entries := p.byBackend(services); len(entries) > 0 {
		list = slices.Clone(trees.tree(part{side: backendSource}, entries))
	}
	for i := range list {
		if len(others) > 0 {
			list[i] = comingBack(list[i])
		}
	}
	p.added = append(append(p.added, trees.chains...), rules.Chain{Name: post.Name, Rules: append(list, others...)})
}

// sourcesFit tells whether what leavingEntries gives for services of the table's family is few
// enough for a list. It stops counting where it is not.
func (p *patch) sourcesFit(l limits, services []config.Service) bool {
	n := 0
	for i, service := range services {
		if n > l.sources {
			return false
		}
		if familyOf(service) == p.table.Family {
			n += countRules(leavingEntries(services[i : i+1]))
		}
	}
	return n <= l.sources
}

// byBackend returns the entries of the services of the table's family by which connections to
// "*" are told.
func (p *patch) byBackend(services []config.Service) []dispatchEntry {
	var onAny []config.Service
	for _, service := range services {
		if familyOf(service) == p.table.Family && onStar(service) {
			onAny = append(onAny, service)
		}
	}
	return slices.DeleteFunc(translated(onAny), func(c dispatchEntry) bool { return c.side != backendSource })
}

// onStar tells whether a service listens on "*".
func onStar(service config.Service) bool {
	return slices.ContainsFunc(service.Listen, config.Listen.Any)
}

// dropSide drops the chains of the trees of a side.
func (p *patch) dropSide(s side) {
	p.drop(rules.ServiceChain(string(s)), rules.ServiceChain(string(s+1)))
}

// drop drops the chains from one name on, up to but without another.
func (p *patch) drop(from, to string) {
	if gone := (stretch{p.find(0, from), p.find(0, to)}); gone.from < gone.to {
		p.gone = append(p.gone, gone)
	}
}

// find returns where a chain of a name stands, or would stand, from a place on.
func (p *patch) find(from int, name string) int {
	at, _ := slices.BinarySearchFunc(p.table.Chains[from:], name, func(c rules.Chain, name string) int { return cmp.Compare(c.Name, name) })
	return from + at
}

// chains returns the chains of the table as they are then, in order.
func (p *patch) chains() []rules.Chain {
	if len(p.added) == 0 {
		return p.table.Chains
	}
	slices.SortFunc(p.gone, func(a, b stretch) int { return cmp.Compare(a.from, b.from) })
	slices.SortFunc(p.added, func(a, b rules.Chain) int { return cmp.Compare(a.Name, b.Name) })
	list := make([]rules.Chain, 0, len(p.table.Chains)+len(p.added))
	at := 0
	keep := func(to int) { // what stands before a place and is not gone
		for len(p.gone) > 0 && p.gone[0].from < to {
			list = append(list, p.table.Chains[at:p.gone[0].from]...)
			at, p.gone = p.gone[0].to, p.gone[1:]
		}
		if at < to {
			list = append(list, p.table.Chains[at:to]...)
			at = to
		}
	}
	for _, chain := range p.added {
		keep(p.find(at, chain.Name))
		list = append(list, chain)
	}
	keep(len(p.table.Chains))
	return list
}
