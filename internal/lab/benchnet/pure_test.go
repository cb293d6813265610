package main

import (
	"bytes"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSYN reads what was written, and adds up what the receiver adds up: with its
// checksum in place a header sums to all ones.
func TestSYN(t *testing.T) {
	frame := bytes.Repeat([]byte{0xff}, frameSize)
	to := netip.MustParseAddrPort("198.18.3.250:10001")
	writeSYN(frame, netip.MustParseAddrPort(clientAddress+":54321"), to)
	want := flow{from: netip.MustParseAddrPort(clientAddress + ":54321"), to: to}
	if got, err := parseFlow(frame); err != nil || got != want {
		t.Errorf("%v, %v", got, err)
	}
	pseudo := sum(frame[26:34]) + 6 + 20
	if ip, tcp := checksum(sum(frame[14:34])), checksum(pseudo+sum(frame[34:])); ip != 0 || tcp != 0 {
		t.Errorf("checksums are off by %x and %x", ip, tcp)
	}
	frame[34+13] = 0x12 // SYN, ACK
	for _, other := range [][]byte{frame, frame[:40]} {
		if got, err := parseFlow(other); err == nil {
			t.Errorf("this is no SYN: %v", got)
		}
	}
}

// TestConntrackCounters reads the kernel's statistics of two processors.
func TestConntrackCounters(t *testing.T) {
	var c counters
	err := c.readConntrack("entries  clashres found new invalid ignore delete chainlength insert insert_failed drop early_drop\n" +
		"0000001a  00000000 00000000 00000000 00000001 0 0 0 0 00000002 00000003 00000000\n" +
		"0000001a  00000000 00000000 00000000 00000001 0 0 0 0 00000000 00000010 00000001\n")
	if want := (counters{entries: 26, failed: 22}); err != nil || c != want {
		t.Errorf("%+v, %v, want %+v", c, err, want)
	}
	if err := c.readConntrack("entries\nzz\n"); err == nil {
		t.Error("zz was read as a number")
	}
}

// TestFigures prints ratios that meet, miss, and have no target.
func TestFigures(t *testing.T) {
	var out strings.Builder
	f := figures{map[string][]float64{
		"ours, a": {2, 2, 9}, "ours, b": {3, 3, 3}, "base": {1, 2, 3},
	}, &out}
	f.ratio("ours, a", "base", 2)
	f.ratio("ours, a", "base", 1.9)
	f.ratio("ours, a", "base", 0)
	f.ratio("ours, a", "not measured", 1)
	f.atLeast("ours, a", "base", 2)
	f.atLeast("ours, a", "base", 2.1)
	var verdicts []string
	for line := range strings.Lines(out.String()) {
		if figure, verdict, found := strings.Cut(line, "   2.000  "); found {
			verdicts = append(verdicts, strings.TrimSpace(verdict))
			if !strings.HasPrefix(figure, "    over base ") {
				t.Errorf("%q", line)
			}
		}
	}
	want := []string{"target 2.000  met", "target 1.900  MISSED", "no target", "target 2.000  met", "target 2.100  MISSED"}
	if fmt.Sprint(verdicts) != fmt.Sprint(want) {
		t.Errorf("%q, want %q", verdicts, want)
	}
	if worst := f.worst([]string{"ours, a", "not measured", "ours, b", "base"}); worst != "ours, b" {
		t.Errorf("the worst is %s", worst)
	}
	if less := f.samples[f.less("ours, a", "base")]; fmt.Sprint(less) != "[1 0 6]" || f.samples["ours, a"][0] != 2 {
		t.Errorf("less: %v", less)
	}
	if p50, p99 := median([]float64{5, 1, 4, 2, 3}), quantile([]float64{2, 1}, 0.99); p50 != 3 || p99 != 2 {
		t.Errorf("median %v, p99 %v", p50, p99)
	}
}

// TestKube holds the layout of two backends of the second service to its shape.
func TestKube(t *testing.T) {
	s := service{netip.MustParseAddrPort("192.0.2.10:80"), []netip.AddrPort{netip.MustParseAddrPort("10.0.1.1:8080"), netip.MustParseAddrPort("10.0.1.2:8080")}}
	want := `:KUBE-SVC-000000000000 - [0:0]
:KUBE-SEP-000000000000 - [0:0]
:KUBE-SEP-000000000001 - [0:0]
-A KUBE-SERVICES -d 192.0.2.10/32 -p tcp -m comment --comment "default/svc-0:http cluster IP" -m tcp --dport 80 -j KUBE-SVC-000000000000
-A KUBE-SVC-000000000000 ! -s 10.244.0.0/16 -d 192.0.2.10/32 -p tcp -m comment --comment "default/svc-0:http cluster IP" -m tcp --dport 80 -j KUBE-MARK-MASQ
-A KUBE-SVC-000000000000 -m comment --comment "default/svc-0:http -> 10.0.1.1:8080" -m statistic --mode random --probability 0.50000000000 -j KUBE-SEP-000000000000
-A KUBE-SEP-000000000000 -s 10.0.1.1/32 -m comment --comment "default/svc-0:http" -j KUBE-MARK-MASQ
-A KUBE-SEP-000000000000 -p tcp -m comment --comment "default/svc-0:http" -m tcp -j DNAT --to-destination 10.0.1.1:8080
-A KUBE-SVC-000000000000 -m comment --comment "default/svc-0:http -> 10.0.1.2:8080" -j KUBE-SEP-000000000001
`
	got := string(kube([]service{s}))
	for line := range strings.Lines(want) {
		if !strings.Contains(got, "\n"+line) {
			t.Errorf("no line %s", line)
		}
	}
}

// TestUsage types what cannot be measured.
func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		said string
	}{
		{[]string{"-only", "lunch"}, 2, `it is one of "first packet", "connections", "bulk"`},
		{[]string{"-variant", "tftp"}, 2, "it is nft or legacy"},
		{[]string{"-rounds", "0"}, 2, "0 rounds"},
		{[]string{"-match", "("}, 2, "missing closing"},
		{[]string{"-rules", "file"}, 2, "without all of"},
		{[]string{"-to", "192.0.2.10:80"}, 2, "without all of"},
		{[]string{"-draw", "picture.svg"}, 2, "wants one file"},
		{[]string{"-draw", "picture.svg", "-rules", "file"}, 2, "wants one file"},
		{[]string{"-draw", "picture.svg", "layout.go"}, 1, "layout.go: cannot find what benchnet prints"},
		{[]string{"-inside", "net:[1]"}, 1, "not namespaces of its own"},
	} {
		var out, stderr bytes.Buffer
		if code := run(c.args, &out, &stderr); code != c.code || !strings.Contains(stderr.String(), c.said) {
			t.Errorf("benchnet %q: exit code %d, said %s", c.args, code, &stderr)
		}
	}
}

// TestDraw draws what an earlier run printed, of which the page has its figures.
func TestDraw(t *testing.T) {
	picture := filepath.Join(t.TempDir(), "picture.svg")
	var stderr bytes.Buffer
	if code := run([]string{"-draw", picture, "../../../docs/benchmarks.md"}, io.Discard, &stderr); code != 0 {
		t.Fatalf("exit code %d: %s", code, &stderr)
	}
	drawn, err := os.ReadFile(picture)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("../../../docs/connection-cost.svg")
	if err != nil || !bytes.Equal(drawn, want) {
		t.Errorf("it is not docs/connection-cost.svg: %v", err)
	}
}
