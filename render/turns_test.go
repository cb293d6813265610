package render

import (
	"fmt"
	"math/big"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/internal/slots"
)

// kernel walks connections through a table one after the other, with a counter
// for each nth match as xt_statistic keeps it.
type kernel struct {
	table rules.Table
	seen  map[*rules.Rule]uint32 // packets that met an nth match, modulo its period
	mark  int                    // of the packet
}

// send returns where the next connection of such packets goes, and fails where
// nothing takes it.
func (k *kernel) send(t rapid.TB, chain string, packet rules.Packet) rules.Target {
	t.Helper()
	target, taken := k.meet(chain, packet)
	if !taken {
		t.Fatalf("%+v falls through %s", packet, chain)
	}
	return target
}

// meet returns the same, and whether anything takes it.
func (k *kernel) meet(chain string, packet rules.Packet) (rules.Target, bool) {
	held, _ := k.table.Chain(chain)
	for i := range held.Rules {
		rule := &held.Rules[i]
		if !rule.Matches(packet) || !rule.Mark.Holds(k.mark) || !k.turn(rule) {
			continue
		}
		switch rule.Target.Kind {
		case rules.Hash:
			k.mark = slots.Of(packet.Source, int(rule.Target.Prefix), int(rule.Target.Slots))
			continue
		case rules.RestoreMark:
			k.mark = 0
			continue
		}
		if rule.Target.Chain == "" {
			return rule.Target, true
		}
		if target, taken := k.meet(rule.Target.Chain, packet); taken || rule.Target.Kind == rules.Goto {
			return target, taken
		}
	}
	return rules.Target{}, false
}

// turn tells whether it is a rule's turn: with --packet 0 that of the first of
// every n.
func (k *kernel) turn(rule *rules.Rule) bool {
	if rule.Statistic.Every == 0 {
		return true
	}
	seen := k.seen[rule]
	k.seen[rule] = (seen + 1) % rule.Statistic.Every
	return seen == 0
}

// mustTakeTurns lets the kernel's counters run over three periods of every round-robin
// one of some services and of each protocol, and fails unless each backend has exactly its
// turns in each period, in the same order, and the heaviest's lie evenly.
func mustTakeTurns(t rapid.TB, services []config.Service, table rules.Table) {
	t.Helper()
	counters := kernel{table: table, seen: map[*rules.Rule]uint32{}}
	for _, service := range services {
		active, sum := weighted(service)
		client, found := servedClient(service)
		if service.Algorithm != config.RoundRobin || len(active) == 0 || !found {
			continue
		}
		divisor := 0
		for _, backend := range active {
			divisor = int(new(big.Int).GCD(nil, nil, big.NewInt(int64(divisor)), big.NewInt(int64(backend.Weight))).Int64())
		}
		for _, protocol := range service.Protocols {
			packet := rules.Packet{
				Protocol: string(protocol), InInterface: links(service)[0], Local: true,
				Source: client, Destination: service.Listen[0].Addr, Port: service.Listen[0].Ports.Last,
			}
			if service.Listen[0].Any() {
				packet.Destination = destinations(service.Listen[0], table.Family)[0].Destination
			}
			var first []rules.Target
			for period := range 3 {
				order := make([]rules.Target, sum/divisor)
				for i := range order {
					order[i] = landed(service, packet, counters.send(t, rules.ServicePre, packet))
				}
				if period > 0 && !slices.Equal(order, first) {
					t.Fatalf("service %s: period %d has another order", service.Name, period)
				}
				first = order
			}
			mustLieEvenly(t, first, active, divisor)
		}
	}
}

