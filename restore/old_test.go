package restore_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/restore"
	"natspread/restore/generation"
)

// oldHost returns a host whose current generation natspread 0.1 wrote, the generation, and
// its config.
func oldHost(t *testing.T, variant rules.Variant) (host restore.Host, old generation.Generation, toml string) {
	t.Helper()
	host = newHost(t, variant)
	store := generation.Store{Root: host.Root}
	toml = hosttest.WriteOld(t, store, variant, "../testdata/generations/0.1")
	old, err := store.Current()
	hosttest.Must(t, err)
	return host, old, toml
}

// restored restores, and fails the test when that does.
func restored(t *testing.T, host restore.Host) restore.Result {
	t.Helper()
	result, err := host.Restore(t.Context())
	hosttest.Must(t, err)
	return result
}

// wantComments asks that jumps in the kernel carry the comment of natspread 0.1, or do not.
func wantComments(t *testing.T, variant rules.Variant, want bool) {
	t.Helper()
	if all := hosttest.Everything(t, variant); strings.Contains(all, "--comment") != want {
		t.Errorf("comments: want %v, in\n%s", want, all)
	}
}

// TestOldGenerationAtBoot restores it as it is, again and again, which is no difference, and
// stops it. An apply of its config loads the accepts of now, which name the backends.
func TestOldGenerationAtBoot(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host, old, toml := oldHost(t, variant)
		wantNotLoaded(t, host)
		if result := restored(t, host); !result.Loaded || result.Generation != 1 || len(result.Notes) != len(result.Opened) {
			t.Errorf("restore: %+v", result)
		}
		hosttest.WantTables(t, variant, old.Tables)
		wantComments(t, variant, true)
		wantInSync(t, host)
		before := state(t, host)
		if result := restored(t, host); result.Changed || result.Loaded {
			t.Errorf("restore again: %+v", result)
		}
		wantState(t, host, before)
		if _, err := host.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		if left := hosttest.Everything(t, variant); strings.Contains(left, rules.Prefix) || strings.Contains(left, "comment") {
			t.Errorf("stop left:\n%s", left)
		}
		restored(t, host)
		if result := apply(t, host, toml); !result.Changed || result.Generation != 2 {
			t.Errorf("apply: %+v", result)
		}
		hosttest.WantLoaded(t, variant, toml)
		wantInSync(t, host)
	})
}

// TestOldGenerationIsMended has a restore load it again as it is, wherever somebody changed
// the kernel.
func TestOldGenerationIsMended(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host, old, _ := oldHost(t, variant)
		restored(t, host)
		for _, harm := range []string{
			"-F NATSPREAD-web",
			"-D PREROUTING -m comment --comment natspread -j NATSPREAD-PRE",
			"-R PREROUTING 1 -j NATSPREAD-PRE",
		} {
			hosttest.IPTables(t, variant, rules.IPv4, harm)
			if result := restored(t, host); !result.Loaded || result.Generation != 1 || len(result.Notes) != 0 {
				t.Errorf("%s: %+v", harm, result)
			}
			hosttest.WantTables(t, variant, old.Tables)
			wantInSync(t, host)
			if result := restored(t, host); result.Changed {
				t.Errorf("%s, again: %+v", harm, result)
			}
		}
	})
}

// TestOldGenerationIsReplaced applies another config, and rolls back: no jump carries the
// comment any more, for a rollback makes a new generation. Boot can still fall back to the
// old one, and a trial that ends leads back to it.
func TestOldGenerationIsReplaced(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host, old, _ := oldHost(t, variant)
		restored(t, host)
		try(t, host, hosttest.Smaller)
		wantComments(t, variant, false)
		if _, err := host.Revert(t.Context()); err != nil {
			t.Error(err)
		}
		hosttest.WantTables(t, variant, old.Tables)
		wantInSync(t, host)

		apply(t, host, hosttest.Smaller)
		hosttest.WantLoaded(t, variant, hosttest.Smaller)
		wantComments(t, variant, false)
		wantInSync(t, host)

		back := restore.Request{Tables: old.Tables, Services: old.Services, Config: old.Config, Command: "rollback 1", Now: hosttest.Day()}
		result, err := host.Apply(t.Context(), back)
		hosttest.Must(t, err)
		current, err := generation.Store{Root: host.Root}.Current()
		hosttest.Must(t, err)
		if !result.Loaded || result.Generation != 4 || current.Number != 4 { // the trial was 2
			t.Errorf("rollback: %+v; current is %d", result, current.Number)
		}
		hosttest.WantTables(t, variant, current.Tables)
		wantComments(t, variant, false)
		wantInSync(t, host)
		if result, err := host.Apply(t.Context(), back); err != nil || result.Changed {
			t.Errorf("rollback again: %+v, %v", result, err)
		}

		for _, number := range []string{"3", "4"} {
			hosttest.Must(t, os.Truncate(place(host, "generations", number, "manifest"), 0))
		}
		hosttest.Boot(t, variant)
		if result, err := host.Restore(t.Context()); err == nil || result.Generation != 1 {
			t.Errorf("%+v, %v", result, err)
		}
		hosttest.WantTables(t, variant, old.Tables)
	})
}

