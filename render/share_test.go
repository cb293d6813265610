package render

import (
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"natspread/internal/config"
	"natspread/internal/rules"
)

// TestManyBackends holds the promises for services far larger than the made-up
// ones.
func TestManyBackends(t *testing.T) {
	equal, mixed := make([]int, 1000), make([]int, 1000)
	for i := range mixed {
		equal[i], mixed[i] = 1, 1+i%4
	}
	light := append(slices.Clone(equal), config.MaxWeight)
	for name, cfg := range map[string]config.Config{
		"1000 equal, random":          oneService(config.Random, equal...),
		"1000 light before one heavy": oneService(config.Random, light...),
		"1000 equal, round-robin":     oneService(config.RoundRobin, equal...),
		"1000 mixed, every protocol":  everyProtocol(oneService(config.RoundRobin, mixed...)),
		"100 equal, by slots":         withSlots(oneService(config.Source, equal[:100]...), 1024),
		"100 mixed, by slots":         withSlots(everyProtocol(oneService(config.Flow, mixed[:100]...)), 4096),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			table := New(cfg).IPv4
			mustReadBack(t, table)
			mustTakeTurns(t, cfg.Services, table)
			packet := rules.Packet{Protocol: "tcp", Destination: cfg.Services[0].Listen[0].Addr, Port: 80}
			outcomes, err := walkTo(table, rules.Prerouting, packet)
			if err != nil {
				t.Fatal(err)
			}
			mustHaveShares(t, &owner{Service: cfg.Services[0]}, outcomes, packet.Source)
		})
	}
}

// everyProtocol gives a service every protocol.
func everyProtocol(cfg config.Config) config.Config {
	cfg.Services[0].Protocols = []config.Protocol{config.TCP, config.UDP, config.SCTP}
	return cfg
}

// TestRoundingsDoNotAddUp tries thousands of backends with weights that a plain
// rounding of each probability by itself would get wrong by up to 6e-7.
func TestRoundingsDoNotAddUp(t *testing.T) {
	t.Parallel()
	limit := new(big.Float).SetRat(step)
	rapid.Check(t, func(t *rapid.T) {
		highest := rapid.SampledFrom([]int{1, 3, 10, 100, config.MaxWeight}).Draw(t, "highest")
		weights := rapid.SliceOfN(rapid.IntRange(1, highest), 0, 300).Draw(t, "weights")
		for range rapid.IntRange(0, config.MaxBackends-1-len(weights)).Draw(t, "ones") {
			weights = append(weights, 1)
		}
		weights = append(weights, rapid.IntRange(1, config.MaxWeight).Draw(t, "last"))
		service := oneService(config.Random, weights...).Services[0]
		backends, sum := weighted(service)
		walk := roughWalk{chains: map[string][]rules.Rule{}, shares: map[rules.Target]*big.Float{}}
		for _, chain := range measured.serviceChains(service) {
			walk.chains[chain.Name] = chain.Rules
		}
		left := walk.chain(rules.ServiceChain(service.Name), number().SetInt64(1))
		for i, backend := range backends {
			want := number().Quo(number().SetInt64(int64(weights[i])), number().SetInt64(int64(sum)))
			if off := number().Sub(walk.shares[backendTarget(backend)], want); off.Abs(off).Cmp(limit) > 0 {
				t.Fatalf("backend %d of %d is off by %.3g", i, len(weights), off)
			}
		}
		if left.Sign() != 0 {
			t.Fatalf("%.3g falls through", left)
		}
	})
}

// roughWalk walks through a service's chains. Exact fractions of thousands of rules are
// slow; 300 bits are enough.
type roughWalk struct {
	chains map[string][]rules.Rule
	shares map[rules.Target]*big.Float
}

// number returns 0 with room for 300 bits.
func number() *big.Float { return new(big.Float).SetPrec(300) }

// chain walks on with a share of the connections and returns what falls through.
func (w roughWalk) chain(name string, share *big.Float) *big.Float {
	left, out := share, number()
	for _, rule := range w.chains[name] {
		taken := number().Set(left)
		if steps := rule.Statistic.Steps; steps != 0 {
			taken.Mul(left, number().Quo(number().SetInt64(int64(steps)), number().SetInt64(rules.ProbabilityScale)))
		}
		left = number().Sub(left, taken)
		if rule.Target.Kind == rules.Goto {
			out.Add(out, w.chain(rule.Target.Chain, taken))
		} else {
			w.shares[rule.Target] = taken
		}
	}
	return left.Add(left, out)
}
