package iptables

import (
	"strings"
	"testing"

	"natspread/internal/rules"
)

// branching returns a table of these chains, each with one rule for every name behind
// it, and one that leads nowhere.
func branching(lines ...string) rules.Table {
	table := rules.Table{}
	for _, line := range lines {
		words := strings.Fields(line)
		chain := rules.Chain{Name: rules.Prefix + "-" + words[0], Rules: []rules.Rule{{Target: rules.Target{Kind: rules.Masquerade}}}}
		for _, to := range words[1:] {
			chain.Rules = append(chain.Rules, rules.Rule{Target: rules.Target{Kind: rules.Goto, Chain: rules.Prefix + "-" + to}})
		}
		table.Chains = append(table.Chains, chain)
	}
	table.Sort()
	return table
}

// outline writes a table's chains without their prefix, those without rules in brackets.
func outline(table rules.Table) string {
	var names []string
	for _, chain := range table.Chains {
		name := strings.TrimPrefix(chain.Name, rules.Prefix+"-")
		if len(chain.Rules) == 0 {
			name = "(" + name + ")"
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

// TestExcerpt takes chains with all that leads to them, and no more.
func TestExcerpt(t *testing.T) {
	table := branching("PRE a b", "OUT a", "POST", "a a1 a2", "a1 web", "a2 dns", "b mail", "web", "dns", "mail", "lost web")
	for names, want := range map[string]string{
		"":       "",
		"POST":   "(OUT) POST (PRE)",
		"web":    "OUT (POST) PRE a a1 (a2) (b) lost web",
		"a2":     "OUT (POST) PRE a (a1) a2 (b) (dns)",
		"mail b": "(OUT) (POST) PRE (a) b mail",
		"lost":   "(OUT) (POST) (PRE) lost (web)",
	} {
		paths := pathsOf(table)
		var places []int
		for _, name := range strings.Fields(names) {
			places = append(places, paths.places[rules.Prefix+"-"+name])
		}
		part := paths.excerpt(places)
		if got := outline(part); got != want {
			t.Errorf("%q: %s, want %s", names, got, want)
		}
		for _, chain := range part.Chains {
			if whole, _ := table.Chain(chain.Name); len(chain.Rules) != 0 && !chain.Equal(whole) {
				t.Errorf("%q: chain %s is not whole", names, chain.Name)
			}
		}
	}
}

// outlineOf is outline for the chains in the order in which they are proven.
func outlineOf(table rules.Table) string {
	var ordered rules.Table
	for _, i := range pathsOf(table).inOrder() {
		ordered.Chains = append(ordered.Chains, table.Chains[i])
	}
	return outline(ordered)
}

// TestInOrder lists every chain once, each before those that only it leads to.
func TestInOrder(t *testing.T) {
	table := branching("PRE b a", "OUT a", "POST", "a a2 a1", "a1 web", "a2 dns", "b mail", "web", "dns", "mail", "lost web")
	if got, want := outlineOf(table), "PRE b mail a a2 dns a1 web OUT POST lost"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	circle := branching("PRE a", "a PRE")
	if got := outlineOf(circle); got != "PRE a" {
		t.Errorf("a circle gives %v", got)
	}
	if got := outline(pathsOf(circle).excerpt([]int{1})); got != "PRE a" {
		t.Errorf("a circle gives %s", got)
	}
}
