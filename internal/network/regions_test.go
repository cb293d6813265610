package network

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"natspread/internal/test/netnstest"
)

// TestRegions asks for the routes to many addresses, of which most are known by those to others,
// and for each alone: the answers are the same, whatever routes and rules there are.
func TestRegions(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	ip := func(line string) { netnstest.Self().Command(t, "", "ip", strings.Fields(line)...) }
	wantAlike(t, "nothing")
	ip("link add near type veth peer name far")
	ip("link set near up")
	ip("link set far up")
	ip("addr add 10.0.1.1/24 dev near")
	ip("addr add 10.0.2.1/24 dev near noprefixroute")
	wantAlike(t, "a subnet")
	ip("route add default via 10.0.1.254")
	ip("route add 10.0.3.0/24 via 10.0.1.253")
	ip("route add unreachable 10.0.3.128/25")
	ip("route add 10.0.3.130 via 10.0.1.252")
	ip("route add blackhole 10.0.4.0/24")
	ip("route add prohibit 10.0.5.0/24")
	ip("route add local 10.0.6.0/24 dev lo")
	ip("route add throw 10.0.7.0/25")
	wantAlike(t, "routes")
	ip("route add 10.0.8.0/24 via 10.0.1.251 table 7")
	ip("rule add priority 100 lookup 7")
	ip("rule add priority 90 from 10.0.1.1 prohibit")
	wantAlike(t, "a table of its own")
	ip("rule add priority 80 to 10.0.9.0/25 prohibit")
	wantAlike(t, "a rule for a destination")
	ip("rule del priority 80")
	ip("route add 10.0.10.0/24 nexthop via 10.0.1.250 nexthop via 10.0.1.249")
	wantAlike(t, "two ways")
	ip("link set near down")
	wantAlike(t, "down")
}

// wantAlike asks for the route to addresses of each subnet by one Network, and by one for each.
func wantAlike(t *testing.T, name string) {
	t.Helper()
	all, err := Read()
	if err != nil {
		t.Fatal(err)
	}
	for last := 1; last < 256; last += 3 {
		for subnet := range 12 {
			addr := netip.MustParseAddr(fmt.Sprintf("10.0.%d.%d", subnet, last))
			alone, err := Read()
			if err != nil {
				t.Fatal(err)
			}
			want, wantErr := alone.RouteTo(addr)
			alone.handle.Close()
			got, err := all.RouteTo(addr)
			if got != want || !errors.Is(err, wantErr) {
				t.Errorf("%s: %v: %+v, %v; alone %+v, %v", name, addr, got, err, want, wantErr)
			}
		}
	}
	if all.handle.Close(); len(all.regions.bits) == 0 && name == "routes" {
		t.Errorf("%s: there are no regions", name)
	}
}
