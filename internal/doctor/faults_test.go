package doctor

import (
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"natspread/internal/config"
	"natspread/internal/test/netnstest"
	"natspread/units"
)

// faults lists what is made wrong, one a kind of finding at least.
func faults() []fault {
	all := forwardingFaults()
	all = append(all, filterFaults()...)
	all = append(all, pathFaults()...)
	all = append(all, othersAtBoot()...)
	all = append(all, networkFaults()...)
	all = append(all, connectionFaults()...)
	all = append(all, markFaults()...)
	all = append(all, takeoverFaults()...)
	return append(all, bootFaults()...)
}

// hardened adds an interface that nothing comes in by which the host is to forward.
const hardened = `ip link add mgmt type veth peer name far
ip address add 203.0.113.1/24 dev mgmt
ip link set mgmt up
echo 0 > /proc/sys/net/ipv4/conf/mgmt/forwarding
`

// forwardingFaults keep the host from forwarding; the stories have the rest of them.
func forwardingFaults() []fault {
	return []fault{
		{
			name: "ip_forward", lines: "echo 0 > /proc/sys/net/ipv4/ip_forward", stops: true,
			severity: Broken, want: "^ipv4: net.ipv4.ip_forward is not 1", fix: "natspread apply",
			again: func(t *testing.T, p *patient, _ string) { p.sh(t, "echo 1 > /proc/sys/net/ipv4/ip_forward") },
		},
		{
			name: "ip_forward in a container", stops: true,
			lines:    "echo 0 > /proc/sys/net/ipv4/ip_forward; mount --bind /proc/sys /proc/sys; mount -o remount,ro,bind /proc/sys",
			severity: Broken, want: "^ipv4: net.ipv4.ip_forward is not 1, so nothing is forwarded; /proc/sys is read-only here, so whoever starts the container sets it: docker run --sysctl net.ipv4.ip_forward=1$",
			fix: "mount -o remount,rw /proc/sys && natspread apply # needs CAP_SYS_ADMIN",
			again: func(t *testing.T, p *patient, line string) {
				p.sh(t, strings.Replace(line, "natspread apply", "echo 1 > /proc/sys/net/ipv4/ip_forward", 1))
			},
		},
		{
			name: "interface forwarding", lines: "echo 0 > /proc/sys/net/ipv4/conf/front/forwarding", stops: true,
			severity: Broken, want: "net.ipv4.conf.front.forwarding is 0", fix: "sysctl -w net.ipv4.conf.front.forwarding=1",
		},
		{
			name: "interface of answers", lines: "echo 0 > /proc/sys/net/ipv4/conf/back/forwarding", stops: true,
			severity: Broken, want: "net.ipv4.conf.back.forwarding is 0", fix: "sysctl -w net.ipv4.conf.back.forwarding=1",
		},
		{
			name: "interface of the config", lines: "echo 0 > /proc/sys/net/ipv4/conf/front/forwarding", stops: true,
			change:   func(_ *testing.T, p *patient) { p.Balancer.Services[0].Interfaces = []string{"front"} },
			severity: Broken, want: "net.ipv4.conf.front.forwarding is 0", fix: "sysctl -w net.ipv4.conf.front.forwarding=1",
		},
		{
			name: "interface of the default route", change: listensTo(everywhere()), stops: true,
			lines:    "ip route add default via 192.0.2.1; echo 0 > /proc/sys/net/ipv4/conf/front/forwarding",
			severity: Broken, want: "net.ipv4.conf.front.forwarding is 0", fix: "sysctl -w net.ipv4.conf.front.forwarding=1",
		},
		{
			name: "interface of any", change: listensTo(everywhere()), lines: "echo 0 > /proc/sys/net/ipv4/conf/front/forwarding", stops: true,
			severity: Broken, want: "net.ipv4.conf.front.forwarding is 0", fix: "sysctl -w net.ipv4.conf.front.forwarding=1",
		},
		{
			name: "interface that may be", change: listensTo(everywhere()), lines: "ip route add default via 192.0.2.1\n" + hardened,
			severity: Risk, want: "net.ipv4.conf.mgmt.forwarding is 0, .*, and connections of web may come in there$", fix: "sysctl -w net.ipv4.conf.mgmt.forwarding=1",
		},
		{
			name: "sysctl.d", lines: "mkdir ROOT/etc/sysctl.d; echo net.ipv4.ip_forward=0 > ROOT/etc/sysctl.d/60-host.conf",
			severity: Risk, want: "^ipv4: sysctl --system would switch net.ipv4.ip_forward off: .* in /etc/sysctl.d/60-host.conf:1$",
			fix: "sed -i '1s/=.*/= 1/' /etc/sysctl.d/60-host.conf",
		},
		{
			name: "ufw", severity: Risk, want: "^ipv4: ufw reload would switch", fix: "sed -i '1s/=.*/= 1/' /etc/ufw/sysctl.conf",
			lines: "mkdir ROOT/etc/ufw ROOT/etc/default; echo ENABLED=yes > ROOT/etc/ufw/ufw.conf\n" +
				"echo IPT_SYSCTL=/etc/ufw/sysctl.conf > ROOT/etc/default/ufw; echo net/ipv4/ip_forward=0 > ROOT/etc/ufw/sysctl.conf",
		},
		{
			name: "networkd", severity: AtBoot, want: "^ipv4: the next boot switches net.ipv4.ip_forward off", fix: "sed -i '2s/=.*/=yes/' /etc/systemd/networkd.conf",
			lines: "mkdir -p ROOT/run/systemd/netif/state; printf '[Network]\\nIPv4Forwarding=no\\n' > ROOT/etc/systemd/networkd.conf",
		},
		{
			name: "docker", severity: Risk, want: "^ipv4: the policy of FORWARD is ACCEPT, and Docker leaves it so", fix: "iptables -I FORWARD .*",
			lines: "touch ROOT/etc/systemd/system/docker.service",
			again: func(t *testing.T, p *patient, _ string) {
				p.sh(t, "rm "+p.Live.Root+"/etc/systemd/system/docker.service")
			},
		},
		{
			name: "docker, accepted", severity: Risk, want: "^ipv4: the policy of FORWARD is ACCEPT, and Docker leaves it so", fix: "mkdir -p /etc/systemd/system/docker.service.d && .* && iptables -P FORWARD DROP",
			lines:  "touch ROOT/etc/systemd/system/docker.service; IPTABLES-restore --noflush <<'END'\n" + accepts + "END",
			change: func(_ *testing.T, p *patient) { p.Balancer.Services[0].Forward = config.Accept },
		},
	}
}

