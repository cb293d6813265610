package restore_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/internal/test/testsize"
	"natspread/restore/flows"
)

// listing returns a backends key of these items, a word for each of which is "ADDRESS:PORT", with
// "drained " before one that is.
func listing(items ...string) string {
	var list []string
	for _, item := range items {
		address, drained := strings.CutPrefix(item, "drained ")
		list = append(list, fmt.Sprintf("{ address = %q, drain = %v }", address, drained))
	}
	return "backends = [" + strings.Join(list, ", ") + "]"
}

// TestOwnShare spreads over the listen address itself, another port of it, and another host, from
// outside and from the balancer. The balancer's own service sees who asks, whatever snat says.
func TestOwnShare(t *testing.T) {
	eachConnection(t, func(t *testing.T, variant rules.Variant, family int, network string) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 1, Clients: 12, Gateway: true})
		host, vip, client := newHost(t, variant), netnstest.VIP(family), netnstest.ClientAddr(family, 0)
		own, beside := netnstest.Serve(t, n.Balancer, network, at(vip, 80)), netnstest.Serve(t, n.Balancer, network, at(vip, 7701))
		servers := append([]string{own, beside}, n.Serve(t, network, family, 80)...)
		all := listing(servers...)
		snat := fmt.Sprintf("snat = %q", vip)
		apply(t, host, service("own", family, 80, 1, all, snat))
		for _, from := range []*netnstest.Host{n.Client, n.Balancer} {
			counts := netnstest.AskMany(t, from, network, own, testsize.Of(300, 600), 8).Of(servers)
			if x2, ok := netnstest.ChiSquare(counts, []float64{1, 1, 1}); !ok {
				t.Errorf("%v answer, chi-square %.1f", counts, x2)
			}
		}
		apply(t, host, service("own", family, 80, 1, all, snat, `algorithm = "round-robin"`))
		if counts := netnstest.AskMany(t, n.Client, network, own, 60, 4).Of(servers); !slices.Equal(counts, []int{20, 20, 20}) {
			t.Errorf("in turn %v answer", counts)
		}
		apply(t, host, service("own", family, 80, 1, listing(own, servers[2]), snat, `algorithm = "source"`))
		kept := map[string]bool{}
		for i := range 12 {
			tally := netnstest.AskMany(t, n.Client.At(netnstest.ClientAddr(family, i)), network, own, 3, 1)
			for answered := range tally {
				kept[answered] = true
			}
			if len(tally) != 1 {
				t.Errorf("client %d does not keep its backend: %v", i, tally)
			}
		}
		if len(kept) != 2 {
			t.Errorf("clients are kept at %v", kept)
		}
		apply(t, host, service("own", family, 80, 1, listing(own, "drained "+servers[2]), snat))
		wantAnswer(t, n.Client.At(client), network, own, own, client)
		wantAnswer(t, n.Balancer, network, own, own, vip)
		apply(t, host, service("own", family, 80, 1, listing("drained "+own), snat))
		wantRefused(t, n.Client, network, own)
	})
}

// TestOwnShareIsNotTaken has a rule of others behind our jump that takes what comes to the port. The
// accept keeps it from our share; a return in its place would not, and a redirect would lead what the
// balancer asks itself to a loopback address.
func TestOwnShareIsNotTaken(t *testing.T) {
	eachConnection(t, func(t *testing.T, variant rules.Variant, family int, network string) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 1})
		host, vip := newHost(t, variant), netnstest.VIP(family)
		own, thief := netnstest.Serve(t, n.Balancer, network, at(vip, 80)), netnstest.Serve(t, n.Balancer, network, at(vip, 7702))
		servers := append([]string{own}, n.Serve(t, network, family, 80)...)
		change := func(line string) { hosttest.IPTables(t, variant, families[family], line) }
		change(fmt.Sprintf("-A PREROUTING -d %v -p %s --dport 80 -j DNAT --to-destination %s", vip, network, thief))
		wantAnswer(t, n.Client, network, own, thief, netnstest.ClientAddr(family, 0))
		apply(t, host, service("own", family, 80, 1, listing(servers...)))
		ask := func() []int {
			return netnstest.AskMany(t, n.Client, network, own, 100, 8).Of([]string{own, servers[1], thief})
		}
		if counts := ask(); counts[0] == 0 || counts[1] == 0 || counts[2] != 0 {
			t.Errorf("with an accept %v answer", counts)
		}
		first := fmt.Sprintf("-R NATSPREAD-own %d -p %s ", 1+2*slices.Index(transports, network), network) // tcp stands before udp
		change(first + "-m statistic --mode random --probability 0.5 -j RETURN")
		if counts := ask(); counts[0] != 0 || counts[1] == 0 || counts[2] == 0 {
			t.Errorf("with a return %v answer", counts)
		}
		change(first + "-j REDIRECT --to-ports 80")
		if answered, _, err := netnstest.Ask(t, n.Balancer, network, own, 2*time.Second); !errors.Is(err, unix.ECONNREFUSED) {
			t.Errorf("with a redirect %q answers the balancer itself: %v", answered, err)
		}
	})
}

