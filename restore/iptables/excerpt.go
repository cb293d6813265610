package iptables

import (
	"slices"

	"natspread/internal/rules"
)

// excerpt returns a table that holds just those of the named chains that t holds, the
// chains on their paths from the built-in ones, and empty ones for all others that these
// lead to. So the kernel judges each rule where it will stand, without all the rest.
func excerpt(t rules.Table, names map[string]bool) rules.Table {
	from := map[string][]int{} // chain to the places of those that lead to it
	for i, chain := range t.Chains {
		for _, rule := range chain.Rules {
			if to := rule.Target.Chain; to != "" {
				from[to] = append(from[to], i)
			}
		}
	}
	whole := make([]bool, len(t.Chains))
	var add func(i int)
	add = func(i int) {
		if whole[i] {
			return
		}
		whole[i] = true
		for _, before := range from[t.Chains[i].Name] {
			add(before)
		}
	}
	for i, chain := range t.Chains {
		if names[chain.Name] {
			add(i)
		}
	}
	return withEmpty(t, whole)
}

// withEmpty returns some chains of a table whole, and empty ones for those that they
// and the jumps lead to.
func withEmpty(t rules.Table, whole []bool) rules.Table {
	wanted := map[string]bool{}
	for i, chain := range t.Chains {
		for _, rule := range chain.Rules {
			if whole[i] && rule.Target.Chain != "" {
				wanted[rule.Target.Chain] = true
			}
		}
	}
	if slices.Contains(whole, true) {
		for _, builtIn := range t.Name.BuiltIn() {
			for _, jump := range t.Jumps(builtIn) {
				wanted[jump.Target.Chain] = true
			}
		}
	}
	part := rules.Table{Family: t.Family, Name: t.Name, CommentedJumps: t.CommentedJumps}
	for i, chain := range t.Chains {
		switch {
		case whole[i]:
			part.Chains = append(part.Chains, chain)
		case wanted[chain.Name]:
			part.Chains = append(part.Chains, rules.Chain{Name: chain.Name})
		}
	}
	return part
}

// inOrder returns the names of the chains in an order in which those on one path stand
// together: each before those that it leads to, in the order of its rules.
func inOrder(t rules.Table) []string {
	place := make(map[string]int, len(t.Chains))
	for i, chain := range t.Chains {
		place[chain.Name] = i
	}
	names := make([]string, 0, len(t.Chains))
	seen := make([]bool, len(t.Chains))
	var visit func(i int)
	visit = func(i int) {
		if seen[i] {
			return
		}
		seen[i] = true
		names = append(names, t.Chains[i].Name)
		for _, rule := range t.Chains[i].Rules {
			if to, own := place[rule.Target.Chain]; own {
				visit(to)
			}
		}
	}
	for _, builtIn := range t.Name.BuiltIn() {
		for _, jump := range t.Jumps(builtIn) {
			if i, own := place[jump.Target.Chain]; own {
				visit(i)
			}
		}
	}
	for i := range t.Chains { // to which nothing leads
		visit(i)
	}
	return names
}
