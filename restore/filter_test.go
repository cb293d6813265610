package restore_test

import (
	"fmt"
	"strings"
	"testing"

	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
)

// TestForwardMadeOtherwise applies the same config with other accepts, as another natspread
// may make of it: that is a change like any other.
func TestForwardMadeOtherwise(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		apply(t, host, hosttest.Accepted(hosttest.Article))
		otherwise := request(t, hosttest.Accepted(hosttest.Article))
		otherwise.Tables.FilterIPv4.Chains[0].Rules[0].OriginalPorts = rules.Ports{First: 80, Last: 81}
		result, err := host.Apply(t.Context(), otherwise)
		if hosttest.Must(t, err); !result.Changed || result.Generation != 2 {
			t.Errorf("%+v", result)
		}
		if saved := hosttest.SaveFilter(t, variant, rules.IPv4); !strings.Contains(saved, "--ctorigdstport 80:81 -j NATSPREAD-web") {
			t.Errorf("the kernel holds\n%s", saved)
		}
	})
}

// TestForwardConnections drops everything in FORWARD, and connects: to what is accepted,
// also by an address that "*" stands for, both ways and with its ICMP errors; to what is
// not, to what somebody else translated to the same backend, and to the backend itself.
func TestForwardConnections(t *testing.T) {
	eachConnection(t, func(t *testing.T, variant rules.Variant, f int, network string) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Gateway: true})
		for _, port := range []int{80, 81, 82} {
			n.Serve(t, network, f, port)
		}
		routeBack(t, n)
		host := newHost(t, variant)
		hosttest.IPTablesOn(t, variant, families[f], rules.Filter, "-P FORWARD DROP")
		vip := func(port int) string { return at(netnstest.VIP(f), port) }
		one := func(port int, forward string, lines ...string) string {
			text := service(fmt.Sprint("s", port), f, port, 1, append(lines, `snat = "none"`)...)
			return text + fmt.Sprintf("forward = %q\n", forward)
		}
		any := one(82, "accept", `listen = "*:82"`)
		gone := one(83, "accept") // nobody listens there
		client := netnstest.ClientAddr(f, 0)

		apply(t, host, one(80, "leave"))
		wantSilence(t, n.Client, network, vip(80))
		apply(t, host, one(80, "accept")+one(81, "leave")+any+gone)
		wantAnswer(t, n.Client, network, vip(80), at(backend(f, 0), 80), client)
		wantAnswer(t, n.Client, network, vip(82), at(backend(f, 0), 82), client)
		wantRefused(t, n.Client, network, vip(83))
		other := at(netnstest.VIP(f).Next(), 80)
		hosttest.IPTables(t, variant, families[f], fmt.Sprintf("-I PREROUTING -d %v -p %s --dport 80 -j DNAT --to-destination %s", netnstest.VIP(f).Next(), network, at(backend(f, 0), 80)))
		n.Client.Command(t, "", "ip", "route", "add", netnstest.VIP(f).Next().String(), "via", netnstest.VIP(f).String())
		wantSilence(t, n.Client, network, vip(81), at(backend(f, 0), 80), other)
		// What others lead from there to another port, or to a machine that is no backend.
		for _, to := range []string{at(backend(f, 0), 81), at(backend(f, 1), 80)} {
			elsewhere := fmt.Sprintf(" PREROUTING -d %v -p %s --dport 80 -j DNAT --to-destination %s", netnstest.VIP(f), network, to)
			hosttest.IPTables(t, variant, families[f], "-I"+elsewhere)
			wantSilence(t, n.Client, network, vip(80))
			hosttest.IPTables(t, variant, families[f], "-D"+elsewhere)
		}
		wantAnswer(t, n.Client, network, vip(80), at(backend(f, 0), 80), client)

		apply(t, host, one(80, "leave")+any)
		wantSilence(t, n.Client, network, vip(80))
		wantAnswer(t, n.Client, network, vip(82), at(backend(f, 0), 82), client)
	})
}
