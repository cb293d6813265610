package render

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/internal/test/configtest"
	"natspread/internal/test/testsize"
)

// TestLargePromises tries every promise on large configs, with the traffic of some of
// their services: most of a layout's branches are met by many services only.
func TestLargePromises(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		cfg := configtest.Large(configtest.Shapes()...).Draw(t, "config")
		layout := rapid.SampledFrom([]limits{measured, tiny}).Draw(t, "layout")
		mustKeep(t, cfg, someOf(cfg.Services, 4, rapid.Uint64().Draw(t, "seed")), layout)
	})
}

// TestLargestPromises tries them on the largest config of each shape.
func TestLargestPromises(t *testing.T) {
	t.Parallel()
	for i, shape := range configtest.Shapes() {
		t.Run(fmt.Sprint(shape), func(t *testing.T) {
			t.Parallel()
			cfg := configtest.Fill(shape, configtest.MostServices(), uint64(i))
			plan := mustKeep(t, cfg, someOf(cfg.Services, 4, uint64(i)), measured)
			for _, family := range rules.Families() {
				mustBeShort(t, plan.Of(family))
				mustBeShort(t, plan.Filter(family))
				mustBeShort(t, plan.Mangle(family))
			}
		})
	}
}

// mustBeShort fails if a chain has more rules than the longest plain list: so many
// backends for each of three protocols.
func mustBeShort(t rapid.TB, table rules.Table) {
	t.Helper()
	for _, chain := range table.Chains {
		if most := 3 * measured.backends; len(chain.Rules) > most {
			t.Errorf("chain %s has %d rules, want at most %d", chain.Name, len(chain.Rules), most)
		}
	}
}

// someOf returns so many of the services, or all if there are not as many.
func someOf(services []config.Service, count int, seed uint64) []config.Service {
	random := rand.New(rand.NewPCG(seed, 0))
	var some []config.Service
	for _, i := range random.Perm(len(services))[:min(count, len(services))] {
		some = append(some, services[i])
	}
	return some
}

// TestSameInEveryProcess starts this test again, as processes of their own: nothing in
// a plan may hang on where one has its memory, either.
func TestSameInEveryProcess(t *testing.T) {
	t.Parallel()
	const child = "RENDER_SAME_CHILD"
	sums := ""
	for _, shape := range configtest.Shapes() {
		plan := New(configtest.Fill(shape, 300, 1))
		for _, table := range plan.All() {
			sums += fmt.Sprintf("%v %s %x\n", shape, table.String(), sha256.Sum256(table.Text()))
		}
	}
	if path := os.Getenv(child); path != "" {
		if err := os.WriteFile(path, []byte(sums), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	path := filepath.Join(t.TempDir(), "sums")
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), child+"="+path)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	other, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sums, string(other)); diff != "" {
		t.Errorf("here -, in another process +:\n%s", diff)
	}
}

// TestNamesThatMeet gives two groups of IPv6 addresses a name that is taken, as if the
// hashes of their prefixes were one.
func TestNamesThatMeet(t *testing.T) {
	grower := treeBuilder{named: map[string]bool{}}
	groups := []group{}
	for _, address := range []string{"2001:db8::", "2001:db8::4"} {
		first := netip.MustParseAddr(address)
		entries := []dispatchEntry{{address: first, protocol: "tcp"}, {address: first.Next(), protocol: "tcp"}}
		groups = append(groups, group{byAddress, entries, region(entries)})
	}
	seen := map[string]bool{}
	for _, g := range groups {
		name := grower.name(both, g)
		grower.named = map[string]bool{name: true}
		seen[name], seen[grower.name(both, g)] = true, true
	}
	if len(seen) != 4 {
		t.Errorf("the names are %v", seen)
	}
	for name := range seen {
		if len(name) > rules.MaxChain || !rules.IsOwn(name) || rules.ServiceOf(name) != "" {
			t.Errorf("cannot use the name %s", name)
		}
	}
}

// TestFullHost tries the most ports that there are, each a service of its own for every
// protocol; where tests are small, one port of fourteen, the last one among them.
func TestFullHost(t *testing.T) {
	t.Parallel()
	var cfg config.Config
	for port := 1; port <= math.MaxUint16; port += testsize.Of(14, 1) {
		service := everyProtocol(oneService(config.Random, 1)).Services[0]
		service.Name = fmt.Sprint("s", port)
		service.Listen[0].Ports = config.Ports{First: uint16(port), Last: uint16(port)}
		cfg.Services = append(cfg.Services, service)
	}
	table := New(cfg).IPv4
	mustFit(t, table)
	mustBeShort(t, table)
	mustSpread(t, ownersOf(cfg.Services), someOf(cfg.Services, 1, 1), table)
}

// TestDeepGate has the deepest gate and the most backends behind the deepest way through the tree of
// PRE, whose addresses part at ever later bits: with the gate that tree has to be flatter.
func TestDeepGate(t *testing.T) {
	t.Parallel()
	cfg := config.Config{Services: slices.Repeat(oneService(config.Random, 1).Services, 18)}
	for i := range cfg.Services {
		service := &cfg.Services[i]
		var address [4]byte
		binary.BigEndian.PutUint32(address[:], 10<<24|1<<i)
		service.Name = fmt.Sprint("s", i)
		service.Listen = []config.Listen{{Addr: netip.AddrFrom4(address), Ports: service.Listen[0].Ports}}
		service.Refused = config.Reject
		service.Allow = []netip.Prefix{netip.MustParsePrefix("198.51.0.0/16")}
	}
	deep := &cfg.Services[0]
	deep.Backends = oneService(config.Random, slices.Repeat([]int{1}, config.MaxBackends)...).Services[0].Backends
	for i := range 300 {
		deep.Allow = append(deep.Allow, netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18, byte(i), byte(i >> 8)}), 31))
		deep.Deny = append(deep.Deny, netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18, byte(i), byte(i >> 8)}), 32))
	}
	mustFit(t, New(cfg).IPv4)
}

// TestFullService tries the most backends, and the most turns, of every protocol.
func TestFullService(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []config.Algorithm{config.Random, config.RoundRobin} {
		weights := slices.Repeat([]int{1}, config.MaxBackends)
		cfg := everyProtocol(oneService(algorithm, weights...))
		table := New(cfg).IPv4
		mustFit(t, table)
		mustTakeTurns(t, cfg.Services, table)
		mustBeShort(t, table)
	}
}