// ownRules are some of natspread's.
const ownRules = "IPTABLES -t nat -N NATSPREAD-web; IPTABLES -t nat -A PREROUTING -j NATSPREAD-web\n"

// filterFaults drop what is forwarded.
func filterFaults() []fault {
	const accept = "iptables-(nft|legacy) -I FORWARD -m conntrack --ctstate DNAT -j ACCEPT # until the next boot; for good: forward = \"accept\" in service web, then: natspread apply"
	const nftAccept = "nft insert rule inet filter forward ct status dnat accept # and for good in the file that makes the chain"
	drops := func(name, lines string, severity Severity, want string) fault {
		return fault{name: name, variants: true, lines: lines, stops: true, severity: severity, want: want, fix: accept}
	}
	return []fault{
		drops("policy", "IPTABLES -P FORWARD DROP", Broken, "^ipv4: connections of web to 10.0.0.1:80 are dropped by the (nft|legacy) variant: the policy of FORWARD$"),
		drops("rule", "IPTABLES -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT; IPTABLES -A FORWARD ! -i lo -j REJECT",
			Broken, `-A FORWARD ! -i lo -j REJECT --reject-with icmp-port-unreachable$`),
		drops("chain", "IPTABLES -N ufw-forward; IPTABLES -A FORWARD -j ufw-forward; IPTABLES -A ufw-forward -o back -p tcp --dport 80 -j DROP", Broken, "-A ufw-forward -o back"),
		drops("answers", "IPTABLES -P FORWARD DROP; IPTABLES -A FORWARD -d 10.0.0.1 -p tcp --dport 80 -j ACCEPT", Broken, "the policy of FORWARD"),
		drops("docker's chains", `IPTABLES -P FORWARD DROP; IPTABLES -N DOCKER-USER; IPTABLES -N DOCKER-FORWARD; IPTABLES -N DOCKER-CT; IPTABLES -N DOCKER-BRIDGE
IPTABLES -A FORWARD -j DOCKER-USER; IPTABLES -A FORWARD -j DOCKER-FORWARD
IPTABLES -A DOCKER-FORWARD -j DOCKER-CT; IPTABLES -A DOCKER-FORWARD -j DOCKER-BRIDGE; IPTABLES -A DOCKER-FORWARD -i docker0 -j ACCEPT
IPTABLES -A DOCKER-CT -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`, Broken, "the policy of FORWARD"),
		{
			name: "of any, docker's chains", variants: true, change: listensTo(everywhere()), stops: true, severity: Broken, fix: accept, want: "the policy of FORWARD",
			lines: "IPTABLES -P FORWARD DROP; IPTABLES -A FORWARD -i docker0 ! -o docker0 -j ACCEPT; IPTABLES -A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
		},
		{
			name: "half of a range", variants: true, severity: Broken, fix: accept, want: "^ipv4: connections of web to 10.0.0.1:89 are dropped by the (nft|legacy) variant: the policy of FORWARD$",
			lines: "IPTABLES -P FORWARD DROP; IPTABLES -A FORWARD -p tcp --dport 80:88 -j ACCEPT; IPTABLES -A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT",
			change: func(_ *testing.T, p *patient) {
				service := &p.Balancer.Services[0]
				service.Listen[0].Ports.Last, service.Backends[0].Port = 89, 0
			},
		},
		drops("perhaps", "IPTABLES -P FORWARD DROP; IPTABLES -A FORWARD -m mark --mark 0x1 -j ACCEPT", Risk, "^ipv4: cannot tell whether the (nft|legacy) variant lets connections of web to 10.0.0.1:80 through"),
		{
			name: "accepts gone", variants: true, stops: true, severity: Broken, want: "^ipv4: connections of web to 10.0.0.1:80 are dropped by the (nft|legacy) variant: the policy of FORWARD$",
			lines:  "IPTABLES -P FORWARD DROP",
			change: func(_ *testing.T, p *patient) { p.Balancer.Services[0].Forward = config.Accept },
			fix:    "natspread apply",
			again: func(t *testing.T, p *patient, _ string) {
				p.sh(t, netnstest.Programs(p.variant, 4).Restore+" --noflush <<'END'\n"+accepts+"END")
			},
		},
		{
			name: "fail2ban in INPUT", variants: true, severity: Risk, want: "^ipv4: fail2ban bans in INPUT only, which connections of web never meet: -A INPUT -p tcp -m multiport --dports 22,80 -j f2b-web$",
			lines: "IPTABLES -N f2b-web; IPTABLES -N f2b-sshd; IPTABLES -A INPUT -p tcp -m multiport --dports 22,80 -j f2b-web; IPTABLES -A INPUT -p tcp -m multiport --dports 22 -j f2b-sshd",
			fix:   "iptables-(nft|legacy) -I FORWARD -j f2b-web # until fail2ban starts again; for good: chain = FORWARD in its jail",
		},
		{
			name: "nftables chain", stops: true, severity: Broken, fix: nftAccept,
			lines: "nft 'add table inet filter; add chain inet filter forward { type filter hook forward priority 0; policy drop; }; add rule inet filter forward ct state established,related accept'",
			want:  "^the nftables chain inet filter forward drops every balanced connection",
		},
		{
			name: "nftables chain that may accept", stops: true, severity: Risk, fix: nftAccept,
			lines: "nft 'add table inet filter; add chain inet filter forward { type filter hook forward priority 0; policy drop; }; add rule inet filter forward meta mark 0x7 accept'",
			want:  "^cannot tell whether the nftables chain inet filter forward, whose policy is drop, lets",
		},
		{
			name: "a chain in both variants", variants: true, severity: Risk, want: "^ipv4: the nft and the legacy variant both hold rules, .*; the chains DOCKER are in both: find out which",
			change: func(t *testing.T, p *patient) {
				for _, variant := range []string{"nft", "legacy"} {
					p.sh(t, strings.ReplaceAll("IPTABLES -t nat -N DOCKER; IPTABLES -t nat -A PREROUTING -j DOCKER", "IPTABLES", netnstest.Programs(variant, 4).Iptables))
				}
			},
		},
		{
			name: "both variants", variants: true, severity: Risk, want: "^ipv4: the nft and the legacy variant both hold rules",
			change: func(t *testing.T, p *patient) {
				other := netnstest.Programs(otherVariant(p.variant), 4).Iptables
				p.sh(t, other+" -A FORWARD -s 203.0.113.0/24 -j DROP")
			},
			fix: "iptables-(nft|legacy)-save .*",
			again: func(t *testing.T, p *patient, line string) {
				t.Helper()
				p.sh(t, netnstest.Programs(p.variant, 4).Iptables+" -P INPUT DROP; "+netnstest.Programs(p.variant, 4).Iptables+" -I INPUT -m conntrack --ctstate ESTABLISHED -j ACCEPT") // is not to be undone by the other's ACCEPT
				p.sh(t, strings.ReplaceAll(ownRules, "IPTABLES", netnstest.Programs(otherVariant(p.variant), 4).Iptables))
				p.sh(t, line)
				saved := p.sh(t, netnstest.Programs(p.variant, 4).Save)
				for _, want := range []string{":INPUT DROP", "-A FORWARD -s 203.0.113.0/24 -j DROP", "-A NATSPREAD-PRE -d 192.0.2.10/32"} {
					if !strings.Contains(saved, want) {
						t.Errorf("no %s in\n%s", want, saved)
					}
				}
				if left := p.sh(t, netnstest.Programs(otherVariant(p.variant), 4).Save); strings.Contains(left, "NATSPREAD") || strings.Contains(saved, "NATSPREAD-web") {
					t.Errorf("natspread's part was moved, or is left, in\n%s%s", saved, left)
				}
			},
		},
	}
}

