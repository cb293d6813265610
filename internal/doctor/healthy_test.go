package doctor

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"natspread/internal/config"
	"natspread/internal/test/netnstest"
)

// fine is something that looks like a fault, and by which clients are answered.
type fine struct {
	name     string
	variants bool // with each variant, not only with one
	source   config.SNAT
	lines    string
	change   func(*testing.T, *patient)
}

// fines are what a finding would be wrong of.
func fines() []fine {
	drop := "IPTABLES -P FORWARD DROP\n"
	filter := func(name, lines string) fine { return fine{name: name, variants: true, lines: lines} }
	return []fine{
		filter("nothing", ""),
		filter("accepts DNAT", drop+"IPTABLES -A FORWARD -m conntrack --ctstate DNAT -j ACCEPT"),
		filter("accepts its own", drop+"IPTABLES -N OWN; IPTABLES -A FORWARD -j OWN\n"+
			"IPTABLES -A OWN -p tcp -m conntrack --ctorigdst 192.0.2.10 --ctorigdstport 80 -m comment --comment 'a b -j DROP' -j ACCEPT"),
		filter("accepts both ways", drop+"IPTABLES -A FORWARD -m state --state ESTABLISHED -j ACCEPT; IPTABLES -A FORWARD -i front -o back -p tcp -d 10.0.0.0/24 --dport 80:90 -j ACCEPT"),
		filter("docker's chains", drop+`IPTABLES -N DOCKER-USER; IPTABLES -N DOCKER-FORWARD; IPTABLES -A FORWARD -j DOCKER-USER; IPTABLES -A FORWARD -j DOCKER-FORWARD
IPTABLES -A DOCKER-USER -m conntrack --ctstate DNAT -j ACCEPT; IPTABLES -A DOCKER-USER -j RETURN; IPTABLES -A DOCKER-FORWARD ! -i docker0 -o docker0 -j DROP`),
		filter("bans", `IPTABLES -A FORWARD -s 203.0.113.0/24 -j DROP; IPTABLES -A FORWARD -m mark --mark 0x7 -j DROP; IPTABLES -A FORWARD -i eth9 -j REJECT
IPTABLES -A FORWARD -m conntrack --ctstate INVALID -j DROP; IPTABLES -A FORWARD -p udp -j DROP; IPTABLES -A FORWARD -j LOG --log-prefix "-j DROP"`),
		filter("leaves a chain", `IPTABLES -N A; IPTABLES -N B; IPTABLES -A FORWARD -g A; IPTABLES -A FORWARD -j DROP; IPTABLES -A A -j B; IPTABLES -A B -o back -j RETURN; IPTABLES -A B -i back -j RETURN; IPTABLES -A B -j DROP`),
		filter("accepts by ports", drop+"IPTABLES -A FORWARD -p tcp -m multiport --dports 80,443 -j ACCEPT; IPTABLES -A FORWARD -p tcp -m multiport --sports 80,443 -m state --state ESTABLISHED -j ACCEPT"),
		filter("accepts by interface", drop+held+"IPTABLES -A FORWARD -m state --state ESTABLISHED -j ACCEPT; IPTABLES -A FORWARD -i front -o back -j ACCEPT"),
		{name: "another interface is off", lines: hardened},
		{name: "the interface that holds the address is off", lines: held + "echo 0 > /proc/sys/net/ipv4/conf/vip/forwarding"},
		{name: "the interface that holds a routed address is off", lines: `ip link add vip type veth peer name idle; ip link set vip arp off up
ip address add 198.51.100.7/32 dev vip; echo 0 > /proc/sys/net/ipv4/conf/vip/forwarding`, change: listensToo("198.51.100.7")},
		{name: "an interface without addresses is off", lines: hardened + "ip address flush dev mgmt; ip route add default via 192.0.2.1", change: listensTo(everywhere())},
		{name: "nft accepts DNAT", lines: "nft 'add table inet filter; add chain inet filter forward { type filter hook forward priority 0; policy drop; }; add rule inet filter forward ct status dnat accept'"},
		{name: "a local route", change: listensToo("198.51.100.7"), lines: "ip route add local 198.51.100.0/24 dev lo"},
		{name: "strict and symmetric", lines: "echo 1 > /proc/sys/net/ipv4/conf/all/rp_filter"},
		{name: "loose and asymmetric", source: config.SNAT{Mode: config.Address, Addr: netip.MustParseAddr("10.0.0.254")}, change: func(t *testing.T, p *patient) {
			asymmetric(t, p)
			p.sh(t, "echo 2 > /proc/sys/net/ipv4/conf/back/rp_filter")
		}},
		{name: "an address of a dummy that is down", change: listensToo("198.51.100.7"), lines: "ip link add idle type veth peer name idle2; ip address add 198.51.100.7/32 dev idle"},
		{name: "on loopback", change: listenOn("127.0.0.1:80")},
		{name: "on another port", change: listenOn("192.0.2.10:81")},
		{name: "on another address", change: listenOn("10.0.0.254:80")},
		{name: "clients of one interface", source: config.SNAT{Mode: config.None}, change: func(_ *testing.T, p *patient) {
			p.Balancer.Services[0].Hairpin, p.Balancer.Services[0].Interfaces = nil, []string{"front"}
		}},
		{name: "a bridge that asks iptables", source: config.SNAT{Mode: config.None}, lines: bridged + "echo 1 > /proc/sys/net/bridge/bridge-nf-call-iptables", change: func(t *testing.T, p *patient) {
			p.Balancer.Services[0].Hairpin = nil
			if !besideAnswered(t, p, hurry) {
				t.Error("a client beside the backend is not answered")
			}
		}},
	}
}

