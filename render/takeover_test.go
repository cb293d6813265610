package render

import (
	"cmp"
	"math/big"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/internal/trace"
)

// mustTakeOver sends what connections of another balancer say here first, from either side:
// what a backend says has the address that clients ask, passes FORWARD where the service wants
// that, and what a client says goes to the backend that has its connection.
func mustTakeOver(t rapid.TB, services []config.Service, table, filter rules.Table) {
	t.Helper()
	for _, service := range services {
		if !service.Takeover {
			continue
		}
		for _, l := range []config.Listen{service.Listen[0], service.Listen[len(service.Listen)-1]} {
			for _, b := range []config.Backend{service.Backends[0], service.Backends[len(service.Backends)-1]} {
				for _, port := range edges(l.Ports) {
					at := place{b.Addr, cmp.Or(b.Port, port), service.Protocols[len(service.Protocols)-1]}
					mustAnswerAs(t, at, services, table, filter)
				}
			}
		}
		drained := slices.ContainsFunc(service.Backends, func(b config.Backend) bool { return b.Drain && b.Weight > 0 })
		if drained && slices.Contains(service.Protocols, config.TCP) {
			mustKeepOwners(t, service, table)
		}
	}
}

// place is where a backend answers.
type place struct {
	addr     netip.Addr
	port     uint16
	protocol config.Protocol
}

// asked returns for which service and listen address a backend answers at a place, and whether
// what it says begins nothing, since it is down and its connections are cut.
func (p place) asked(services []config.Service) (by config.Service, listen config.Listen, silent, found bool) {
	for _, s := range services {
		for _, l := range s.Listen {
			at := func(b config.Backend) bool {
				return b.Addr == p.addr && l.Answers(b).Contains(p.port)
			}
			i := slices.IndexFunc(s.Backends, at)
			if s.Takeover && slices.Contains(s.Protocols, p.protocol) && i >= 0 && !s.Stays(l, s.Backends[i]) {
				return s, l, s.Backends[i].Out && (p.protocol == config.UDP || s.OnDown == config.ResetDown), true
			}
		}
	}
	return config.Service{}, config.Listen{}, false, false
}

// mustAnswerAs sends the first packet that this balancer sees of a connection from a place.
func mustAnswerAs(t rapid.TB, at place, services []config.Service, table, filter rules.Table) {
	t.Helper()
	by, listen, silent, known := at.asked(services)
	if !known {
		return // another service of the config may want it
	}
	packet := rules.Packet{Protocol: string(at.protocol), Source: at.addr, SourcePort: at.port, Destination: stranger(table.Family), Port: 50000}
	ends, err := walkTo(table, rules.Postrouting, packet)
	if err != nil {
		t.Fatal(err)
	}
	want := rules.Target{Kind: rules.SNAT, Address: listen.Addr}
	if listen.Ports.First == listen.Ports.Last {
		want.Port = listen.Ports.First
	}
	if silent && len(ends) > 0 || !silent && (len(ends) != 1 || ends[0].Target != want || !isOne(ends[0].Share)) {
		t.Fatalf("%+v leaves as %v, not as %v; silent: %v", at, ends, want, silent)
	}
	mustAccept(t, filter, packet, by.Forward == config.Accept)
	packet.SourcePort = 0
	if ends, err = walkTo(table, rules.Postrouting, packet); err != nil || len(ends) != 0 {
		t.Fatalf("what %s says from other ports leaves as %v: %v", at.addr, ends, err)
	}
}

