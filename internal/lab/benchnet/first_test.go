package main

import (
	"bytes"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"natspread/internal/lab/plot"
	"natspread/internal/test/netnstest"
)

// TestFirst takes every figure of the first part once, in small. That it ends well
// says that the packets of every layout went where they had to: stage.verify looks
// at them, stage.try counts them. The picture is drawn from what is printed.
func TestFirst(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	if _, err := exec.LookPath("nft"); err != nil && os.Getenv(netnstest.Require) != "1" {
		t.Skip(err)
	}
	netnstest.Variants(t)
	opts := options{match: regexp.MustCompile(""), rounds: 1, quick: true}
	out := bytes.NewBufferString("2026-11-29 09:16 UTC,\nmachine\niptables\nnftables\n")
	if err := benchFirst(opts, out); err != nil {
		t.Fatal(err)
	}
	for _, p := range firstProbes(opts.variants(), opts.sizes()) {
		if !strings.Contains(out.String(), "\n"+p.name+" ") {
			t.Errorf("no figure for %s in\n%s", p.name, out)
		}
	}
	if _, err := plot.Read(out.String()); err != nil {
		t.Error(err)
	}
}

// TestVerify gives layouts that do not balance as the probe wants, and wants them
// found out.
func TestVerify(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	netnstest.Variants(t)
	if err := newNetwork(); err != nil {
		t.Fatal(err)
	}
	both := byAddress(2)
	one, other := both[0], both[1]
	ask := func(rules []byte) probe { return asking("", layoutOf(rules), []service{one}, one) }
	unasked := ask(flat([]service{one}))
	unasked.backends = nil
	elsewhere := ask(flat([]service{one}))
	elsewhere.source = netip.MustParseAddr("10.255.255.2")
	for i, c := range []struct {
		name string
		probe
		want string
	}{
		{"good", ask(flat(both)), ""},
		{"good, of a file", unasked, ""},
		{"one backend of three", ask(oneDNAT(one)), "reached 1 backends of 3"},
		{"another's backends", ask(flat([]service{{one.listen, other.backends}})), "arrived at"},
		{"another's source", elsewhere, "arrived from"},
		{"no rule", ask(flat([]service{other})), "no packet arrives"},
		{"half of it", ask(append(flat([]service{one}), dropEverySecond...)), "packets arrived at the backends"},
		{"closed", through("", &layout{variant: closed}, backendAddress(0, 0)), ""},
		{"rewritten, not through", through("", layoutOf(oneDNAT(one)), one.listen), "arrived at"},
	} {
		err := tryProbe(c.probe, i, c.want != "no packet arrives")
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

// TestTry gives layouts whose packets all arrive but are no new connections, or do
// not arrive any more, and wants no figure for them.
func TestTry(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	netnstest.Variants(t)
	if err := newNetwork(); err != nil {
		t.Fatal(err)
	}
	empty := []byte("*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n")
	half := strings.Replace(string(tracked()), "-A FORWARD", "-A FORWARD -m statistic --mode nth --every 2 --packet 1 -j DROP\n-A FORWARD", 1)
	for i, p := range []probe{
		through("no conntrack", layoutOf(empty), backendAddress(0, 0)),
		through("half of it", layoutOf([]byte(half)), backendAddress(0, 0)),
		through("leads nowhere", &layout{}, serviceAddress(0)),
	} {
		s, err := newStage(p.layout, i)
		if err != nil {
			t.Fatal(err)
		}
		s.probe, s.count = p, fewest
		if took, err := s.sample(); err == nil || !strings.Contains(err.Error(), "of 256 packets") {
			t.Errorf("%s: %v, %v", p.name, took, err)
		}
	}
}

// TestFlush wants no entry of conntrack to outlive the sample that made it.
func TestFlush(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	netnstest.Variants(t)
	if err := newNetwork(); err != nil {
		t.Fatal(err)
	}
	s, err := newStage(layoutOf(tracked()), 0)
	if err != nil {
		t.Fatal(err)
	}
	s.probe = through("", s.layout, backendAddress(0, 0))
	s.count = fewest
	if _, err := s.sample(); err != nil {
		t.Fatal(err)
	}
	if now, err := s.read(); err != nil || now.entries != 0 {
		t.Errorf("%d entries are left, %v", now.entries, err)
	}
}

// dropEverySecond is a table that throws half of the packets away.
const dropEverySecond = `*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
-A FORWARD -m statistic --mode nth --every 2 --packet 1 -j DROP
COMMIT
`

// layoutOf is a layout of those rules.
func layoutOf(rules []byte) *layout {
	return &layout{"", "nft", func() ([]byte, error) { return rules, nil }}
}

// tryProbe makes a balancer for a probe and verifies it. Where nothing is to arrive, it
// does not wait as long for that as for what comes late.
func tryProbe(p probe, number int, arrives bool) error {
	s, err := newStage(p.layout, number)
	if err != nil {
		return err
	}
	s.probe = p
	if !arrives {
		s.settle = time.Second
	}
	return s.verify()
}
