package doctor

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"natspread/internal/config"
	"natspread/internal/network"
	"natspread/internal/rules"
)

// BenchmarkWay looks for what keeps the connections of 10,000 services from passing, on a host
// with the few rules that Docker has, and on one with a rule of others for each service.
func BenchmarkWay(b *testing.B) {
	const many = 10_000
	e := examination{network: twoLinks(), Balancer: Balancer{Variant: "nft"}}
	each := "*nat\n:PREROUTING ACCEPT [0:0]\n:NATSPREAD-PRE - [0:0]\n:OTHER - [0:0]\n-A PREROUTING -j NATSPREAD-PRE\n-A PREROUTING -m addrtype --dst-type LOCAL -j OTHER\n"
	var services strings.Builder
	for i := range many {
		service := webService()
		service.Name, service.Local = fmt.Sprintf("s%d", i), true
		service.Listen[0].Addr = netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)})
		service.Backends = nil
		for last := range 3 {
			backend := netip.AddrFrom4([4]byte{10, 1, byte(i % 250), byte(last)})
			service.Backends = append(service.Backends, config.Backend{Addr: backend, Port: 80, Weight: 1})
			e.network.Known[backend] = network.Lookup{Route: network.Route{Link: "back"}}
		}
		e.Services = append(e.Services, service)
		fmt.Fprintf(&services, "-A OTHER -d 172.17.%d.%d/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.4:80\n", i>>8, i&0xff)
	}
	const docker = "COMMIT\n*filter\n:FORWARD DROP [0:0]\n:DOCKER - [0:0]\n-A FORWARD -m conntrack --ctstate DNAT -j ACCEPT\n-A FORWARD -j DOCKER\n-A DOCKER -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT\n" +
		"-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\nCOMMIT\n*mangle\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n"
	for name, text := range map[string]string{"few": each + docker, "each": each + services.String() + docker} {
		b.Run(name, func(b *testing.B) {
			e.Hooks = rules.Hooks{Rulesets: []rules.Ruleset{rules.ParseRuleset(rules.IPv4, "nft", []byte(text))}}
			for b.Loop() {
				if way := e.way(); len(way.Found)+len(way.Unreached) != 0 {
					b.Fatal(reported(way.Found))
				}
			}
		})
	}
}