// otherVariant returns the one that natspread does not use.
func otherVariant(variant string) string {
	return map[string]string{"nft": "legacy", "legacy": "nft"}[variant]
}

// networkFaults are in addresses, routes and listeners.
func networkFaults() []fault {
	return []fault{
		{
			name: "listen absent", lines: "ip address del 192.0.2.10/24 dev front; ip address add 192.0.2.11/24 dev front", change: forget, stops: true,
			severity: Risk, want: "^192.0.2.10, listen of web, is on no interface, and nobody answers for it in 192.0.2.0/24 on front",
			fix: "ip address add 192.0.2.10/24 dev front # until the next boot; for good: 192.0.2.10/24 in whatever sets front up at boot",
		},
		{
			name: "listen at another machine", lines: "ip address del 192.0.2.10/24 dev front; ip address add 192.0.2.11/24 dev front", stops: true,
			change: func(t *testing.T, p *patient) {
				p.Client.Command(t, "ip address add 192.0.2.10/32 dev lo", "sh", "-e")
				forget(t, p)
			},
			severity: Risk, want: "^192.0.2.10, listen of web, is on no interface: another machine in 192.0.2.0/24 on front has it, ([0-9a-f]{2}:){5}[0-9a-f]{2}$",
		},
		{
			name: "listen of keepalived", lines: "ip address del 192.0.2.10/24 dev front; ip address add 192.0.2.11/24 dev front", stops: true,
			change: func(t *testing.T, p *patient) {
				write(t, filepath.Join(p.Live.Root, "etc/keepalived/keepalived.conf"), "vrrp_instance web {\n  virtual_ipaddress {\n    192.0.2.10/24 dev front\n  }\n}\n")
				forget(t, p)
			},
			severity: Risk, want: "^192.0.2.10, listen of web, is on no interface: keepalived puts it on the machine that is master \\(/etc/keepalived/keepalived.conf:3\\)$",
		},
		{
			name: "listen routed", change: listensToo("198.51.100.7"),
			severity: Risk, want: "^198.51.100.7, listen of web, is on no interface: its packets come here only if a router sends them", fix: "ip address add 198.51.100.7/32 dev lo # until the next boot, if a router sends 198.51.100.7/32 here",
		},
		{
			name: "listen on a tunnel", change: listensToo("198.51.100.7"), lines: "ip link add tunnel type veth peer name far; ip address add 198.51.100.1/24 dev tunnel; ip link set tunnel arp off up",
			severity: Risk, want: "^198.51.100.7, listen of web, is on no interface: its packets come here only if a router sends them", fix: "ip address add 198.51.100.7/32 dev lo # until the next boot, if a router sends 198.51.100.7/32 here",
		},
		{
			name: "snat absent", change: forget, stops: true, source: config.SNAT{Mode: config.Address, Addr: netip.MustParseAddr("10.0.0.254")},
			lines:    "ip address del 10.0.0.254/24 dev back; ip address add 10.0.0.253/24 dev back",
			severity: Broken, want: "^10.0.0.254, snat of web, is on no interface: answers of the backends are sent there and lost$", fix: `natspread edit # in service web: snat = "masquerade"`,
			again: func(t *testing.T, p *patient, _ string) {
				p.Balancer.Services[0].SNAT = config.SNAT{}
				p.load(t, "192.0.2.10/32", config.SNAT{})
			},
		},
		{
			name: "the host's address moved", change: forget, stops: true, source: config.SNAT{Mode: config.Address, Addr: netnstest.VIP(4)}, layout: netnstest.Layout{Gateway: true},
			lines:    "ip address del 192.0.2.10/24 dev front; ip address add 192.0.2.11/24 dev front",
			severity: Broken, want: "^192.0.2.10, listen of web, snat of web, is on no interface: answers of the backends are sent there and lost$",
			fix: `natspread edit # in service web: listen = "\*:80" and snat = "masquerade"`,
			again: func(t *testing.T, p *patient, _ string) {
				p.Balancer.Services[0].SNAT, p.Balancer.Services[0].Listen = config.SNAT{}, []config.Listen{everywhere()}
				p.load(t, "192.0.2.11/32", config.SNAT{})
				p.asks = "192.0.2.11:80"
			},
		},
		{
			name: "interface absent", change: byInterface("eth9"), stops: true,
			severity: Broken, want: "^service web: there is no interface eth9, so nothing comes in by it$", fix: `natspread edit # in service web: interface = "front"`, again: typeInterface,
		},
		{
			name: "interface absent in a list", change: byInterface("front", "eth9"),
			severity: Risk, want: "^service web: there is no interface eth9, so nothing comes in by it$", fix: `natspread edit # in service web: interface = "front"`, again: typeInterface,
		},
		{
			name: "interface like none", change: byInterface("eth9+"), stops: true,
			severity: Risk, want: `^service web: there is no interface eth9\+, so nothing comes in by it$`, fix: `natspread edit # in service web: interface = "front"`, again: typeInterface,
		},
		{
			name: "interfaces, one of a bridge", variants: true, stops: true, change: byInterface("back", "fr+"),
			lines:    "ip link add br0 type bridge; ip link set br0 up; ip link set front master br0; ip address del 192.0.2.10/24 dev front; ip address add 192.0.2.10/24 dev br0",
			severity: Broken, want: `^service web: front is a part of the bridge br0, by whose name its packets come in: nothing is balanced by the name fr\+$`, fix: `natspread edit # in service web: interface = \["back", "br0"\]`, again: typeInterface,
		},
		{
			name: "interface of a bridge", variants: true, stops: true, change: byInterface("front"),
			lines:    "ip link add br0 type bridge; ip link set br0 up; ip link set front master br0; ip address del 192.0.2.10/24 dev front; ip address add 192.0.2.10/24 dev br0",
			severity: Broken, want: "^service web: front is a part of the bridge br0, by whose name its packets come in: nothing is balanced$", fix: `natspread edit # in service web: interface = "br0"`, again: typeInterface,
		},
		{
			name: "a backend on loopback", stops: true, severity: Broken, want: `^backend 10.0.0.254:8080 of web is this host, where doctor.test \(process [0-9]+\) listens on tcp 127.0.0.1:8080 only: clients are refused$`,
			fix: "# let it listen on 10.0.0.254, in its own config",
			change: func(t *testing.T, p *patient) {
				p.Balancer.Services[0].Backends = []config.Backend{backendOf(netip.MustParseAddr("10.0.0.254"), 8080)}
				p.sh(t, netnstest.Programs(p.variant, 4).Iptables+" -t nat -R NATSPREAD-PRE 1 -p tcp -d 192.0.2.10 --dport 80 -j DNAT --to-destination 10.0.0.254:8080")
				listenOn("127.0.0.1:8080")(t, p)
			},
			again: func(t *testing.T, p *patient, line string) {
				endListener(t, p, line)
				netnstest.Serve(t, p.Network.Balancer, "tcp", "10.0.0.254:8080")
			},
		},
		{
			name: "ports to one", severity: Risk, want: "^service web listens on several ports, and all arrive at port 80 of backend 10.0.0.1$", fix: `natspread edit # in service web: "10.0.0.1" for "10.0.0.1:80", which keeps the port`,
			change: func(_ *testing.T, p *patient) { p.Balancer.Services[0].Listen[0].Ports.Last = 90 },
			again:  func(_ *testing.T, p *patient, _ string) { p.Balancer.Services[0].Backends[0].Port = 0 },
		},
		{
			name: "ports to one, checked", severity: Risk, want: "^service web listens on several ports, and all arrive at port 80 of backend 10.0.0.1$", fix: `natspread edit # in service web: "10.0.0.1" for "10.0.0.1:80", which keeps the port, and port = 80 in its check`,
			change: func(_ *testing.T, p *patient) {
				p.Balancer.Services[0].Listen[0].Ports.Last, p.Balancer.Services[0].Check.Type = 90, config.CheckTCP
			},
			again: func(_ *testing.T, p *patient, _ string) {
				p.Balancer.Services[0].Backends[0].Port, p.Balancer.Services[0].Check.Port = 0, 80
			},
		},
		{
			name: "ports and backends", severity: Risk, want: "^service web has several ports: what one client sends to two of them may reach two backends$", fix: `natspread edit # in service web: algorithm = "source"`,
			change: func(t *testing.T, p *patient) {
				service := &p.Balancer.Services[0]
				service.Listen = append(service.Listen, listenOf(netnstest.VIP(4), 443, 443))
				service.Backends = []config.Backend{backendOf(netip.MustParseAddr("10.0.0.1"), 0), backendOf(netip.MustParseAddr("10.0.0.2"), 0)}
				serveAlso(t, p, "10.0.0.2")
			},
			again: func(_ *testing.T, p *patient, _ string) { p.Balancer.Services[0].Algorithm = config.Source },
		},
		{
			name: "front down", lines: "ip link set front down", stops: true,
			severity: Broken, want: "^192.0.2.10, listen of web, is on the interface front, which is down$", fix: "ip link set front up",
		},
		{
			name: "no route", lines: "ip route del 10.0.0.0/24 dev back", stops: true,
			severity: Broken, want: "^no route leads to backend 10.0.0.1 of web, although it is beside back", fix: "ip route add 10.0.0.0/24 dev back",
		},
		{
			name: "blackhole", lines: "ip route add blackhole 10.0.0.1", stops: true,
			severity: Broken, want: "^no route leads to backend 10.0.0.1 of web: the host has the route blackhole", fix: "ip route del blackhole 10.0.0.1/32",
		},
		{
			name: "back down", lines: "ip link set back down", stops: true,
			severity: Broken, want: "^no route leads to backend 10.0.0.1 of web: back is down", fix: "ip link set back up",
		},
		{
			name: "nowhere", severity: Broken, want: "^no route leads to backend 203.0.113.5 of web$", fix: "ip route add 203.0.113.5 via ROUTER",
			change: addBackend("203.0.113.5"),
			again: func(t *testing.T, p *patient, _ string) {
				p.sh(t, "ip route add 203.0.113.5 via 10.0.0.1")
				serveAlso(t, p, "203.0.113.5")
			},
		},
		{
			name: "a mistyped address", lines: "ip route add default via 192.0.2.99", change: addBackend("203.0.113.5"),
			severity: Risk, want: "^203.0.113.5 is on no subnet of the host, and packets go there as to everybody, via 192.0.2.99 dev front, while 10.0.0.1 of service web is on back: a typing error, or does back lack an address[?]$",
			fix: "natspread edit # in service web: 10.0.0.5 for 203.0.113.5",
			again: func(t *testing.T, p *patient, _ string) {
				p.sh(t, "ip route add 203.0.113.5/32 via 192.0.2.99 dev front")
				if found := reported(p.examine(t)); !strings.Contains(found, "203.0.113.5 is on no subnet") {
					t.Errorf("a route to the same router hides that nobody is there:\n%s", found)
				}
				p.Balancer.Services[0].Backends[1].Addr = netip.MustParseAddr("10.0.0.5")
				serveAlso(t, p, "10.0.0.5")
			},
		},
		{
			name: "an interface without its address", lines: "ip address del 10.0.0.254/24 dev back; ip route add default via 192.0.2.99; ip route add 10.0.0.0/30 via 192.0.2.99", stops: true,
			severity: Risk, want: "^10.0.0.1 is on no subnet of the host, and packets go there as to everybody, via 192.0.2.99 dev front: does back lack an address[?]$",
			fix: "ip address add ADDRESS/LENGTH dev back # one beside 10.0.0.1; for good: in whatever sets back up at boot",
			again: func(t *testing.T, p *patient, line string) {
				p.sh(t, "ip route del 10.0.0.0/30 via 192.0.2.99; "+strings.Replace(line, "ADDRESS/LENGTH", "10.0.0.254/24", 1))
				flush(t)
			},
		},
		{
			name: "backends behind a router", lines: "ip route add default via 192.0.2.99", change: func(_ *testing.T, p *patient) {
				p.Balancer.Services[0].Backends[0].Addr = netip.MustParseAddr("203.0.113.5")
			},
			severity: Risk, want: "^203.0.113.5 is on no subnet of the host, and packets go there as to everybody, via 192.0.2.99 dev front: if that is not meant, an address or a route is missing$",
			again: func(_ *testing.T, p *patient, _ string) {
				p.Balancer.Services[0].Backends[0].Addr = netip.MustParseAddr("10.0.0.1")
			},
		},
		{
			name: "rp_filter", stops: true, change: asymmetric, severity: Broken,
			want: "^packets to backend 10.0.0.1 of web go out by front, but the backend is in 10.0.0.0/24 on back, where rp_filter is strict", fix: "sysctl -w net.ipv4.conf.back.rp_filter=2",
			source: config.SNAT{Mode: config.Address, Addr: netip.MustParseAddr("10.0.0.254")},
		},
		{
			name: "a share that nobody answers", severity: Broken, change: addBackend("192.0.2.10"),
			want: "^backend 192.0.2.10:80 of web is this host, where nobody listens on tcp 80: clients are refused$",
			again: func(t *testing.T, p *patient, _ string) {
				netnstest.Serve(t, p.Network.Balancer, "tcp", "192.0.2.10:80")
			},
		},
		{
			name: "a dead backend that nobody checks", change: addDead("10.0.0.2"), severity: Broken,
			want:  "^1 of 2 backends of web accepts no connections, and no check takes it out: 10.0.0.2:80 \\(connection refused\\)$",
			fix:   "natspread drain web 10.0.0.2:80 # until it answers; for good: natspread edit, in service web: check = \"tcp\"",
			again: func(_ *testing.T, p *patient, _ string) { p.Balancer.Services[0].Backends[1].Drain = true },
		},
		{
			name: "a service that cannot be asked", severity: Risk, change: func(_ *testing.T, p *patient) {
				dns := webService()
				dns.Name, dns.Protocols, dns.Listen[0].Ports = "dns", []config.Protocol{config.UDP}, config.Ports{First: 53, Last: 53}
				p.Balancer.Services = append(p.Balancer.Services, dns)
			},
			want: "^nobody knows whether the backends of dns answer: there is no check, and doctor cannot ask them$",
			fix:  `natspread edit # in service dns: check = { type = "TYPE", port = PORT }, of what answers there`,
			again: func(_ *testing.T, p *patient, _ string) {
				p.Balancer.Services[1].Check = config.Check{Type: config.CheckTCP, Port: 80}
			},
		},
		{
			name: "shadowed", change: listenOn("192.0.2.10:80"), severity: Risk,
			want: `^doctor.test \(process [0-9]+\) listens on tcp 192.0.2.10:80 and is shadowed: what comes for 192.0.2.10:80 goes to service web$`, fix: "kill [0-9]+",
		},
		{
			name: "shadowed anywhere", change: listenOn("0.0.0.0:80"), severity: Risk,
			want: `^doctor.test \(process [0-9]+\) listens on tcp 0.0.0.0:80 and is shadowed: .*; it still gets what comes for other addresses$`, again: endListener,
		},
		{
			name: "shadowed by IPv6", change: listenOn("[::]:80"), severity: Risk,
			want: `listens on tcp \[::\]:80 and is shadowed`, again: endListener,
		},
	}
}