// TestOldGenerationOfTheOtherVariant proves it first, comments and all.
func TestOldGenerationOfTheOtherVariant(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host, old, _ := oldHost(t, variant.Other())
		host.Variant = variant
		if result := restored(t, host); !result.Loaded || len(result.Notes) != 1+len(result.Opened) || !strings.Contains(result.Notes[0], "was made for the "+string(variant.Other())+" variant") {
			t.Errorf("%+v", result)
		}
		hosttest.WantTables(t, variant, old.Tables)
		wantInSync(t, host)
	})
}

// oldFlows are connections of the services of the old generation.
type oldFlows struct {
	flows   []*netnstest.Conversation // of dns and api, over UDP
	removed int                       // how many of them are at the second backend
	own     *netnstest.Conversation   // with the balancer itself
	streams []*netnstest.Conversation // of api, which has on_remove = "reset"
	at      []string                  // where the streams are
}

// converseOld begins them, and some that are nobody's of natspread's.
func converseOld(t *testing.T, n *netnstest.Network) oldFlows {
	t.Helper()
	var begun oldFlows
	for _, port := range []int{53, 81} {
		second := n.Serve(t, "udp", 4, port)[1]
		for range 6 {
			flow := netnstest.Converse(t, n.Client, "udp", at(netnstest.VIP(4), port))
			backend, err := flow.Ask(hurry)
			hosttest.Must(t, err)
			if backend == second {
				begun.removed++
			}
			begun.flows = append(begun.flows, flow)
		}
	}
	n.Serve(t, "tcp", 4, 81)
	for range 6 {
		stream := netnstest.Converse(t, n.Client, "tcp", at(netnstest.VIP(4), 81))
		backend, err := stream.Ask(hurry)
		hosttest.Must(t, err)
		begun.streams, begun.at = append(begun.streams, stream), append(begun.at, backend)
	}
	begun.own = netnstest.Converse(t, n.Client, "udp", netnstest.Serve(t, n.Balancer, "udp", at(netnstest.VIP(4), 99)))
	wantMore(t, begun.own, at(netnstest.VIP(4), 99))
	return begun
}

// atSecond counts the streams at the second backend.
func (f oldFlows) atSecond() (count int) {
	for _, place := range f.at {
		if place == at(backend(4, 1), 81) {
			count++
		}
	}
	return count
}

// withoutSecond is the old config without the second backend of dns and api.
func withoutSecond(toml string) string {
	return strings.NewReplacer(`, "10.0.0.2:53"`, "", `, "10.0.0.2:81"`, "").Replace(toml)
}

// TestOldFlows takes a backend out when nobody knows the services of what was loaded: the
// flows of all its listen addresses go to where the rules lead now, no stream is cut, and
// the note says so. Where somebody knows them it is as ever.
func TestOldFlows(t *testing.T) {
	for _, known := range []bool{false, true} {
		t.Run(fmt.Sprintf("known %v", known), func(t *testing.T) {
			hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
				n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 2})
				host, _, toml := oldHost(t, variant)
				restored(t, host)
				begun := converseOld(t, n)
				deleted := len(begun.flows)
				note := "generation 1 does not say which backends it has: every UDP connection of its services was deleted, and no TCP connection"
				if known {
					host.Services = map[int][]rules.VirtualService{1: hosttest.Services(t, toml)}
					deleted, note = begun.removed+begun.atSecond(), ""
				}
				result := apply(t, host, withoutSecond(toml))
				if notes := strings.Join(result.Notes, "\n"); result.DeletedEntries != deleted || notes != note {
					t.Errorf("%d entries were deleted, want %d; notes %q, want %q", result.DeletedEntries, deleted, notes, note)
				}
				for i, flow := range begun.flows {
					wantMore(t, flow, at(backend(4, 0), []int{53, 81}[i/6]))
				}
				for i, stream := range begun.streams {
					if known && begun.at[i] == at(backend(4, 1), 81) {
						wantReset(t, stream)
					} else {
						wantMore(t, stream, begun.at[i])
					}
				}
				wantMore(t, begun.own, at(netnstest.VIP(4), 99))
			})
		})
	}
}

// TestOldFlowsStop takes the rules out: every flow to its listen addresses ends, and the
// streams go on.
func TestOldFlowsStop(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 2})
		tracked(t, variant)
		hosttest.SetForwarding(t, "10")
		host, _, _ := oldHost(t, variant)
		restored(t, host)
		begun := converseOld(t, n)
		result, err := host.Stop(t.Context())
		hosttest.Must(t, err)
		if result.DeletedEntries != len(begun.flows) || len(result.Notes) == 0 || !strings.HasPrefix(result.Notes[0], "generation 1 does not say which backends it has: ") {
			t.Errorf("%d entries were deleted, want %d; notes %q", result.DeletedEntries, len(begun.flows), result.Notes)
		}
		for i, stream := range begun.streams {
			wantMore(t, stream, begun.at[i])
		}
		wantMore(t, begun.own, at(netnstest.VIP(4), 99))
	})
}
