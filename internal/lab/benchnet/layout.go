package main

import (
	"fmt"
	"net/netip"
	"strings"

	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/render"
)

// service is what every layout says in its own way: connections to that address
// are spread over those backends.
type service struct {
	listen   netip.AddrPort
	backends []netip.AddrPort
}

// perService is how many backends a service has unless something else is said.
const perService = 3

// byAddress makes services with an address each, one after the other.
func byAddress(n int) []service { return services(n, serviceAddress) }

// withGaps is byAddress with 250 of every 256 addresses.
func withGaps(n int) []service {
	return services(n, func(i int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, byte(i / 250), byte(i%250 + 1)}), 80)
	})
}

// byPort makes services on one address with a port each.
func byPort(n int) []service {
	return services(n, func(i int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, 0, 1}), uint16(10001+i))
	})
}

// services makes services of three backends that listen where they are told to.
func services(n int, listen func(i int) netip.AddrPort) []service {
	all := make([]service, n)
	for i := range all {
		all[i].listen = listen(i)
		for k := range perService {
			all[i].backends = append(all[i].backends, backendAddress(k, i))
		}
	}
	return all
}

// serviceAddress is where the service of a number listens.
func serviceAddress(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 18, byte(i >> 8), byte(i)}), 80)
}

// backendAddress is a backend of the service of a number.
func backendAddress(k, i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(k), byte(i / 250), byte(i%250 + 1)}), 80)
}

// wide makes one service of many backends.
func wide(backends int) []service {
	one := service{listen: serviceAddress(0)}
	for i := range backends {
		one.backends = append(one.backends, backendAddress(0, i))
	}
	return []service{one}
}

// natspread returns what natspread makes of the services: config, plan, text.
// Its default, masquerade, is what the other layouts do too.
func natspread(services []service) ([]byte, error) { return natspreadWith(services, "") }

// natspreadWith is natspread with a line more in each service.
func natspreadWith(services []service, line string) ([]byte, error) {
	var text strings.Builder
	for i, s := range services {
		fmt.Fprintf(&text, "[[service]]\nname = \"s%d\"\nlisten = %q\nbackends = [", i, s.listen)
		for _, b := range s.backends {
			fmt.Fprintf(&text, "%q, ", b)
		}
		text.WriteString("]\n" + line + "\n")
	}
	return natspreadText([]byte(text.String()))
}

// natspreadText returns the rules for a config.
func natspreadText(text []byte) ([]byte, error) {
	cfg, err := config.Parse("benchnet", text)
	if err != nil {
		return nil, err
	}
	plan := render.New(cfg)
	list := plan.Of(rules.IPv4).Text()
	for _, part := range []rules.Table{plan.Filter(rules.IPv4), plan.Mangle(rules.IPv4)} {
		if !part.Empty() {
			list = append(list, part.Text()...)
		}
	}
	return list, nil
}

// table puts rules into a nat table for iptables-restore.
func table(chains, list string) []byte {
	var b strings.Builder
	b.WriteString("*nat\n")
	for _, builtIn := range rules.NAT.BuiltIn() {
		fmt.Fprintf(&b, ":%s ACCEPT [0:0]\n", builtIn)
	}
	b.WriteString(chains + list + "COMMIT\n")
	return []byte(b.String())
}

// share is the match that gives its share to backend k of n, when those before it
// had theirs; the last one takes what is left.
func share(k, n int) string {
	if k == n-1 {
		return ""
	}
	return fmt.Sprintf(" -m statistic --mode random --probability %.11f", 1/float64(n-k))
}

// oneDNAT is the least that a balancer can be: one rule each way, no choice.
func oneDNAT(s service) []byte {
	return table("", fmt.Sprintf("-A PREROUTING -d %v/32 -p tcp -m tcp --dport %d -j DNAT --to-destination %v\n-A POSTROUTING -d 10.0.0.0/8 -j MASQUERADE\n",
		s.listen.Addr(), s.listen.Port(), s.backends[0]))
}

// flat is the layout that articles type by hand: every backend is a rule of
// PREROUTING.
func flat(services []service) []byte {
	var b strings.Builder
	for _, s := range services {
		for k, backend := range s.backends {
			fmt.Fprintf(&b, "-A PREROUTING -d %v/32 -p tcp -m tcp --dport %d%s -j DNAT --to-destination %v\n",
				s.listen.Addr(), s.listen.Port(), share(k, len(s.backends)), backend)
		}
	}
	b.WriteString("-A POSTROUTING -d 10.0.0.0/8 -j MASQUERADE\n")
	return table("", b.String())
}