// byInterface balances only what comes in by some interfaces.
func byInterface(names ...string) func(*testing.T, *patient) {
	return func(t *testing.T, p *patient) {
		t.Helper()
		p.Balancer.Services[0].Interfaces = names
		iptables := netnstest.Programs(p.variant, 4).Iptables + " -t nat "
		p.sh(t, iptables+"-F NATSPREAD-PRE")
		for _, name := range names {
			p.sh(t, iptables+"-A NATSPREAD-PRE -d 192.0.2.10 -i "+name+" -p tcp --dport 80 -j DNAT --to-destination 10.0.0.1:80")
		}
	}
}

// typeInterface writes the interface that a line names.
func typeInterface(t *testing.T, p *patient, line string) {
	t.Helper()
	var names []string
	for i, word := range strings.Split(line, `"`) {
		if i%2 == 1 {
			names = append(names, word)
		}
	}
	byInterface(names...)(t, p)
}

// forget makes the neighbours ask for addresses anew, and removes the connections that show
// that packets came here.
func forget(t *testing.T, p *patient) {
	for _, h := range []*netnstest.Host{p.Client, p.Backends[0].Host} {
		h.Command(t, "", "ip", "neigh", "flush", "all")
	}
	flush(t)
}

// asymmetric lets packets to the backend go through the client, while its replies still come
// directly back.
func asymmetric(t *testing.T, p *patient) {
	t.Helper()
	p.Client.Command(t, "link add round type veth peer name round netns backends\naddr add 10.0.9.1/24 dev round\nlink set round up\nroute add 10.0.0.1 via 10.0.9.2\n", "ip", "-batch", "-")
	p.Backends[0].Host.Command(t, "addr add 10.0.9.2/24 dev round\nlink set round up\n", "ip", "-batch", "-")
	p.Client.Sysctl(t, "net.ipv4.ip_forward", "1")
	p.sh(t, "ip route add 10.0.0.1 via 192.0.2.99")
	if !p.answers(t, hurry) {
		t.Error("the route through the client does not work")
	}
	p.sh(t, "echo 1 > /proc/sys/net/ipv4/conf/back/rp_filter")
}

