package health_test

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"natspread/internal/config"
	"natspread/internal/health"
	"natspread/internal/rules"
	"natspread/internal/test/configtest"
	"natspread/render"
)

// chosen has every service of a config choose, with any of the backends up and, at times, any
// drained by hand. It returns the config as it is to be rendered.
func chosen(t *rapid.T, cfg config.Config, hands bool) config.Config {
	made := config.Config{Services: slices.Clone(cfg.Services)}
	for i, s := range cfg.Services {
		up := map[config.Backend]bool{}
		var byHand []string
		for _, b := range s.Backends {
			up[b] = rapid.Bool().Draw(t, fmt.Sprint(b, " is up"))
			if hands && rapid.IntRange(0, 9).Draw(t, "by hand") == 0 {
				byHand = append(byHand, b.String())
			}
		}
		made.Services[i] = health.Choose(s, func(b config.Backend) bool { return up[b] }, byHand).Apply(s)
	}
	return made
}

// TestRender renders any choice: rules of the filter tables and the services that the generation
// has stay as they are, whoever is out, so health touches the nat tables only.
func TestRender(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := configtest.Config().Draw(t, "config")
		made := chosen(t, cfg, true)
		before, after := render.New(cfg), render.New(made)
		for _, family := range rules.Families() {
			if !reflect.DeepEqual(before.Filter(family), after.Filter(family)) {
				t.Fatal("the filter tables changed")
			}
		}
		for i, s := range cfg.Services {
			if !reflect.DeepEqual(render.VirtualServices(s), render.VirtualServices(made.Services[i])) {
				t.Fatalf("what the generation says of %s changed", s.Name)
			}
		}
	})
}

// TestClientsStay has any backends go and come. The owner of a slot with nobody out keeps it for
// as long as it is used, so its clients stay there.
func TestClientsStay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cfg := configtest.Config().Draw(t, "config")
		made := chosen(t, cfg, true)
		for i, s := range cfg.Services {
			all := s
			all.Backends = slices.Clone(s.Backends)
			for j := range all.Backends {
				all.Backends[j].Drain = false
			}
			base, uses := all.Owners(), map[netip.AddrPort]bool{}
			for _, b := range made.Services[i].Active() {
				uses[b.AddrPort()] = true
			}
			for slot, owner := range made.Services[i].Owners() {
				is, was := s.Backends[owner], s.Backends[base[slot]]
				if !uses[is.AddrPort()] {
					t.Fatalf("slot %d is of %s, which is not used", slot, is)
				}
				if uses[was.AddrPort()] && is != was {
					t.Fatalf("slot %d moved from %s to %s", slot, was, is)
				}
			}
		}
	})
}