// kube is the layout of kube-proxy's iptables mode, in the shape that its
// documentation and source give: KUBE-SERVICES lists the services, each has a
// chain that chooses, each backend a chain that marks hairpin traffic and rewrites.
func kube(services []service) []byte {
	var chains, list, rest strings.Builder
	chains.WriteString(":KUBE-SERVICES - [0:0]\n:KUBE-POSTROUTING - [0:0]\n:KUBE-MARK-MASQ - [0:0]\n")
	list.WriteString(`-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0
-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE
`)
	for i, s := range services {
		match := fmt.Sprintf("-d %v/32 -p tcp -m comment --comment \"default/svc-%d:http cluster IP\" -m tcp --dport %d", s.listen.Addr(), i, s.listen.Port())
		fmt.Fprintf(&chains, ":KUBE-SVC-%012d - [0:0]\n", i)
		fmt.Fprintf(&list, "-A KUBE-SERVICES %s -j KUBE-SVC-%012d\n", match, i)
		fmt.Fprintf(&rest, "-A KUBE-SVC-%012d ! -s 10.244.0.0/16 %s -j KUBE-MARK-MASQ\n", i, match)
		for k, backend := range s.backends {
			kubeBackend(&chains, &rest, i, k, share(k, len(s.backends)), backend)
		}
	}
	return table(chains.String(), list.String()+rest.String())
}

// kubeBackend writes the chain of backend k of service i, and the rule that leads
// there.
func kubeBackend(chains, rules *strings.Builder, i, k int, share string, backend netip.AddrPort) {
	sep := fmt.Sprintf("KUBE-SEP-%06d%06d", i, k)
	fmt.Fprintf(chains, ":%s - [0:0]\n", sep)
	fmt.Fprintf(rules, "-A KUBE-SVC-%012d -m comment --comment \"default/svc-%d:http -> %v\"%s -j %s\n", i, i, backend, share, sep)
	fmt.Fprintf(rules, "-A %s -s %v/32 -m comment --comment \"default/svc-%d:http\" -j KUBE-MARK-MASQ\n", sep, backend.Addr(), i)
	fmt.Fprintf(rules, "-A %s -p tcp -m comment --comment \"default/svc-%d:http\" -m tcp -j DNAT --to-destination %v\n", sep, i, backend)
}

// nftMap is what nftables itself has for this: one verdict map leads to the
// service, a numbered map to the backend.
func nftMap(services []service) []byte {
	var b, elements strings.Builder
	b.WriteString("table ip lb {\n")
	for i, s := range services {
		var choices []string
		for k, backend := range s.backends {
			choices = append(choices, fmt.Sprintf("%d : %v . %d", k, backend.Addr(), backend.Port()))
		}
		fmt.Fprintf(&b, "chain s%d {\nmeta l4proto tcp dnat ip to numgen random mod %d map { %s }\n}\n", i, len(s.backends), strings.Join(choices, ", "))
		fmt.Fprintf(&elements, "%v . %d : goto s%d, ", s.listen.Addr(), s.listen.Port(), i)
	}
	fmt.Fprintf(&b, "map svc { type ipv4_addr . inet_service : verdict; elements = { %s } }\n", elements.String())
	b.WriteString("chain pre { type nat hook prerouting priority dstnat; policy accept; ip protocol tcp ip daddr . tcp dport vmap @svc\n}\n")
	b.WriteString("chain post { type nat hook postrouting priority srcnat; policy accept; ip daddr 10.0.0.0/8 masquerade\n}\n}\n")
	return []byte(b.String())
}

// tracked makes conntrack follow every connection, and rewrites none.
func tracked() []byte {
	return []byte("*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n-A FORWARD -m conntrack --ctstate INVALID -j DROP\nCOMMIT\n")
}

// foreign is a nat table that has nothing to do with what is sent. One rule that
// rewrites, whatever it matches, is what turns conntrack on.
func foreign() []byte {
	return table("", "-A PREROUTING -d 203.0.113.1/32 -j DNAT --to-destination 10.0.0.1\n-A POSTROUTING -s 203.0.113.1/32 -j MASQUERADE\n")
}