// ownBackend adds a backend on the balancer itself, where nobody listens, and a service that
// takes that port of every address of the balancer.
func ownBackend(t *testing.T, p *patient) {
	t.Helper()
	addBackend("10.0.0.254")(t, p)
	p.Balancer.Services[0].Backends[1].Port = 8080
	inner := webService()
	inner.Name, inner.Local, inner.Listen = "inner", true, []config.Listen{listenOf(netip.Addr{}, 8080, 8080)}
	p.Balancer.Services = append(p.Balancer.Services, inner)
	p.sh(t, netnstest.Programs(p.variant, 4).Iptables+" -t nat -A OUTPUT -p tcp -m addrtype --dst-type LOCAL -m tcp --dport 8080 -j DNAT --to-destination 10.0.0.1:80")
}

// checkPasses tells whether the balancer reaches somebody at that backend.
func checkPasses(t *testing.T, p *patient) bool {
	t.Helper()
	var err error
	p.Network.Balancer.Do(t, func() {
		var conn net.Conn
		if conn, err = net.DialTimeout("tcp", "10.0.0.254:8080", patience); err == nil {
			conn.Close()
		}
	})
	return err == nil
}

// connectionFaults have to do with answers and with the table of connections.
func connectionFaults() []fault {
	none, gateway := config.SNAT{Mode: config.None}, netnstest.Layout{Gateway: true}
	return []fault{
		{
			name: "hairpin", source: none, layout: gateway, severity: Risk,
			change: func(_ *testing.T, p *patient) { p.Balancer.Services[0].Hairpin = nil },
			want:   "^service web: clients in 10.0.0.0/24 are in the subnet of backends", fix: `natspread edit # in service web: hairpin = \["10.0.0.0/24"\]`,
			again: func(_ *testing.T, p *patient, _ string) { p.Balancer.Services[0].Hairpin = hairpins() },
		},
		{
			name: "hairpin on a bridge", source: none, layout: gateway, severity: Risk, lines: bridged + "echo 0 > /proc/sys/net/bridge/bridge-nf-call-iptables",
			change: func(t *testing.T, p *patient) {
				p.Balancer.Services[0].Hairpin = nil
				if besideAnswered(t, p, patience) {
					t.Error("a client beside the backend is answered")
				}
			},
			want: "^service web: clients in 10.0.0.0/24 are in the subnet of backends", fix: `natspread edit # in service web: hairpin = \["10.0.0.0/24"\]`,
			again: func(_ *testing.T, p *patient, _ string) { p.Balancer.Services[0].Hairpin = hairpins() },
		},
		{
			name: "clients beside the backends", source: none, layout: gateway, severity: Risk,
			prepare: func(_ *testing.T, p *patient) { p.Balancer.Services[0].Hairpin = hairpins() }, change: byInterface("front"),
			want: "^service web takes only what comes in by front: clients in 10.0.0.0/24, beside its backends on back, are not balanced$", fix: "natspread edit # in service web: take interface out",
			again: func(_ *testing.T, p *patient, _ string) { p.Balancer.Services[0].Interfaces = nil },
		},
		{
			name: "narrow way", variants: true, lines: "ip link set back mtu 1300", severity: Risk,
			want: "^packets of web come in by front with up to 1500 bytes, and back takes 1300: a connection stands still when the ICMP message about that is lost$",
			fix:  "natspread edit # in service web: clamp_mss = true",
			again: func(t *testing.T, p *patient, _ string) {
				service := &p.Balancer.Services[0]
				for _, c := range []struct {
					clamp config.ClampMSS
					lines string
					found int
				}{
					{config.ClampMSS{}, "-N NATSPREAD-MSS\n-A NATSPREAD-MSS -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu\n", 1}, // of another service
					{config.ClampMSS{On: true, Segment: 1261}, "", 1},
					{config.ClampMSS{On: true, Segment: 1260}, "", 0},
					{config.ClampMSS{}, "-A FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu\n", 0}, // somebody else's
					{config.ClampMSS{}, "-F FORWARD\n", 1},
				} {
					if service.ClampMSS = c.clamp; c.lines != "" {
						p.sh(t, netnstest.Programs(p.variant, 4).Restore+" -n <<'END'\n*mangle\n"+c.lines+"COMMIT\nEND")
					}
					if found := strings.Count(reported(p.examine(t)), "stands still"); found != c.found {
						t.Errorf("%v, %s%d findings, want %d", c.clamp, c.lines, found, c.found)
					}
				}
				service.ClampMSS.On = true
			},
		},
		{
			name: "return path", source: none, layout: gateway, stops: true, severity: Risk,
			change: func(t *testing.T, p *patient) {
				p.Backends[0].Host.Command(t, "", "ip", "route", "del", "default")
				flush(t)
			},
			want: `^with snat = "none" the answers of 10.0.0.1 must be routed through this host`, fix: "ip route replace default via 10.0.0.254 # on each of them",
			again: func(t *testing.T, p *patient, _ string) {
				p.Backends[0].Host.Command(t, "ip route replace default via 10.0.0.254 # on each of them", "sh")
				p.hold(t)
			},
		},
		{
			name: "a check from nowhere", severity: Risk,
			want: "^service web: this host does not have 10.0.0.77, the source of its checks, so nobody is checked$", fix: "natspread edit # in service web: take source out of the check",
			change: func(_ *testing.T, p *patient) {
				p.Balancer.Services[0].Check = config.Check{Type: config.CheckTCP, Source: netip.MustParseAddr("10.0.0.77")}
			},
			again: func(_ *testing.T, p *patient, _ string) { p.Balancer.Services[0].Check.Source = netip.Addr{} },
		},
		{
			name: "a check that is balanced", variants: true, severity: Risk,
			prepare: ownBackend, change: func(t *testing.T, p *patient) {
				p.Balancer.Services[0].Check.Type = config.CheckTCP
				if !checkPasses(t, p) {
					t.Error("the check is not balanced")
				}
			},
			want: `^service web: backend 10.0.0.254:8080 is this host, and its check would be balanced by service inner, so it is not checked$`, fix: `natspread edit # in service inner: local = false`,
			again: func(t *testing.T, p *patient, _ string) {
				p.Balancer.Services[1].Local = false
				p.sh(t, netnstest.Programs(p.variant, 4).Iptables+" -t nat -F OUTPUT")
				if checkPasses(t, p) {
					t.Error("a check of a dead backend passes")
				}
			},
		},
		{
			name: "conntrack table", severity: Risk, want: `^[0-9]+ of at most 100 connections are tracked, 8[0-9] %`, fix: "sysctl -w net.netfilter.nf_conntrack_max=200",
			change: func(t *testing.T, p *patient) {
				bound := filepath.Join(t.TempDir(), "nf_conntrack_max")
				write(t, bound, "100\n") // the kernel has one bound for all namespaces, and no test may change it
				if err := unix.Mount(bound, "/proc/sys/net/netfilter/nf_conntrack_max", "", unix.MS_BIND, ""); err != nil {
					t.Fatal(err)
				}
				track(t, 81)
			},
		},
		{
			name: "port space", severity: Risk, fix: "sysctl -w net.netfilter.nf_conntrack_tcp_timeout_time_wait=10",
			want:   `^10.0.0.254 uses 51[0-9]{3} of the 64512 connections that it can have to backend 10.0.0.1:80 over tcp, 51[0-9]{3} of them closed and waiting`,
			change: func(t *testing.T, _ *patient) { track(t, 51700) },
			again: func(t *testing.T, p *patient, _ string) {
				p.sh(t, "sysctl -q -w net.netfilter.nf_conntrack_tcp_timeout_time_wait=10")
				flush(t)
			},
		},
	}
}

