package render

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/google/go-cmp/cmp"

	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/internal/test/testsize"
	"natspread/internal/trace"
)

// workFile is the golden of the work that new connections are for the kernel.
const workFile = "../testdata/counts/rules.txt"

// workHead says what stands in it.
const workHead = `# How many of natspread's rules the kernel looks at for a new connection, the jumps in
# the built-in chains included: on average, over all services and over their backends by
# share, and for the connection that meets the most (WORST); OTHERS, in both chains, for
# one that is for no service. WAY is how many own chains lead to one another, at most.
# By hand, for the last of 5,000 services of 3 backends: 14,999 in PREROUTING in one flat
# list, 5,006 in kube-proxy's layout.
`

// TestWork compares the work that every service's own connections are with the golden:
// a layout that gets worse fails without a clock.
func TestWork(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	text.WriteString(workHead)
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "STORY\tSERVICES\tBACKENDS\tCHAINS\tRULES\tWAY\tPREROUTING\tWORST\tPOSTROUTING\tWORST\tOTHERS\t")
	most := testsize.Of(1000, 10000)
	if *update {
		most = 10000
	}
	for _, n := range []int{1, 16, 17, 100, 1000, 5000, 10000} {
		if n > most {
			break
		}
		for _, kind := range []string{"addresses", "ports", "mixed"} {
			writeWork(t, table, kind, workServices(kind, n))
		}
	}
	for _, algorithm := range []config.Algorithm{config.Random, config.RoundRobin} {
		for _, n := range []int{3, 8, 9, 100, 500, 4096} {
			writeWork(t, table, string(algorithm), oneService(algorithm, slices.Repeat([]int{1}, n)...))
		}
	}
	for _, count := range []int{16, 64, 256, 1024, 4096} {
		for _, n := range []int{3, 10, 100, 1000} {
			if 4*n <= count {
				writeWork(t, table, fmt.Sprintf("source/%d", count), withSlots(oneService(config.Source, slices.Repeat([]int{1}, n)...), count))
			}
		}
	}
	table.Flush()
	if *update {
		if err := os.MkdirAll(filepath.Dir(workFile), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(workFile, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(workFile)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(upTo(most, string(want)), upTo(most, text.String())); diff != "" {
		t.Errorf("other work, which -update writes: want -, got +:\n%s", diff)
	}
}

// upTo returns the lines of a golden whose configs have so many services at most, word
// for word.
func upTo(most int, text string) [][]string {
	var lines [][]string
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) > 1 {
			if services, err := strconv.Atoi(words[1]); err == nil && services > most {
				continue
			}
		}
		lines = append(lines, words)
	}
	return lines
}

// workServices is a config of n services with three backends each: every one at an
// address of its own, or at a port of one address, or in groups of seven ports at an
// address, with all there is of protocols, sources and interfaces.
func workServices(kind string, n int) config.Config {
	cfg := manyServices(n)
	for i := range cfg.Services {
		service := &cfg.Services[i]
		listen := &service.Listen[0]
		switch kind {
		case "ports":
			*listen = config.Listen{Addr: netip.MustParseAddr("192.0.2.10"), Ports: one(10001 + i)}
		case "mixed":
			*listen = config.Listen{Addr: netip.AddrFrom4([4]byte{192, byte(i / 7 / 16), byte(i / 7), 10}), Ports: one(80 + 1000*(i%7))}
			service.Protocols = [][]config.Protocol{{config.TCP}, {config.UDP}, {config.TCP, config.UDP}}[i%3]
			service.SNAT = []config.SNAT{{}, {Mode: config.Address, Addr: listen.Addr}}[i/7%2]
			service.Interfaces = [][]string{nil, nil, nil, {"eth1"}}[i%4]
		}
	}
	return cfg
}

// one is a single port.
func one(port int) config.Ports { return config.Ports{First: uint16(port), Last: uint16(port)} }

// writeWork writes the line of a config.
func writeWork(t *testing.T, table *tabwriter.Writer, kind string, cfg config.Config) {
	t.Helper()
	plan := New(cfg)
	planned := plan.IPv4
	list := 0
	for _, chain := range planned.Chains {
		list += len(chain.Rules)
	}
	longest := 0
	depths := map[string]int{}
	for _, root := range []string{rules.ServicePre, rules.ServiceOut, rules.ServicePost} {
		measureDepths(t, planned, root, 1, depths)
	}
	for _, depth := range depths {
		longest = max(longest, depth)
	}
	before, after := workOf(t, plan, cfg)
	fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d\t%.2f\t%d\t%.2f\t%d\t%d\t\n", kind, len(cfg.Services), len(cfg.Services[0].Backends),
		len(planned.Chains), list, longest, before.Mean, before.Worst, after.Mean, after.Worst, workOfOthers(t, plan))
}

// workOf returns what PREROUTING and POSTROUTING are for the connections to all
// services, of each as many.
func workOf(t *testing.T, plan rules.Tables, cfg config.Config) (before, after trace.Flow) {
	t.Helper()
	for _, service := range cfg.Services {
		packet := rules.Packet{
			InInterface: links(service)[0], Protocol: string(service.Protocols[0]),
			Destination: service.Listen[0].Addr, Port: service.Listen[0].Ports.First,
		}
		explained, err := trace.Explain(plan, packet)
		if err != nil {
			t.Fatal(err)
		}
		for _, outcome := range explained.Outcomes {
			if !outcome.Taken {
				t.Fatalf("%s is not for service %s", netip.AddrPortFrom(packet.Destination, packet.Port), service.Name)
			}
			part := outcome.Incoming.Part() / float64(len(cfg.Services))
			work := outcome.After.Work()
			before.Mean += part * outcome.Incoming.Mean
			after.Mean += part * work.Mean
			before.Worst, after.Worst = max(before.Worst, outcome.Incoming.Worst), max(after.Worst, work.Worst)
		}
	}
	return before, after
}

// workOfOthers returns what both chains are for a connection that is for no service.
func workOfOthers(t *testing.T, plan rules.Tables) int {
	t.Helper()
	packet := rules.Packet{InInterface: "eth0", Protocol: "tcp", Destination: netip.MustParseAddr("203.0.113.9"), Port: 443}
	explained, err := trace.Explain(plan, packet)
	if err != nil || len(explained.Outcomes) != 1 || explained.Outcomes[0].Taken {
		t.Fatalf("a connection of nobody's becomes %v: %v", explained.Outcomes, err)
	}
	return explained.Outcomes[0].Incoming.Worst + explained.Outcomes[0].After.Work().Worst
}
