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
	"natspread/internal/test/hosttest"
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
			if sizeOf(table) <= manyRules {
				mustDraw(t, string(graph), table)
			}
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

// sizeOf counts the rules of a table.
func sizeOf(table rules.Table) (size int) {
	for _, chain := range table.Chains {
		size += len(chain.Rules)
	}
	return size
}

// TestDotServices draws tables of too many rules by service: each once, with where it listens and
// the shares of its backends, and with no edge at all, for which Graphviz would take minutes. So
// a graph of rules is never larger than manyRules, and one of services has a bounded node for each.
func TestDotServices(t *testing.T) {
	const services, most = 700, 2*(fewLines+1) + 1
	for _, shape := range configtest.Shapes() {
		cfg := configtest.Fill(shape, services, 1)
		plan := render.New(cfg)
		for _, table := range []rules.Table{plan.IPv4, plan.IPv6} {
			if sizeOf(table) <= manyRules {
				t.Fatalf("%v is no large table", shape)
			}
			graph := string(Dot(table))
			if strings.Contains(graph, "->") || !strings.Contains(graph, "layout=osage") || !bytes.Equal(Dot(table), []byte(graph)) {
				t.Fatalf("%v: it is drawn by rule, or as another graph the second time", shape)
			}
			for line := range strings.Lines(graph) {
				if lines := strings.Count(line, `\n`); !graphLine.MatchString(strings.TrimSuffix(line, "\n")) || lines > most {
					t.Fatalf("%v: a strange line, of %d lines: %s", shape, lines, line)
				}
			}
			for _, service := range cfg.Services {
				want := 0
				if rules.FamilyOf(service.Backends[0].Addr) == table.Family {
					want = 1
				}
				if got := strings.Count(graph, "\t"+text.Quoted(service.Name)+" [label="); got != want {
					t.Fatalf("%v: service %s stands %d times", shape, service.Name, got)
				}
			}
		}
	}
}

// TestDotServicesWords has one service of many listen addresses and backends beside another that
// refuses all.
func TestDotServicesWords(t *testing.T) {
	var toml strings.Builder
	toml.WriteString("[[service]]\nname = \"many\"\nlisten = [")
	for i := range 20 {
		fmt.Fprintf(&toml, "\"192.0.2.%d:80\", ", 2*i+1)
	}
	toml.WriteString("]\nbackends = [")
	for i := range 1000 {
		fmt.Fprintf(&toml, "\"10.0.%d.%d:80\", ", i/250, i%250+1)
	}
	toml.WriteString("]\n[[service]]\nname = \"none\"\nlisten = [\"192.0.2.100:53\"]\nprotocol = \"udp\"\nbackends = [{ address = \"10.0.0.1:53\", drain = true }]\n")
	graph := string(Dot(hosttest.Tables(t, toml.String()).IPv4))
	for _, want := range []string{
		`"many" [label="many\n-d 192.0.2.33/32 -p tcp -m tcp --dport 80\n`, `\nand 12 more\n10.0.0.1:80  0.10 %\n`, `\nand 992 more"];`,
		`"none" [label="none\n-d 192.0.2.100/32 -p udp -m udp --dport 53\nrefused  100.00 %"];`,
	} {
		if !strings.Contains(graph, want) {
			t.Errorf("no %s in\n%s", want, graph)
		}
	}
}

// TestQuoted quotes what Graphviz would take for the end of a string, or obey.
func TestQuoted(t *testing.T) {
	if got, want := text.Quoted("a\"b\\N\nc"), `"a\"b\\N\nc"`; got != want {
		t.Errorf("%s, not %s", got, want)
	}
}
