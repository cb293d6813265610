package trace

import (
	"bytes"
	"fmt"
	"math/big"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/internal/test/configtest"
	"natspread/internal/test/hosttest"
	"natspread/internal/text"
	"natspread/render"
)

// TestDot holds each graph against its table: a node for each chain with a row for each rule, an
// edge for each rule that leads to a chain, and the same bytes each time.
func TestDot(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		plan := render.New(configtest.Config().Draw(t, "config"))
		for _, family := range rules.Families() {
			for _, table := range []rules.Table{plan.Of(family), plan.Filter(family), plan.Mangle(family)} {
				graph := Dot(table)
				if !bytes.Equal(graph, Dot(table)) {
					t.Fatal("another graph the second time")
				}
				if sizeOf(table) <= manyRules {
					mustDraw(t, string(graph), table)
				}
			}
		}
	})
}

// graphLine is a node, an edge or what frames them, with every quote in its place.
var graphLine = regexp.MustCompile(`^(digraph "[^"]+" \{|\t(graph|node) \[.*\];|\t"[^"]+" \[([^"]*, )?label="([^"\\]|\\.)+"\];|\t"[^"]+":\d+ -> "[^"]+"( \[style=dashed\])?;|\})$`)

// rowsOf returns the rows of a chain's node, by the rules' places; none where there is no such node.
func rowsOf(graph, chain string) []string {
	_, node, _ := strings.Cut(graph, fmt.Sprintf("\t%q [", chain))
	_, label, _ := strings.Cut(node, `label="`)
	label, _, _ = strings.Cut(label, "\"];\n")
	var rows []string
	for i, row := range regexp.MustCompile(`\|<\d+>`).Split(label, -1) {
		if i > 0 {
			words := strings.Join(strings.Split(strings.TrimSuffix(row, `\l`), `\l`), " ")
			rows = append(rows, regexp.MustCompile(`\\(.)`).ReplaceAllString(words, "$1"))
		}
	}
	return rows
}

// mustDraw fails unless a graph has what its table has.
func mustDraw(t rapid.TB, graph string, table rules.Table) {
	t.Helper()
	nodes, edges := 0, 0
	for line := range strings.Lines(graph) {
		if !graphLine.MatchString(strings.TrimSuffix(line, "\n")) {
			t.Fatalf("a strange line: %s", line)
		}
		switch {
		case strings.Contains(line, " -> "):
			edges++
		case strings.HasPrefix(line, "\t\""):
			nodes++
		}
	}
	chains := table.Chains
	for _, builtIn := range table.Name.BuiltIn() {
		if jumps := table.Jumps(builtIn); len(jumps) > 0 {
			chains = append(chains, rules.Chain{Name: builtIn, Rules: jumps})
		}
	}
	ahead := 0
	for _, chain := range chains {
		rows := rowsOf(graph, chain.Name)
		if len(rows) != len(chain.Rules) {
			t.Fatalf("%s has %d rules, and %d rows in:\n%s", chain.Name, len(chain.Rules), len(rows), graph)
		}
		for i, rule := range chain.Rules {
			if strings.Count(rows[i], "%") > 1 || !strings.HasPrefix(rows[i], fmt.Sprintf("%d: ", i+1)) || !strings.Contains(rows[i], conditionWords(rule)) {
				t.Fatalf("rule %d of %s is drawn as %s", i+1, chain.Name, rows[i])
			}
			if rule.Target.Chain == "" {
				if !strings.HasSuffix(rows[i], " "+targetWords(rule.Target)) {
					t.Fatalf("%s does not end in its target, %v", rows[i], rule.Target)
				}
				continue
			}
			ahead++
			edge, line := fmt.Sprintf("\t%q:%d -> %q", chain.Name, i+1, rule.Target.Chain), ";\n"
			if rule.Target.Kind == rules.Jump {
				line = " [style=dashed];\n"
			}
			if !strings.Contains(graph, edge+line) {
				t.Fatalf("no %s%s in:\n%s", edge, line, graph)
			}
		}
	}
	if edges != ahead || nodes != len(chains) {
		t.Fatalf("%d edges for %d rules, %d nodes for %d chains", edges, ahead, nodes, len(chains))
	}
}

// TestDotShares holds the share in each row of a service's chains against a walk of what each of
// the service's listen addresses gets, by its first port and its last one: all of them agree, and
// what none of them reaches is for open connections only.
func TestDotShares(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := configtest.Config().Draw(t, "config")
		plan := render.New(cfg)
		want := map[rules.Family]map[row]float64{rules.IPv4: {}, rules.IPv6: {}}
		for _, service := range cfg.Services {
			family := rules.FamilyOf(service.Backends[0].Addr)
			chain, _ := plan.Of(family).Chain(rules.ServiceChain(service.Name))
			for _, packet := range listened(service) {
				path, err := traceFrom(plan.Of(family), chain, packet)
				if err != nil {
					t.Fatal(err)
				}
				taken := map[row]*big.Rat{}
				path.addTaken(taken)
				for at, share := range taken {
					part, _ := share.Float64()
					if before, known := want[family][at]; known && before != part {
						t.Fatalf("rule %v takes %v and %v", at, before, part)
					}
					want[family][at] = part
				}
			}
		}
		for family, shares := range want {
			table := plan.Of(family)
			if sizeOf(table) > manyRules {
				continue
			}
			graph := string(Dot(table))
			for _, chain := range table.Chains {
				for i, drawn := range rowsOf(graph, chain.Name) {
					rule := chain.Rules[i]
					picks := rules.ServiceOf(chain.Name) != "" && !rules.IsGate(chain.Name) && (rule.Target.Chain != "" || rule.Leads().Kind == rules.DNAT)
					share := text.Percent(shares[row{chain.Name, i + 1}])
					if picks && !strings.Contains(drawn, " "+share) || !picks && strings.Contains(drawn, "%") {
						t.Fatalf("%s has the row %q, its share is %s", chain.Name, drawn, share)
					}
				}
			}
		}
	})
}

