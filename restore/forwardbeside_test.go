package restore_test

import (
	"strings"
	"testing"

	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
)

// besides is FORWARD as others make it, each with a ban of the client 192.0.2.100 where that
// tool puts one. The backends are behind the interface back, clients come by front.
var besides = []struct {
	name, rules string
	banned      bool // the ban holds: also what cannot be had stands here
}{
	{"a plain ban", "-A FORWARD -s 192.0.2.100/32 -j DROP\n", true},
	{"fail2ban in FORWARD", `-A FORWARD -p tcp -m multiport --dports 80 -j f2b-web
-A f2b-web -s 192.0.2.100/32 -j REJECT --reject-with icmp-port-unreachable
-A f2b-web -j RETURN
`, true},
	{"Docker 28", strings.ReplaceAll(dockerBeside, "BRIDGE0", "docker0"), true},
	{"Docker 28, its bridge holds the backends", strings.ReplaceAll(dockerBeside, "BRIDGE0", "back"), true},
	{"ufw", ufwBeside, true},
	{"ufw with REJECT", ufwBeside + "-A ufw-reject-forward -j REJECT --reject-with icmp-port-unreachable\n", true},
	{"libvirt, backends elsewhere", strings.ReplaceAll(libvirtBeside, "VIRBR0", "virbr0"), true},
	{"libvirt, its network holds the backends", strings.ReplaceAll(libvirtBeside, "VIRBR0", "back"), true},
	{"a final REJECT", "-A FORWARD -s 192.0.2.100/32 -j DROP\n-A FORWARD -j REJECT --reject-with icmp-host-prohibited\n", true},
	{"a final DROP by interface", "-A FORWARD -s 192.0.2.100/32 -j DROP\n-A FORWARD -i front -j DROP\n", true},
	{"a final DROP of new ones", "-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n-A FORWARD -s 192.0.2.100/32 -j DROP\n-A FORWARD -m conntrack --ctstate NEW -j DROP\n", true},
	{"firewalld without DNAT", `-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -j FORWARD_direct
-A FORWARD -m conntrack --ctstate INVALID -j DROP
-A FORWARD -j REJECT --reject-with icmp-host-prohibited
-A FORWARD_direct -s 192.0.2.100/32 -j DROP
`, true},
	// What cannot be had: no place is right.
	{"ban and end in one chain", "-A FORWARD -j fw\n-A fw -s 192.0.2.100/32 -j DROP\n-A fw -j DROP\n", false},
	{"a ban behind the end", "-A FORWARD -i front -j DROP\n-A FORWARD -s 192.0.2.100/32 -j DROP\n", false},
	{"a ban in INPUT", "-A INPUT -s 192.0.2.100/32 -j DROP\n", false},
}

// The longer ones.
const (
	dockerBeside = `-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-FORWARD
-A DOCKER ! -i BRIDGE0 -o BRIDGE0 -j DROP
-A DOCKER-BRIDGE -o BRIDGE0 -j DOCKER
-A DOCKER-CT -o BRIDGE0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A DOCKER-FORWARD -j DOCKER-CT
-A DOCKER-FORWARD -j DOCKER-BRIDGE
-A DOCKER-FORWARD -i BRIDGE0 -j ACCEPT
-A DOCKER-USER -s 192.0.2.100/32 -j DROP
`
	ufwBeside = `-A FORWARD -j ufw-before-forward
-A FORWARD -j ufw-reject-forward
-A ufw-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A ufw-before-forward -j ufw-user-forward
-A ufw-user-forward -s 192.0.2.100/32 -j DROP
-A ufw-reject-forward -j LOG
`
	libvirtBeside = `-A FORWARD -s 192.0.2.100/32 -j DROP
-A FORWARD -j LIBVIRT_FWI
-A FORWARD -j LIBVIRT_FWO
-A LIBVIRT_FWI -d 10.0.0.0/24 -o VIRBR0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A LIBVIRT_FWI -o VIRBR0 -j REJECT --reject-with icmp-port-unreachable
-A LIBVIRT_FWO -s 10.0.0.0/24 -i VIRBR0 -j ACCEPT
-A LIBVIRT_FWO -i VIRBR0 -j REJECT --reject-with icmp-port-unreachable
`
)

