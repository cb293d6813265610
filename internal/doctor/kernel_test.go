package doctor

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/internal/test/netnstest"
)

// patience bounds a question that has no answer, and hurry one that has.
const (
	patience = 300 * time.Millisecond
	hurry    = 10 * time.Second
)

// TestForwardingOfTheKernel switches every switch off, and finds just those by which
// packets no longer get through: of IPv4 each, of IPv6 only the host's.
func TestForwardingOfTheKernel(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 1, Gateway: true, Forward: true})
	n.Client.Command(t, "route add 10.0.0.0/24 via 192.0.2.10\nroute add fd00::/64 via 2001:db8::10\n", "ip", "-batch", "-")
	for _, family := range []int{4, 6} {
		n.Serve(t, "tcp", family, 80)
	}
	services := []config.Service{webService(), sixService()}
	live := Host{Root: t.TempDir(), Sysctls: "/proc/sys", Proc: "/proc"}
	for _, c := range []struct {
		family rules.Family
		key    string
		want   string // what is found, "" for nothing: packets still get through
	}{
		{rules.IPv4, "net.ipv4.ip_forward", "net.ipv4.ip_forward is not 1"},
		{rules.IPv4, "net.ipv4.conf.all.forwarding", "net.ipv4.ip_forward is not 1"},
		{rules.IPv4, "net.ipv4.conf.front.forwarding", "net.ipv4.conf.front.forwarding is 0, so what comes in by front is not forwarded"},
		{rules.IPv4, "net.ipv4.conf.back.forwarding", "net.ipv4.conf.back.forwarding is 0, so what comes in by back is not forwarded"},
		{rules.IPv4, "net.ipv4.conf.lo.forwarding", ""},
		{rules.IPv6, "net.ipv6.conf.all.forwarding", "net.ipv6.conf.all.forwarding is not 1"},
		{rules.IPv6, "net.ipv6.conf.front.forwarding", ""},
		{rules.IPv6, "net.ipv6.conf.back.forwarding", ""},
	} {
		family := map[rules.Family]int{rules.IPv4: 4, rules.IPv6: 6}[c.family]
		ask := func(bound time.Duration) error {
			_, _, err := netnstest.Ask(t, n.Client, "tcp", netip.AddrPortFrom(n.Backends[0].Addr(family), 80).String(), bound)
			return err
		}
		if err := ask(hurry); err != nil {
			t.Fatalf("%s is on: %v", c.key, err)
		}
		n.Balancer.Sysctl(t, c.key, "0")
		found := live.Forwarding(services, c.family)
		if len(found) > 1 || (len(found) == 1) != (c.want != "") {
			t.Errorf("%s: %v", c.key, found)
		}
		if c.want == "" {
			if err := ask(hurry); err != nil {
				t.Errorf("%s stops packets, and nothing is found: %v", c.key, err)
			}
		} else {
			if len(found) == 1 && (found[0].Severity != Broken || !strings.Contains(found[0].What, c.want)) {
				t.Errorf("%s: %v", c.key, found)
			}
			if err := ask(patience); err == nil {
				t.Errorf("%s stops no packet, and is found", c.key)
			}
		}
		n.Balancer.Sysctl(t, c.key, "1")
	}
}
