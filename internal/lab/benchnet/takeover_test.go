package main

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestInARow has the rules that takeover adds, one for each backend, and no tree of them.
func TestInARow(t *testing.T) {
	const alone = "algorithm = \"source\"\nslots = 256\nsnat = \"none\""
	s := apart(40)
	row, err := inARow(s, alone)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := natspreadWith([]service{s}, alone+"\ntakeover = true")
	if err != nil {
		t.Fatal(err)
	}
	begun := func(text []byte) (list, chains []string) {
		for line := range strings.Lines(string(text)) {
			if chain, rule, found := strings.Cut(line, " -s "); found {
				if strings.Contains(rule, "-j SNAT") {
					list = append(list, rule)
				}
				chains = append(chains, chain)
			}
		}
		slices.Sort(list)
		return list, slices.Compact(chains)
	}
	want, treeOf := begun(tree)
	got, rowOf := begun(row)
	if diff := cmp.Diff(want, got); diff != "" || len(want) != 40 {
		t.Errorf("%d rules (-takeover +in a row):\n%s", len(want), diff)
	}
	if len(treeOf) < 3 || !slices.Equal(rowOf, []string{"-A NATSPREAD-POST"}) {
		t.Errorf("the tree is in %q, the row in %q", treeOf, rowOf)
	}
}

// TestApart has no two addresses that one prefix holds alone.
func TestApart(t *testing.T) {
	seen := map[netip.Prefix]bool{}
	for _, b := range apart(1000).backends {
		pair := netip.PrefixFrom(b.Addr(), 31).Masked()
		if seen[pair] {
			t.Fatalf("two backends are in %v", pair)
		}
		seen[pair] = true
	}
}