// beside returns rules as iptables-restore reads them, where FORWARD drops.
func beside(text string) string {
	declared := ""
	for line := range strings.Lines(text) {
		if name := strings.Fields(line)[1]; name != "FORWARD" && name != "INPUT" && !strings.Contains(declared, ":"+name+" ") {
			declared += ":" + name + " - [0:0]\n"
		}
	}
	return "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n" + declared + text + "COMMIT\n"
}

// TestForwardBeside has connections beside what others write into FORWARD, whose policy is
// DROP: own ones pass, and the client that is banned stays banned, after an apply and after a
// boot, whether the others came first or wrote their rules anew since; what is theirs stays
// as it was, to the byte.
func TestForwardBeside(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 1, Gateway: true, Clients: 2})
		server := n.Serve(t, "tcp", 4, 80)[0]
		vip, client, banned := at(netnstest.VIP(4), 80), netnstest.ClientAddr(4, 0), netnstest.ClientAddr(4, 1)
		toml := service("web", 4, 80, 1, `snat = "none"`, `forward = "accept"`)
		for _, c := range besides {
			t.Run(c.name, func(t *testing.T) {
				host := newHost(t, variant)
				check := func(when string) {
					t.Helper()
					wantAnswer(t, n.Client.At(client), "tcp", vip, server, client)
					if _, err := n.Client.At(banned).Once("tcp", vip, patience); (err != nil) != c.banned {
						t.Errorf("%s, the banned client: %v", when, err)
					}
					wantInSync(t, host)
				}
				text := beside(c.rules)
				hosttest.Put(t, variant, rules.IPv4, text)
				before := hosttest.Uncommented(hosttest.SaveFilter(t, variant, rules.IPv4))
				apply(t, host, toml)
				if left := ownLines.ReplaceAllString(hosttest.SaveFilter(t, variant, rules.IPv4), ""); counted(rules.Legacy, left) != counted(rules.Legacy, before) {
					hosttest.WantSame(t, "what is others'", before, left)
				}
				check("after an apply")
				hosttest.Put(t, variant, rules.IPv4, text) // which empties the table
				restored(t, host)
				check("after a boot")
				_, err := host.Stop(t.Context())
				hosttest.Must(t, err)
				hosttest.Put(t, variant, rules.IPv4, hosttest.EmptyFilter)
			})
		}
	})
}

// TestForwardBesideNative has a table of nft's own drop what FORWARD lets through, which no
// place of a jump changes.
func TestForwardBesideNative(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 1, Gateway: true})
		server := n.Serve(t, "tcp", 4, 80)[0]
		apply(t, newHost(t, variant), service("web", 4, 80, 1, `snat = "none"`, `forward = "accept"`))
		vip, client := at(netnstest.VIP(4), 80), netnstest.ClientAddr(4, 0)
		wantAnswer(t, n.Client, "tcp", vip, server, client)
		netnstest.Self().Command(t, "table inet own {\n\tchain forward {\n\t\ttype filter hook forward priority 0; policy drop;\n\t}\n}\n", "nft", "-f", "-")
		wantSilence(t, n.Client, "tcp", vip)
		netnstest.Self().Command(t, "", "nft", "add rule inet own forward ct status dnat accept")
		wantAnswer(t, n.Client, "tcp", vip, server, client)
	})
}

// TestForwardFollowsRoute has a route change, which no record of the kernel's ruleset tells of:
// what dropped others' connections drops own ones now, and an apply of the same config puts
// the jumps before it.
func TestForwardFollowsRoute(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		netnstest.NewNetwork(t, netnstest.Layout{Backends: 1})
		hosttest.Put(t, variant, rules.IPv4, beside("-A FORWARD -o front -j DROP\n"))
		host, toml := newHost(t, variant), service("web", 4, 80, 1, `forward = "accept"`)
		apply(t, host, toml)
		if place := filterPart().jumpPlace(t, variant, rules.IPv4); place != 2 {
			t.Errorf("behind what is others' the jump is rule %d", place)
		}
		netnstest.Self().Command(t, "", "ip", "route", "add", backend(4, 0).String()+"/32", "dev", netnstest.Front)
		if result := apply(t, host, toml); !result.Loaded || result.Generation != 1 {
			t.Errorf("%+v", result)
		}
		if place := filterPart().jumpPlace(t, variant, rules.IPv4); place != 1 {
			t.Errorf("once that drops own ones the jump is rule %d", place)
		}
	})
}
