package doctor

import (
	"net"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"natspread/internal/netnstest"
	"natspread/nat"
)

// TestFlows reads both ways of real connections of both families: one that is open, one
// that nobody answers, and one that is over.
func TestFlows(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	p := newPatient(t, "nft", netnstest.Layout{Gateway: true}, Source{Addr: netip.MustParseAddr("10.0.0.254")})
	p.sh(t, "ip6tables-nft -A FORWARD -m conntrack --ctstate INVALID -j DROP") // conntrack looks at IPv6, too
	p.hold(t)
	p.Client.Command(t, "route add 10.0.0.0/24 via 192.0.2.10\nroute add fd00::/64 via 2001:db8::10\n", "ip", "-batch", "-")
	p.Client.Do(t, func() {
		conn, err := net.Dial("udp", "10.0.0.1:9")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_, _ = conn.Write([]byte("?\n"))
	})
	p.Serve(t, "tcp", 6, 80)
	if _, _, err := netnstest.Ask(t, p.Client, "tcp", "[fd00::1]:80", hurry); err != nil {
		t.Fatal(err)
	}
	track(t, 1)

	all := func(flow) bool { return true }
	found, err := readFlows(nat.IPv4, all)
	if err != nil {
		t.Fatal(err)
	}
	has := func(name string, is func(flow) bool) {
		t.Helper()
		for _, f := range found {
			if is(f) {
				return
			}
		}
		t.Errorf("no connection is %s: %+v", name, found)
	}
	has("open", func(f flow) bool {
		return f.protocol == unix.IPPROTO_TCP && f.from.Addr() == netnstest.ClientAddr(4, 0) && f.to.String() == "192.0.2.10:80" &&
			f.answerer.String() == "10.0.0.1:80" && f.answered == netip.AddrPortFrom(netnstest.Gateway(4), f.from.Port()) && f.answers && !f.waits
	})
	has("unanswered", func(f flow) bool {
		return f.protocol == unix.IPPROTO_UDP && f.to.String() == "10.0.0.1:9" && !f.answers
	})
	has("over", func(f flow) bool { return f.from.String() == "192.0.2.200:1024" && f.waits })
	if found, err = readFlows(nat.IPv6, all); err != nil {
		t.Fatal(err)
	}
	has("of IPv6", func(f flow) bool {
		return f.from.Addr() == netnstest.ClientAddr(6, 0) && f.to.String() == "[fd00::1]:80" && f.answerer == f.to && f.answered == f.from && f.answers
	})
	if none, err := readFlows(nat.IPv4, func(flow) bool { return false }); none != nil || err != nil {
		t.Errorf("%v, %v", none, err)
	}
}

// TestConcerns keeps what has to do with a balancer.
func TestConcerns(t *testing.T) {
	b := Balancer{Services: []Service{webService()}}
	b.Services[0].Source.Addr = netip.MustParseAddr("10.0.0.254")
	keep := b.concerns()
	one := func(to, answerer, answered string) flow {
		return flow{to: netip.MustParseAddrPort(to), answerer: netip.MustParseAddrPort(answerer), answered: netip.MustParseAddrPort(answered)}
	}
	const other = "203.0.113.1:1"
	for _, c := range []struct {
		flow flow
		want bool
	}{
		{one(other, other, other), false}, {one("192.0.2.10:443", other, other), true},
		{one(other, "10.0.0.1:22", other), true}, {one(other, other, "10.0.0.254:1024"), true},
	} {
		if keep(c.flow) != c.want {
			t.Errorf("%+v", c.flow)
		}
	}
}

// TestParseFlowCut refuses what ends too early, and reads nothing past its end.
func TestParseFlowCut(t *testing.T) {
	message := []byte{2, 0, 0, 0, 8, 0, 1, 0x80, 200, 0, 1, 0x80}
	for length := range message {
		f, err := parseFlow(nat.IPv4, message[:length])
		if err == nil && (f.answers || f.from.Addr().IsValid()) {
			t.Errorf("%d bytes: %+v", length, f)
		}
	}
	if _, err := parseFlow(nat.IPv4, message); err == nil {
		t.Error("an attribute is longer than the message")
	}
}
