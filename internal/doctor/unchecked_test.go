package doctor

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"natspread/internal/config"
	"natspread/internal/test/netnstest"
)

// named returns a service like webService, at a port and with a backend of its own.
func named(name string, port uint16, backend string) config.Service {
	service := webService()
	service.Name, service.Listen = name, []config.Listen{listenOf(netnstest.VIP(4), port, port)}
	service.Backends = []config.Backend{backendOf(netip.MustParseAddr(backend), port)}
	return service
}

// TestUncheckedNames asks the backends of services whose names, and addresses, are words of a finding about another
// service; only that one is broken, whatever its name is.
func TestUncheckedNames(t *testing.T) {
	const drops = "IPTABLES -A FORWARD -d 10.0.0.1 -p tcp --dport 81 -m comment --comment 'risk for every backend at 10.0.0.2:82 , or not' -j DROP"
	for name, broken := range map[string]string{"the words of a rule": "web", "every": "every", "risk": "risk", "backend": "backend"} {
		onEach(t, name, true, func(t *testing.T, variant string) {
			p := newPatient(t, variant, netnstest.Layout{}, config.SNAT{})
			addDead("10.0.0.2")(t, p)
			p.Balancer.Services = []config.Service{named(broken, 81, "10.0.0.1")}
			for i, other := range []string{"connections", "of", "DROP", "variant", "for", "every", "risk", "backend"} {
				if other != broken { // each at a port of its own: what is asked for one is known of all
					p.Balancer.Services = append(p.Balancer.Services, named(other, uint16(82+i), "10.0.0.2"))
				}
			}
			p.sh(t, strings.ReplaceAll(drops, "IPTABLES", netnstest.Programs(variant, 4).Iptables))
			found := reported(p.examine(t))
			for _, service := range p.Balancer.Services {
				silent := strings.Contains(found, "1 of 1 backend of "+service.Name+" accepts no connections")
				if silent == (service.Name == broken) {
					t.Errorf("%s was asked: %v\n%s", service.Name, silent, found)
				}
			}
		})
	}
}

// TestUncheckedLost asks no backend to which nothing gets, or may get: what it would say of them is said already.
func TestUncheckedLost(t *testing.T) {
	for name, c := range map[string]fine{
		"every connection": {lines: "nft 'add table inet filter; add chain inet filter forward { type filter hook forward priority 0; policy drop; }; add rule inet filter forward ct state established,related accept'"},
		"of both families": {
			lines: "nft 'add table inet filter; add chain inet filter forward { type filter hook forward priority 0; policy drop; }'",
			change: func(_ *testing.T, p *patient) {
				p.Balancer.Services = append(p.Balancer.Services, sixService()) // its backend listens for the other family alone
			},
		},
		"a service":    {lines: "IPTABLES -t raw -A PREROUTING -d 192.0.2.10 -p tcp --dport 80 -j DROP"},
		"a backend":    {lines: "IPTABLES -A FORWARD -d 10.0.0.2 -p tcp --dport 80 -j DROP"},
		"the way back": {source: config.SNAT{Mode: config.None}},
		"a way out":    {lines: "ip address del 10.0.0.254/24 dev back; ip route add default via 192.0.2.99; ip address flush dev back"},
	} {
		onEach(t, name, true, func(t *testing.T, variant string) {
			p := newPatient(t, variant, netnstest.Layout{Gateway: true}, c.source)
			addDead("10.0.0.2")(t, p)
			p.Balancer.Services[0].Backends = p.Balancer.Services[0].Backends[1:]
			if c.change != nil {
				c.change(t, p)
			}
			if before := reported(p.examine(t)); c.source.Mode != config.None && strings.Count(before, "accepts no connections") != len(p.Balancer.Services) {
				t.Errorf("nobody asks before that:\n%s", before)
			}
			p.sh(t, strings.ReplaceAll(c.lines, "IPTABLES", netnstest.Programs(variant, 4).Iptables))
			found := p.examine(t)
			if len(found) == 0 || slices.ContainsFunc(found, func(f Finding) bool { return strings.Contains(f.What, "accepts no connections") }) {
				t.Errorf("%s", reported(found))
			}
		})
	}
}
