package restore_test

import (
	"fmt"
	"strings"
	"testing"

	"natspread/internal/configfiles"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/restore"
)

// unreadable returns a request for one service with on_remove = "reset" and one backend,
// whose config is no TOML, while its services file is good.
func unreadable(t *testing.T, backend int) restore.Request {
	t.Helper()
	asked := request(t, service("web", 4, 80, 0, only(4, backend, 80), `on_remove = "reset"`))
	asked.Config = configfiles.Alone("", fmt.Appendf(nil, "[[service\nbackend %d", backend))
	return asked
}

// TestConfigIsNotNeeded has generations whose config does not parse: boot, trial, revert,
// confirm and stop load their rules, and delete the flows and the streams of backends that
// are taken out, all the same.
func TestConfigIsNotNeeded(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 2})
		tracked(t, variant)
		host := newHost(t, variant)
		n.Serve(t, "tcp", 4, 80)
		servers := n.Serve(t, "udp", 4, 80)
		vip := at(netnstest.VIP(4), 80)
		first, second := unreadable(t, 0), unreadable(t, 1)
		applying := func(asked restore.Request) func() (restore.Result, error) {
			return func() (restore.Result, error) { return host.Apply(t.Context(), asked) }
		}
		trying := func() (restore.Result, error) { return host.Try(t.Context(), first, (&revertTimer{}).trial()) }
		if _, err := host.Apply(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		flow := netnstest.Converse(t, n.Client, "udp", vip)
		wantMore(t, flow, servers[0])
		streams := map[string]*netnstest.Conversation{} // by the step before which each begins
		for _, step := range []struct {
			name    string
			does    func() (restore.Result, error)
			deletes int
			leads   int      // to which backend
			resets  []string // streams at the other one
		}{
			{"apply", applying(second), 2, 1, []string{"apply"}},
			{"try", trying, 1, 0, nil},
			{"revert", func() (restore.Result, error) { return host.Revert(t.Context()) }, 2, 1, []string{"revert"}},
			{"try again", trying, 1, 0, nil},
			{"confirm", func() (restore.Result, error) { return host.Confirm(t.Context()) }, 2, 0, []string{"try", "try again"}},
		} {
			streams[step.name] = netnstest.Converse(t, n.Client, "tcp", vip)
			result, err := step.does()
			hosttest.Must(t, err)
			if result.DeletedEntries != step.deletes || len(result.Notes) != 0 {
				t.Errorf("%s: %d entries were deleted, want %d; notes %q", step.name, result.DeletedEntries, step.deletes, result.Notes)
			}
			wantMore(t, flow, servers[step.leads])
			for _, name := range step.resets {
				wantReset(t, streams[name])
			}
		}
		hosttest.Boot(t, variant)
		if result, err := host.Restore(t.Context()); err != nil || !result.Loaded {
			t.Errorf("restore: %+v, %v", result, err)
		}
		wantInSync(t, host)
		wantMore(t, flow, servers[0])
		stream := netnstest.Converse(t, n.Client, "tcp", vip)
		result, err := host.Stop(t.Context())
		if err != nil || result.DeletedEntries != 1 || strings.Contains(strings.Join(result.Notes, " "), "backends") {
			t.Errorf("stop: %+v, %v", result, err)
		}
		if got, err := flow.Ask(patience); err == nil {
			t.Errorf("the flow was answered by %s", got)
		}
		hosttest.SetForwarding(t, "11") // which stop set to what boot had found
		if _, err := stream.Ask(hurry); err != nil {
			t.Errorf("stop cut the stream: %v", err)
		}
	})
}
