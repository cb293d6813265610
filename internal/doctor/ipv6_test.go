package doctor

import (
	"testing"

	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/internal/test/netnstest"
)

// TestIPv6 makes the faults that are different with IPv6.
func TestIPv6(t *testing.T) {
	for _, variant := range netnstest.Variants(t) {
		t.Run(variant, func(t *testing.T) {
			if !netnstest.Isolate(t) {
				return
			}
			n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 1, Forward: true})
			n.Serve(t, "tcp", 6, 80)
			tools := netnstest.Programs(variant, 6)
			n.Balancer.Command(t, "*nat\n-A PREROUTING -d 2001:db8::10 -p tcp --dport 80 -j DNAT --to-destination [fd00::1]:80\n-A POSTROUTING -m conntrack --ctstate DNAT -j MASQUERADE\nCOMMIT\n", tools.Restore)
			six(t, n, variant)
		})
	}
}

// six is TestIPv6 in its namespaces.
func six(t *testing.T, n *netnstest.Network, variant string) {
	t.Helper()
	tools := netnstest.Programs(variant, 6)
	b := Balancer{Variant: rules.Variant(variant), Services: []config.Service{sixService()}}
	live := Host{Root: t.TempDir(), Sysctls: "/proc/sys", Proc: "/proc", Asks: true}
	step := func(line string, answers bool, want string) {
		t.Helper()
		n.Balancer.Command(t, line, "sh", "-e")
		n.Client.Command(t, "", "ip", "neigh", "flush", "all")
		flush(t)
		bound := hurry
		if !answers {
			bound = patience
		}
		if _, _, err := netnstest.Ask(t, n.Client, "tcp", "[2001:db8::10]:80", bound); (err == nil) != answers {
			t.Errorf("after %s: %v", line, err)
		}
		b.Rulesets = []rules.Ruleset{rules.ParseRuleset(rules.IPv6, rules.Variant(variant), []byte(n.Balancer.Command(t, "", tools.Save)))}
		if found := reported(append(live.Way(b).Found, live.Examine(b)...)); found != want {
			t.Errorf("after %s:\n%s", line, found)
		}
	}
	step("", true, "")
	step(tools.Iptables+" -P FORWARD DROP", false,
		"broken: ipv6: connections of six to [fd00::1]:80 are dropped by the "+variant+" variant: the policy of FORWARD\n    "+tools.Iptables+" -I FORWARD -m conntrack --ctstate DNAT -j ACCEPT # until the next boot; for good: forward = \"accept\" in service six, then: natspread apply\n")
	step(tools.Iptables+" -I FORWARD -m conntrack --ctstate DNAT -j ACCEPT", true, "")
	absent := "risk: 2001:db8::10, listen of six, is on no interface, and nobody answers for it in 2001:db8::/64 on front, unless the network needs no answer\n" +
		"    ip address add 2001:db8::10/64 dev front # until the next boot; for good: 2001:db8::10/64 in whatever sets front up at boot\n"
	step("ip address add 2001:db8::11/64 dev front nodad; ip address del 2001:db8::10/64 dev front", false, absent)
	step("echo 1 > /proc/sys/net/ipv6/conf/front/proxy_ndp; ip neigh add proxy 2001:db8::10 dev front", true, "")
	step("ip neigh del proxy 2001:db8::10 dev front; ip address add 2001:db8::10/64 dev front nodad", true, "")
	step("ip route add unreachable fd00::1", false, "broken: no route leads to backend fd00::1 of six: the host has the route unreachable fd00::1/128\n    ip route del unreachable fd00::1/128\n")
	step("ip route del unreachable fd00::1/128", true, "")
}
