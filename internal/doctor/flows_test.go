package doctor

import (
	"net"
	"net/netip"
	"testing"

	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/internal/test/netnstest"
	"natspread/restore/flows"
)

// TestFlows reads both directions of real connections of both families: one that is open, one
// that nobody answers, and one that is over.
func TestFlows(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	p := newPatient(t, "nft", netnstest.Layout{Gateway: true}, config.SNAT{Mode: config.Address, Addr: netip.MustParseAddr("10.0.0.254")})
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

	all := func(flows.Entry) bool { return true }
	found, err := readFlows(rules.IPv4, all)
	if err != nil {
		t.Fatal(err)
	}
	has := func(name string, is func(flows.Entry) bool) {
		t.Helper()
		for _, f := range found {
			if is(f) {
				return
			}
		}
		t.Errorf("no connection is %s: %+v", name, found)
	}
	has("open", func(f flows.Entry) bool {
		return f.Protocol == flows.TCP && f.OrigSrc.Addr() == netnstest.ClientAddr(4, 0) && f.OrigDst.String() == "192.0.2.10:80" &&
			f.ReplySrc.String() == "10.0.0.1:80" && f.ReplyDst == netip.AddrPortFrom(netnstest.Gateway(4), f.OrigSrc.Port()) && f.SeenReply && !f.Waits()
	})
	has("unanswered", func(f flows.Entry) bool {
		return f.Protocol == flows.UDP && f.OrigDst.String() == "10.0.0.1:9" && !f.SeenReply
	})
	has("over", func(f flows.Entry) bool { return f.OrigSrc.String() == "192.0.2.200:1024" && f.Waits() })
	if found, err = readFlows(rules.IPv6, all); err != nil {
		t.Fatal(err)
	}
	has("of IPv6", func(f flows.Entry) bool {
		return f.OrigSrc.Addr() == netnstest.ClientAddr(6, 0) && f.OrigDst.String() == "[fd00::1]:80" && f.ReplySrc == f.OrigDst && f.ReplyDst == f.OrigSrc && f.SeenReply
	})
	if none, err := readFlows(rules.IPv4, func(flows.Entry) bool { return false }); none != nil || err != nil {
		t.Errorf("%v, %v", none, err)
	}
}

// TestConcerns keeps what has to do with a balancer.
func TestConcerns(t *testing.T) {
	b := Balancer{Services: []config.Service{webService()}}
	b.Services[0].SNAT.Addr = netip.MustParseAddr("10.0.0.254")
	keep := b.concerns()
	one := func(to, answerer, answered string) flows.Entry {
		return flows.Entry{OrigDst: netip.MustParseAddrPort(to), ReplySrc: netip.MustParseAddrPort(answerer), ReplyDst: netip.MustParseAddrPort(answered)}
	}
	const other = "203.0.113.1:1"
	for _, c := range []struct {
		flow flows.Entry
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