// mustKeepOwners sends packets of all clients that begin nothing: each slot leads to its owner,
// but for those of a backend that is drained, which keeps them. What has no owner is refused.
func mustKeepOwners(t rapid.TB, service config.Service, table rules.Table) {
	t.Helper()
	packet := rules.Packet{
		Protocol: "tcp", InInterface: links(service)[0], Midstream: true,
		Destination: service.Listen[0].Addr, Port: service.Listen[0].Ports.First,
	}
	if service.Gated() { // behind the gate, all clients
		open := service
		open.Allow, open.Deny, open.Refused = nil, nil, ""
		table = New(config.Config{Services: []config.Service{open}}).Of(table.Family)
	}
	ends, err := walkTo(table, rules.Prerouting, packet)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := shareByTarget(atBackends(service, packet, ends))
	keeps := func(b config.Backend) bool { return b.Drain && !b.Out && b.Weight > 0 }
	base := service
	base.Backends = slices.Clone(service.Backends)
	for i, b := range base.Backends {
		if !b.Backup || keeps(b) {
			base.Backends[i].Drain, base.Backends[i].Out = false, false
		}
	}
	before, now := base.Owners(), service.Owners()
	if service.Slots == 0 { // one backend, for all clients
		before = []int{0}
	}
	want := map[rules.Target]*big.Rat{}
	for i, was := range before {
		target := rules.Target{Kind: rules.Refuse}
		switch {
		case keeps(service.Backends[was]):
			target = backendTarget(service.Backends[was])
		case now != nil:
			target = backendTarget(service.Backends[now[i]])
		}
		want[target] = new(big.Rat).Add(cmp.Or(want[target], new(big.Rat)), big.NewRat(1, int64(len(before))))
	}
	for target, share := range want {
		if got[target] == nil || got[target].Cmp(share) != 0 || len(got) != len(want) {
			t.Fatalf("service %s: open connections of other balancers go to %v, not to %v", service.Name, got, want)
		}
	}
}

// TestDownKeepsNothing takes a backend out by drain, by health and by both: only one that is
// drained and alive keeps its chain, and with it the open connections.
func TestDownKeepsNothing(t *testing.T) {
	for name, test := range map[string]struct {
		drain, out bool
		takeover   bool
		keeps      bool
	}{
		"drained":              {true, false, true, true},
		"down":                 {false, true, true, false},
		"drained and down":     {true, true, true, false},
		"in service":           {false, false, true, true},
		"drained, no takeover": {true, false, false, false},
	} {
		cfg := withSlots(oneService(config.Source, 1, 1, 1), 64)
		service := &cfg.Services[0]
		service.SNAT, service.Takeover = config.SNAT{Mode: config.None}, test.takeover
		service.Backends[1].Drain, service.Backends[1].Out = test.drain, test.out
		kept := false
		for _, chain := range New(cfg).IPv4.Chains {
			kept = kept || slices.ContainsFunc(chain.Rules, func(r rules.Rule) bool { return r.Target == backendTarget(service.Backends[1]) })
		}
		if kept != test.keeps {
			t.Errorf("%s: its chain is there: %v", name, kept)
		}
	}
}

// TestTakeoverWork compares the work of POSTROUTING with takeover and without, by how many
// backends there are, no two side by side: a connection of the service meets what it met, and a
// stranger's a few rules more.
func TestTakeoverWork(t *testing.T) {
	for n, most := range map[int]int{3: 5, 100: 14, 1000: 20} {
		var own, others [2]int
		for i, takeover := range []bool{false, true} {
			cfg := withSlots(oneService(config.Source, slices.Repeat([]int{1}, n)...), 4096)
			service := &cfg.Services[0]
			for j := range service.Backends {
				service.Backends[j].Addr = netip.AddrFrom4([4]byte{10, byte(j >> 6), byte(j), 1 + byte(j%7)})
			}
			service.SNAT, service.Takeover = config.SNAT{Mode: config.None}, takeover
			plan, listen := New(cfg).IPv4, service.Listen[0]
			mine := rules.Packet{Protocol: "tcp", Destination: service.Backends[n-1].Addr, Port: 80, OriginalAddress: listen.Addr, OriginalPort: listen.Ports.First}
			strange := rules.Packet{Protocol: "tcp", Source: service.Backends[n-1].Addr, SourcePort: 40000, Destination: stranger(rules.IPv4), Port: 443}
			own[i], others[i] = workAfter(t, plan, mine), workAfter(t, plan, strange)
		}
		if own[1] != own[0] || others[1] > most {
			t.Errorf("%d backends: a connection of the service meets %d rules, not %d; one that a backend begins %d, not %d", n, own[1], own[0], others[1], others[0])
		}
	}
}

// workAfter counts the rules that a packet meets in POSTROUTING, at most.
func workAfter(t *testing.T, table rules.Table, packet rules.Packet) int {
	t.Helper()
	path, err := trace.Trace(table, rules.Postrouting, packet)
	if err != nil {
		t.Fatal(err)
	}
	return path.Work().Worst
}
