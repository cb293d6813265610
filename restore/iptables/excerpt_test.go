package iptables

import (
	"slices"
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
		"":        "",
		"nothing": "",
		"POST":    "(OUT) POST (PRE)",
		"web":     "OUT (POST) PRE a a1 (a2) (b) lost web",
		"a2":      "OUT (POST) PRE a (a1) a2 (b) (dns)",
		"mail b":  "(OUT) (POST) PRE (a) b mail",
		"lost":    "(OUT) (POST) (PRE) lost (web)",
	} {
		wanted := map[string]bool{}
		for _, name := range strings.Fields(names) {
			wanted[rules.Prefix+"-"+name] = true
		}
		part := excerpt(table, wanted)
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

// TestInOrder lists every chain once, each before those that only it leads to.
func TestInOrder(t *testing.T) {
	table := branching("PRE b a", "OUT a", "POST", "a a2 a1", "a1 web", "a2 dns", "b mail", "web", "dns", "mail", "lost web")
	got := strings.ReplaceAll(strings.Join(inOrder(table), " "), rules.Prefix+"-", "")
	if want := "PRE b mail a a2 dns a1 web OUT POST lost"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	circle := branching("PRE a", "a PRE")
	if got := inOrder(circle); len(got) != 2 || !slices.Contains(got, rules.ServicePre) {
		t.Errorf("a circle gives %v", got)
	}
	if got := outline(excerpt(circle, map[string]bool{rules.Prefix + "-a": true})); got != "PRE a" {
		t.Errorf("a circle gives %s", got)
	}
}