// held moves the address of the service to an interface that nothing comes in by.
const held = `ip address del 192.0.2.10/24 dev front; ip address add 192.0.2.11/24 dev front
ip link add vip type veth peer name idle; ip link set vip arp off up
ip address add 192.0.2.10/32 dev vip
`

// bridged makes the interface beside the backends the part of a bridge.
const bridged = `ip link add br0 type bridge; ip link set br0 up; ip link set back master br0
ip address del 10.0.0.254/24 dev back; ip address add 10.0.0.254/24 dev br0
`

// besideAnswered tells whether a client on that bridge is answered.
func besideAnswered(t *testing.T, p *patient, bound time.Duration) bool {
	t.Helper()
	beside := netnstest.NewHost(t, "beside")
	p.sh(t, "ip link add port type veth peer name eth0 netns beside; ip link set port master br0 up")
	beside.Command(t, "link set eth0 up\naddr add 10.0.0.77/24 dev eth0\nroute add default via 10.0.0.254\n", "ip", "-batch", "-")
	_, _, err := netnstest.Ask(t, beside, "tcp", "192.0.2.10:80", bound)
	return err == nil
}

// listensTo gives the service another listen address.
func listensTo(listen config.Listen) func(*testing.T, *patient) {
	return func(_ *testing.T, p *patient) { p.Balancer.Services[0].Listen = []config.Listen{listen} }
}

// listensToo gives the service one more address.
func listensToo(addr string) func(*testing.T, *patient) {
	return func(_ *testing.T, p *patient) {
		service := &p.Balancer.Services[0]
		service.Listen = append(service.Listen, listenOf(netip.MustParseAddr(addr), 80, 80))
	}
}

// TestFine finds nothing where clients are answered.
func TestFine(t *testing.T) {
	for _, f := range fines() {
		onEach(t, f.name, f.variants, f.check)
	}
}

// check looks at the host in the namespaces that it is in.
func (f fine) check(t *testing.T, variant string) {
	p := newPatient(t, variant, netnstest.Layout{Gateway: true}, f.source)
	p.sh(t, strings.ReplaceAll(f.lines, "IPTABLES", netnstest.Programs(variant, 4).Iptables))
	if f.change != nil {
		f.change(t, p)
	}
	if !p.answers(t, hurry) {
		t.Error("clients are not answered")
	}
	p.hold(t)
	if found := p.examine(t); len(found) != 0 {
		t.Errorf("%s", reported(found))
	}
}