// listened returns what clients ask a service for: each of its addresses by each protocol.
func listened(service config.Service) []rules.Packet {
	var packets []rules.Packet
	for _, listen := range service.Listen {
		for _, protocol := range service.Protocols {
			for _, port := range []uint16{listen.Ports.First, listen.Ports.Last} {
				packets = append(packets, rules.Packet{Protocol: string(protocol), Destination: listen.Addr, Port: port})
			}
		}
	}
	return packets
}

// TestDotSharesWords draws three equal backends, turns by weight, a drained backend that keeps its
// open connections, and two ports.
func TestDotSharesWords(t *testing.T) {
	for name, test := range map[string]struct {
		toml  string
		chain string
		want  []string
	}{
		"equal": {`listen = "192.0.2.10:80"
backends = ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"]`, "NATSPREAD-web",
			[]string{"1: -p tcp, 33.33 % to 10.0.0.1:80", "2: -p tcp, 33.33 % to 10.0.0.2:80", "3: -p tcp, 33.33 % to 10.0.0.3:80"}},
		"turns": {`listen = "192.0.2.10:80"
algorithm = "round-robin"
backends = ["10.0.0.1:80", { address = "10.0.0.2:80", weight = 3 }]`, "NATSPREAD-web",
			[]string{"1: -p tcp, 25.00 % to 10.0.0.2:80", "2: -p tcp, 25.00 % to 10.0.0.1:80", "3: -p tcp, 25.00 % to 10.0.0.2:80", "4: -p tcp, 25.00 % to 10.0.0.2:80"}},
		"ports": {`listen = "192.0.2.10"
ports = { 80 = 8080, 443 = 8443 }
backends = ["10.0.0.1", { address = "10.0.0.2", weight = 3 }]`, "NATSPREAD-webZqe",
			[]string{"1: -p tcp -m tcp --dport 80, 75.00 % to 10.0.0.2:8080", "2: -p tcp, 75.00 % to 10.0.0.2:8443"}},
		"kept": {`listen = "192.0.2.10:80"
algorithm = "source"
slots = 16
backends = ["10.0.0.1:80", { address = "10.0.0.2:80", weight = 3 }]`, "NATSPREAD-webZqe",
			[]string{"1: -j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff", "2: -p tcp, 75.00 % to 10.0.0.2:80"}},
		"drained": {`listen = "192.0.2.10:80"
algorithm = "source"
slots = 16
snat = "none"
takeover = true
backends = ["10.0.0.1:80", { address = "10.0.0.2:80", drain = true }]`, "NATSPREAD-webZqe",
			[]string{"1: -j CONNMARK --restore-mark --nfmask 0xffffffff --ctmask 0xffffffff", "2: -p tcp, 0.00 % to 10.0.0.2:80"}},
		"refused": {`listen = "192.0.2.10:80"
backends = [{ address = "10.0.0.1:80", drain = true }]`, "NATSPREAD-web",
			[]string{"1: -d 192.0.2.10/32 -p tcp -m addrtype --dst-type LOCAL -j DNAT --to-destination 192.0.2.10:0", "2: -p tcp -j REDIRECT --to-ports 0"}},
	} {
		t.Run(name, func(t *testing.T) {
			graph := string(Dot(hosttest.Tables(t, "[[service]]\nname = \"web\"\n"+test.toml+"\n").IPv4))
			if diff := cmp.Diff(test.want, rowsOf(graph, test.chain)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
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

// TestRowLines breaks a row between its parts, and has what would end it stand for itself.
func TestRowLines(t *testing.T) {
	got := rowLines(12, append(optionsOf(`! -d 2001:db8::10/128 -i a|b{c}<d>"\ -p tcp -m tcp ! --tcp-flags SYN,RST SYN`), "to [fd00::1]:80"))
	if want := `12: ! -d 2001:db8::10/128 -i a\|b\{c\}\<d\>\"\\\l-p tcp -m tcp ! --tcp-flags SYN,RST SYN\lto [fd00::1]:80\l`; got != want {
		t.Errorf("%s, not %s", got, want)
	}
}

// TestQuoted quotes what Graphviz would take for the end of a string, or obey.
func TestQuoted(t *testing.T) {
	if got, want := text.Quoted("a\"b\\N\nc"), `"a\"b\\N\nc"`; got != want {
		t.Errorf("%s, not %s", got, want)
	}
}