// TestOwnOfSeveral has a backend that is one of two listen addresses, or one port of a range, or the
// port that a map keeps: what was asked there stays, and what was asked elsewhere is sent there.
func TestOwnOfSeveral(t *testing.T) {
	eachConnection(t, func(t *testing.T, variant rules.Variant, family int, network string) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 1})
		vip, second := netnstest.VIP(family), netip.MustParseAddr(map[int]string{4: "192.0.2.11", 6: "2001:db8::11"}[family])
		bits := map[int]int{4: 24, 6: 64}[family]
		n.Balancer.Command(t, "", "ip", "address", "add", netip.PrefixFrom(second, bits).String(), "dev", netnstest.Front, "nodad")
		client := netnstest.ClientAddr(family, 0)
		toml := service("two", family, 80, 1, fmt.Sprintf("listen = [%q, %q]", at(vip, 80), at(second, 80)), listing(at(vip, 80)))
		toml += service("range", family, 8000, 1, fmt.Sprintf("listen = %q", strings.Replace(at(vip, 8000), "8000", "8000-8010", 1)), listing(at(vip, 8005)))
		toml += service("map", family, 443, 1, fmt.Sprintf("listen = %q\nports = { 443 = 443, 444 = 8444 }", vip), fmt.Sprintf("backends = [%q]", vip))
		apply(t, newHost(t, variant), toml)
		for asked, answers := range map[string]string{
			at(vip, 80): at(vip, 80), at(second, 80): at(vip, 80), at(vip, 8005): at(vip, 8005), at(vip, 8000): at(vip, 8005),
			at(vip, 443): at(vip, 443), at(vip, 444): at(vip, 8444),
		} {
			if asked == answers || asked == at(vip, 444) {
				netnstest.Serve(t, n.Balancer, network, answers)
			}
			defer wantAnswer(t, n.Client, network, asked, answers, client)
		}
	})
}

// TestOwnFlowsEnd deletes the entry of a connection at the balancer's own service. If the client sends
// next, another backend gets it: UDP moves there, and TCP is reset.
func TestOwnFlowsEnd(t *testing.T) {
	eachConnection(t, func(t *testing.T, variant rules.Variant, family int, network string) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 1})
		host, vip := newHost(t, variant), netnstest.VIP(family)
		own := netnstest.Serve(t, n.Balancer, network, at(vip, 80))
		other := n.Serve(t, network, family, 80)[0]
		apply(t, host, service("own", family, 80, 1, listing(own)))
		open := netnstest.Converse(t, n.Client, network, own)
		if answered, err := open.Ask(2 * time.Second); err != nil || answered != own {
			t.Fatalf("%q answers, %v", answered, err)
		}
		toml := service("own", family, 80, 1, listing("drained "+own, other))
		apply(t, host, toml)
		services := slices.DeleteFunc(hosttest.Services(t, toml), func(s rules.VirtualService) bool { return s.Protocol != network })
		deleted, err := flows.DeleteBackends(t.Context(), services, []netip.AddrPort{netip.MustParseAddrPort(own)})
		if hosttest.Must(t, err); deleted != 1 {
			t.Errorf("%d entries are deleted", deleted)
		}
		answered, err := open.Ask(2 * time.Second)
		if network == "udp" && (err != nil || answered != other) || network == "tcp" && err == nil {
			t.Errorf("%q answers, %v", answered, err)
		}
	})
}

// TestOwnFlows keeps a connection at the balancer's own service open: loads that leave it its backend
// do not touch it, drained or not, and it counts as one of that backend's. When the backend is taken
// out, UDP moves on and TCP stays.
func TestOwnFlows(t *testing.T) {
	eachConnection(t, func(t *testing.T, variant rules.Variant, family int, network string) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 1})
		host, vip := newHost(t, variant), netnstest.VIP(family)
		own := netnstest.Serve(t, n.Balancer, network, at(vip, 80))
		other := n.Serve(t, network, family, 80)[0]
		apply(t, host, service("own", family, 80, 1, listing(own)))
		open := netnstest.Converse(t, n.Client, network, own)
		want := func(when, want string) {
			t.Helper()
			if answered, err := open.Ask(2 * time.Second); err != nil || answered != want {
				t.Errorf("%s %q answers, %v; want %s", when, answered, err, want)
			}
		}
		want("alone", own)
		for when, lines := range map[string][]string{
			"beside another": {listing(own, other)}, "drained": {listing("drained "+own, other)},
			"with a gate":       {listing(own, other), fmt.Sprintf("deny = %q", netnstest.Gateway(family))},
			"with another snat": {listing(own, other), `snat = "none"`},
		} {
			toml := service("own", family, 80, 1, lines...)
			apply(t, host, toml)
			want(when, own)
			live, err := flows.CountConnections(t.Context(), hosttest.Services(t, toml))
			hosttest.Must(t, err)
			protocol := slices.Index(transports, network)
			if live[protocol][0] != 1 || live[protocol][1] != 0 {
				t.Errorf("%s %v are live", when, live)
			}
		}
		denied := fmt.Sprintf("deny = %q\nrefused = \"reject\"", netnstest.ClientAddr(family, 0))
		apply(t, host, service("own", family, 80, 1, listing(own, other), denied))
		if network == "udp" {
			if answered, err := open.Ask(patience); err == nil {
				t.Errorf("a client that is turned away is answered by %q", answered)
			}
			open = netnstest.Converse(t, n.Client, network, own)
			apply(t, host, service("own", family, 80, 1, listing(own, "drained "+other)))
			want("not turned away any more", own)
		}
		apply(t, host, service("own", family, 80, 1, listing(other)))
		want("taken out", map[string]string{"tcp": own, "udp": other}[network])
	})
}