// bootFaults are in files, and in what boot makes of them.
func bootFaults() []fault {
	const state = "var/lib/natspread/generations/1"
	enable := "ln -s /usr/lib/systemd/system/natspread.service ROOT/etc/systemd/system/multi-user.target.wants/"
	service := func(name string) string {
		return strings.ReplaceAll("touch ROOT/usr/lib/systemd/system/NAME.service\necho '[Service]' > ROOT/usr/lib/systemd/system/NAME.service\n"+
			"ln -s /usr/lib/systemd/system/NAME.service ROOT/etc/systemd/system/multi-user.target.wants/", "NAME", name)
	}
	return []fault{
		{
			name: "state mode", change: chmod(0o777, state), severity: AtBoot, want: state + " may be changed by its group or by others: boot will not load it", fix: "chmod go-w .*" + state,
		},
		{
			name: "config mode", change: chmod(0o666, "etc/natspread/natspread.toml"), severity: Risk,
			want: "natspread.toml may be changed by its group or by others: what it says is applied next", fix: "chmod go-w .*natspread.toml",
		},
		{
			name: "not enabled", lines: "rm ROOT/etc/systemd/system/multi-user.target.wants/natspread.service", severity: Risk,
			want: "^nothing loads the rules at boot: natspread.service is not enabled$", fix: "systemctl enable natspread.service",
			again: func(t *testing.T, p *patient, _ string) { p.sh(t, strings.ReplaceAll(enable, "ROOT", p.Live.Root)) },
		},
		{
			name: "masked", lines: "ln -s /dev/null ROOT/etc/systemd/system/natspread.service", severity: Risk,
			want: "^nothing loads the rules at boot: natspread.service is masked by /etc/systemd/system/natspread.service", fix: "systemctl unmask natspread.service",
			again: func(t *testing.T, p *patient, _ string) {
				p.sh(t, "rm "+p.Live.Root+"/etc/systemd/system/natspread.service")
			},
		},
		{
			name: "no unit", lines: "mv ROOT/usr/lib/systemd/system/natspread.service ROOT/", severity: Risk,
			want: "^nothing loads the rules at boot: there is no natspread.service$", fix: "natspread install",
			again: func(t *testing.T, p *patient, _ string) {
				p.sh(t, strings.ReplaceAll("mv ROOT/natspread.service ROOT/usr/lib/systemd/system/", "ROOT", p.Live.Root))
			},
		},
		{
			name: "flusher", lines: service("ferm"), severity: AtBoot, want: "^ferm.service empties the nat table when it starts, and natspread.service does not wait for it",
			fix: "mkdir -p /etc/systemd/system/ferm.service.d && printf .* > /etc/systemd/system/ferm.service.d/natspread.conf && systemctl daemon-reload",
		},
		{
			name: "nftables", lines: service("nftables"), severity: Risk, want: "^a restart or reload of nftables.service empties the nat table", fix: "natspread install",
			again: func(t *testing.T, p *patient, _ string) {
				text, err := units.DropIn("/usr/sbin/natspread")
				if err != nil {
					t.Fatal(err)
				}
				write(t, filepath.Join(p.Live.Root, "etc/systemd/system/nftables.service.d/natspread.conf"), string(text))
			},
		},
		{
			name: "netfilter-persistent", severity: Risk, want: "^netfilter-persistent reload empties the nat table", fix: "printf .*",
			lines: service("netfilter-persistent") + "\nmkdir -p ROOT/usr/share/netfilter-persistent/plugins.d",
			again: func(t *testing.T, p *patient, line string) {
				t.Helper()
				file := p.Live.Root + plugin
				p.sh(t, strings.ReplaceAll(line, plugin, file))
				p.sh(t, "sh -n "+file+"; "+file+" save; "+file+" start") // nothing, unless it was loaded here
			},
		},
	}
}
