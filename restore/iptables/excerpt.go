package iptables

import "natspread/internal/rules"

// paths is how the chains of a table lead to one another, by their places in it. The rules of
// natspread lead to own chains only.
type paths struct {
	table   rules.Table
	places  map[string]int // of the chains, by name
	to      [][]int        // from each chain, in the order of its rules
	from    [][]int        // to each chain
	entries []int          // that the jumps lead to
}

// pathsOf returns the paths of a table.
func pathsOf(t rules.Table) paths {
	p := paths{table: t, places: make(map[string]int, len(t.Chains)), to: make([][]int, len(t.Chains)), from: make([][]int, len(t.Chains))}
	for i, chain := range t.Chains {
		p.places[chain.Name] = i
	}
	for i, chain := range t.Chains {
		for k := range chain.Rules {
			if to, own := p.placeOf(&chain.Rules[k]); own {
				p.to[i] = append(p.to[i], to)
				p.from[to] = append(p.from[to], i)
			}
		}
	}
	for _, builtIn := range t.Name.BuiltIn() {
		for _, jump := range t.Jumps(builtIn) {
			if to, own := p.placeOf(&jump); own {
				p.entries = append(p.entries, to)
			}
		}
	}
	return p
}

// placeOf returns the place of the chain that a rule leads to, if it leads to one.
func (p paths) placeOf(rule *rules.Rule) (place int, own bool) {
	if rule.Target.Chain == "" {
		return 0, false
	}
	place, own = p.places[rule.Target.Chain]
	return place, own
}

// excerpt returns a table that holds just the chains at some places, the chains on their paths from
// the built-in ones, and empty ones for all others that these lead to. So the kernel judges each
// rule where it will stand, without all the rest.
func (p paths) excerpt(places []int) rules.Table {
	whole := make([]bool, len(p.table.Chains))
	var add func(i int)
	add = func(i int) {
		if whole[i] {
			return
		}
		whole[i] = true
		for _, before := range p.from[i] {
			add(before)
		}
	}
	for _, i := range places {
		add(i)
	}
	return p.withEmpty(whole, len(places) > 0)
}

// withEmpty returns some chains of a table whole, and empty ones for those that they
// and, if there are any, the jumps lead to.
func (p paths) withEmpty(whole []bool, any bool) rules.Table {
	wanted, count := make([]bool, len(whole)), 0
	want := func(places []int) {
		for _, to := range places {
			wanted[to] = true
		}
	}
	for i, is := range whole {
		if is {
			want(p.to[i])
			count++
		}
	}
	if any {
		want(p.entries)
	}
	part := rules.Table{Family: p.table.Family, Name: p.table.Name, CommentedJumps: p.table.CommentedJumps, Chains: make([]rules.Chain, 0, count+len(p.entries))}
	for i, chain := range p.table.Chains {
		switch {
		case whole[i]:
			part.Chains = append(part.Chains, chain)
		case wanted[i]:
			part.Chains = append(part.Chains, rules.Chain{Name: chain.Name})
		}
	}
	return part
}

// inOrder returns the places of the chains in an order in which those on one path stand
// together: each before those that it leads to, in the order of its rules.
func (p paths) inOrder() []int {
	places := make([]int, 0, len(p.table.Chains))
	seen := make([]bool, len(p.table.Chains))
	var visit func(i int)
	visit = func(i int) {
		if seen[i] {
			return
		}
		seen[i] = true
		places = append(places, i)
		for _, to := range p.to[i] {
			visit(to)
		}
	}
	for _, i := range p.entries {
		visit(i)
	}
	for i := range p.table.Chains { // to which nothing leads
		visit(i)
	}
	return places
}