// mustLieEvenly fails unless a period holds each backend's turns, and those of
// the heaviest, seen as a circle, with gaps that differ by one at most.
func mustLieEvenly(t rapid.TB, order []rules.Target, backends []config.Backend, divisor int) {
	t.Helper()
	heaviest := slices.MaxFunc(backends, func(a, b config.Backend) int { return a.Weight - b.Weight })
	all := map[rules.Target][]int{}
	for place, target := range order {
		all[target] = append(all[target], place)
	}
	for _, backend := range backends {
		places := all[backendTarget(backend)]
		if len(places) != backend.Weight/divisor {
			t.Fatalf("%s has %d turns in place of %d", backend, len(places), backend.Weight/divisor)
		}
		gaps := gapsOf(places, len(order))
		if backend == heaviest && slices.Max(gaps)-slices.Min(gaps) > 1 {
			t.Fatalf("the turns of %s lie at %v of %d", backend, places, len(order))
		}
	}
}

// gapsOf returns the distances between places on a circle.
func gapsOf(places []int, circle int) []int {
	gaps := make([]int, len(places))
	for i, place := range places {
		if i+1 < len(places) {
			gaps[i] = places[i+1] - place
		} else {
			gaps[i] = places[0] + circle - place
		}
	}
	return gaps
}

// oneService returns a config of one service with backends of these weights.
func oneService(algorithm config.Algorithm, weights ...int) config.Config {
	service := config.Service{
		Name:      "web",
		Listen:    []config.Listen{{Addr: netip.MustParseAddr("192.0.2.10"), Ports: config.Ports{First: 80, Last: 80}}},
		Protocols: []config.Protocol{config.TCP},
		Algorithm: algorithm,
		Local:     true,
	}
	for i, weight := range weights {
		backend := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		service.Backends = append(service.Backends, config.Backend{Addr: backend, Port: 80, Weight: weight})
	}
	return config.Config{Services: []config.Service{service}}
}

// withSlots gives the service of a config so many slots.
func withSlots(cfg config.Config, slots int) config.Config {
	cfg.Services[0].Slots, cfg.Services[0].SourcePrefix = slots, cfg.Services[0].Backends[0].Addr.BitLen()
	return cfg
}

// TestTurns shows the order of a few periods, by the backends' letters.
func TestTurns(t *testing.T) {
	for _, test := range []struct {
		weights []int
		want    string
	}{
		{[]int{1}, "A"},
		{[]int{7}, "A"},
		{[]int{1, 1}, "AB"},
		{[]int{1, 1, 1}, "ABC"},
		{[]int{65535, 65535}, "AB"},
		{[]int{300, 200, 100}, "ABACAB"},
		{[]int{5, 1, 1}, "ABAACAA"},
		{[]int{1, 1, 5}, "CACCBCC"},
		{[]int{4, 0, 2}, "ACA"},
		{[]int{4, 4, 1}, "ABCABABAB"},
		{[]int{3, 3, 3, 3}, "ABCD"},
		{[]int{2, 3}, "BABAB"},
	} {
		t.Run(fmt.Sprint(test.weights), func(t *testing.T) {
			cfg := oneService(config.RoundRobin, test.weights...)
			counters := kernel{table: New(cfg).IPv4, seen: map[*rules.Rule]uint32{}}
			got := ""
			for range test.want {
				target := counters.send(t, "NATSPREAD-web", rules.Packet{Protocol: "tcp"})
				got += string('A' + rune(target.Address.As4()[3]))
			}
			if got != test.want {
				t.Errorf("the turns are %s, want %s", got, test.want)
			}
			mustKeepPromises(t, cfg)
		})
	}
}

// TestTurnsDoNotBunch tries weights of all kinds: a backend has the turns in any
// part of a period that its weight asks for, give or take a few.
func TestTurnsDoNotBunch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := rapid.SliceOfN(rapid.OneOf(rapid.Just(1), rapid.IntRange(0, 60)), 2, 30).Draw(t, "weights")
		weights[0]++
		cfg := oneService(config.RoundRobin, weights...)
		active, sum := weighted(cfg.Services[0])
		order := turns(active)
		taken := make([]int, len(active))
		for i, backend := range order {
			taken[backend]++
			for b := range active {
				off := float64(taken[b]) - float64(i+1)*float64(active[b].Weight)/float64(sum)
				if off > 2 || off < -2 {
					t.Fatalf("after %d of %d turns backend %d is %.2f turns off: %v", i+1, len(order), b, off, order)
				}
			}
		}
	})
}
