package trace

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"natspread/internal/rules"
	"natspread/internal/test/configtest"
	"natspread/internal/text"
	"natspread/render"
)

// TestDot holds each graph against its table: a node for each chain and each end, an
// edge for each rule, and the same bytes each time.
func TestDot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plan := render.New(configtest.Config().Draw(t, "config"))
		for _, family := range rules.Families() {
			table := plan.Of(family)
			graph := Dot(table)
			if !bytes.Equal(graph, Dot(table)) {
				t.Fatal("another graph the second time")
			}
			mustDraw(t, string(graph), table)
		}
	})
}

// graphLine is a node, an edge or what frames them, with every quote in its place.
var graphLine = regexp.MustCompile(`^(digraph "[^"]+" \{|\t(graph|node|edge) \[.*\];|\t"[^"]+"( -> "[^"]+")? \[[^"]*(label="[^"]+")?[^"]*\];|\})$`)

// mustDraw fails unless a graph has what its table has.
func mustDraw(t rapid.TB, graph string, table rules.Table) {
	t.Helper()
	lines := map[string]bool{}
	edges := 0
	for line := range strings.Lines(graph) {
		line = strings.TrimSuffix(line, "\n")
		if !graphLine.MatchString(line) {
			t.Fatalf("a strange line: %s", line)
		}
		from, _, edge := strings.Cut(line, " [")
		if lines[from] && !edge {
			t.Fatalf("%s stands twice", from)
		}
		lines[from] = true
		if strings.Contains(from, " -> ") {
			edges++
		}
	}
	list := 0
	for _, builtIn := range rules.NAT.BuiltIn() {
		list += len(table.Jumps(builtIn))
	}
	for _, chain := range table.Chains {
		list += len(chain.Rules)
		for i, rule := range chain.Rules {
			to := rule.Target.Chain
			if to == "" {
				to = fmt.Sprintf("%s %d", chain.Name, i+1)
			}
			for _, want := range []string{fmt.Sprintf("\t%q", chain.Name), fmt.Sprintf("\t%q", to), fmt.Sprintf("\t%q -> %q", chain.Name, to)} {
				if !lines[want] {
					t.Fatalf("no %s in:\n%s", want, graph)
				}
			}
		}
	}
	if edges != list {
		t.Fatalf("%d edges for %d rules", edges, list)
	}
}

// TestDotLarge draws a large table in less time than a small one of its size would take.
func TestDotLarge(t *testing.T) {
	for n, large := range map[int]bool{20: false, 400: true} {
		if graph := string(Dot(render.New(configtest.Fill(configtest.Shapes()[0], n, 1)).IPv4)); strings.Contains(graph, dotLarge) != large {
			t.Errorf("%d services are drawn as a large table: %v", n, !large)
		}
	}
}

// TestQuoted quotes what Graphviz would take for the end of a string, or obey.
func TestQuoted(t *testing.T) {
	if got, want := text.Quoted("a\"b\\N\nc"), `"a\"b\\N\nc"`; got != want {
		t.Errorf("%s, not %s", got, want)
	}
}
