package render

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"natspread/config"
	"natspread/internal/configtest"
)

// TestLargePromises tries every promise on large configs, with the traffic of some of
// their services: most of a layout's branches are met by many services only.
func TestLargePromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := configtest.Large(configtest.Shapes()...).Draw(t, "config")
		layout := rapid.SampledFrom([]layout{measured, tiny}).Draw(t, "layout")
		mustKeep(t, cfg, someOf(cfg.Services, 4, rapid.Uint64().Draw(t, "seed")), layout)
	})
}

// TestLargestPromises tries them on the largest config of each shape.
func TestLargestPromises(t *testing.T) {
	for i, shape := range configtest.Shapes() {
		t.Run(fmt.Sprint(shape), func(t *testing.T) {
			t.Parallel()
			cfg := configtest.Fill(shape, configtest.MaxServices, uint64(i))
			mustKeep(t, cfg, someOf(cfg.Services, 8, uint64(i)), measured)
		})
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
	const child = "RENDER_SAME_CHILD"
	sums := ""
	for _, shape := range configtest.Shapes() {
		plan := New(configtest.Fill(shape, 300, 1))
		sums += fmt.Sprintf("%v %x %x\n", shape, sha256.Sum256(plan.IPv4.Text()), sha256.Sum256(plan.IPv6.Text()))
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
