package restore_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/testsize"
	"natspread/restore"
	"natspread/restore/generation"
)

// kill runs an apply that gets no further than a moment.
func kill(t *testing.T, host restore.Host, toml string, moment func(name string, args []string) bool) {
	t.Helper()
	wanted := request(t, toml)
	killed(t, host, moment, func(host restore.Host) { _, _ = host.Apply(context.Background(), wanted) })
}

// killed runs what gets no further than a moment: the goroutine ends there, and nothing that
// follows is done. Only the lock is given back, as the kernel does it.
func killed(t *testing.T, host restore.Host, moment func(name string, args []string) bool, do func(restore.Host)) {
	t.Helper()
	run, killed, ended := host.Run, false, make(chan struct{})
	host.Run = func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
		if moment(name, args) {
			killed = true
			runtime.Goexit()
		}
		return run(ctx, stdin, name, args...)
	}
	go func() {
		defer close(ended)
		do(host)
	}()
	<-ended
	if !killed {
		t.Fatal("it came to its end")
	}
}

// The moments of an apply after it has written its generation.
var (
	beforeLoad = func(name string, args []string) bool { return isLoad(rules.IPv4, name, args) }
	halfLoaded = func(name string, args []string) bool { return isLoad(rules.IPv6, name, args) }
)

// number tells which generation is on disk that is not current yet.
func number(t *testing.T, host restore.Host) string {
	t.Helper()
	entries, err := os.ReadDir(place(host, "generations"))
	hosttest.Must(t, err)
	for _, entry := range entries {
		if name, found := strings.CutPrefix(entry.Name(), ".unconfirmed-"); found {
			return name
		}
	}
	t.Fatal("there is none")
	return ""
}

// TestKilledApplies kills an apply at each moment, more often than there are generations
// kept: what never was current is nothing to go back to, to fall back to or to keep.
func TestKilledApplies(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		for i, c := range []struct {
			name   string
			moment func(name string, args []string) bool
			then   func(host restore.Host) error // what else was done before the kill
		}{
			{"before the load", beforeLoad, nil},
			{"half loaded", halfLoaded, nil},
			{"numbered, and not yet current", halfLoaded, func(host restore.Host) error {
				n := number(t, host)
				return os.Rename(place(host, "generations/.unconfirmed-"+n), place(host, "generations", n))
			}},
		} {
			t.Run(c.name, func(t *testing.T) {
				hosttest.Boot(t, variant)
				host := newHost(t, variant)
				store := generation.Store{Root: host.Root}
				apply(t, host, hosttest.Article)
				times := generation.Keep + 2
				if !testsize.Takes(i, 3) {
					times = 3 // what is kept is the same at each moment
				}
				for range times {
					_, err := host.Restore(t.Context()) // the next boot, or whoever comes next
					hosttest.Must(t, err)
					kill(t, host, hosttest.Smaller, c.moment)
					if c.then != nil {
						hosttest.Must(t, c.then(host))
					}
					wantHistory(t, store, hosttest.Article)
				}
				_, err := host.Restore(t.Context())
				hosttest.Must(t, err)
				hosttest.WantLoaded(t, variant, hosttest.Article)

				apply(t, host, hosttest.Smaller)
				wantHistory(t, store, hosttest.Smaller, hosttest.Article)
				previous, err := store.Previous()
				hosttest.Must(t, err)
				hosttest.WantSame(t, "the one before", hosttest.Article, string(previous.Config.Main()))
				kill(t, host, other4, c.moment)
				if c.then != nil {
					hosttest.Must(t, c.then(host))
				}
				current, err := store.CurrentNumber()
				hosttest.Must(t, err)
				hosttest.Must(t, os.Truncate(filepath.Join(host.Root, store.Files(current)[1]), 0))
				result, err := host.Restore(t.Context())
				if err == nil || result.Generation != 1 {
					t.Errorf("%+v, %v", result, err)
				}
				hosttest.WantLoaded(t, variant, hosttest.Article)
			})
		}
	})
}

// wantHistory asks for the generations of the history, by their configs.
func wantHistory(t *testing.T, store generation.Store, want ...string) {
	t.Helper()
	entries, err := store.History()
	hosttest.Must(t, err)
	numbers, err := store.Numbers()
	hosttest.Must(t, err)
	var configs []string
	for _, entry := range entries {
		configs = append(configs, string(entry.Config.Main()))
	}
	if !slices.Equal(configs, want) || len(numbers) != len(want) {
		t.Errorf("the history is of %q, numbers %d; want %q", configs, numbers, want)
	}
}

// TestFirstApplyIsKilled leaves nothing for boot to load, and nothing in the way.
func TestFirstApplyIsKilled(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		kill(t, host, hosttest.Article, halfLoaded)
		if _, err := host.Restore(t.Context()); !errors.Is(err, generation.ErrNone) {
			t.Errorf("%v", err)
		}
		wantHistory(t, generation.Store{Root: host.Root})
		apply(t, host, hosttest.Smaller)
		wantHistory(t, generation.Store{Root: host.Root}, hosttest.Smaller)
	})
}

// TestFirstConfirmIsKilled between its two steps, with no generation before it: taken
// back then, it is nothing that boot falls back to.
func TestFirstConfirmIsKilled(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		try(t, host, hosttest.Article)
		hosttest.Must(t, os.Rename(place(host, "generations/.unconfirmed-1"), place(host, "generations/1")))
		_, err := host.Revert(t.Context())
		hosttest.Must(t, err)
		if _, err := host.Restore(t.Context()); !errors.Is(err, generation.ErrNone) {
			t.Errorf("%v", err)
		}
		wantHistory(t, generation.Store{Root: host.Root})
	})
}

// TestTryIsKilledBeforeForwarding when its rules are loaded: whoever confirms it has all that
// the trial was to do, and stop puts back what the trial found.
func TestTryIsKilledBeforeForwarding(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		hosttest.SetForwarding(t, "00")
		try(t, host, hosttest.Article)
		hosttest.SetForwarding(t, "00")
		for _, name := range []string{"net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"} {
			hosttest.Must(t, os.Remove(filepath.Join(host.Root, "run/natspread", name)))
		}
		result, err := host.Confirm(t.Context())
		hosttest.Must(t, err)
		if len(result.Opened) != 2 || hosttest.Forwarding(t) != "11" {
			t.Errorf("forwarding %s, %+v", hosttest.Forwarding(t), result)
		}
		_, err = host.Stop(t.Context())
		hosttest.Must(t, err)
		if hosttest.Forwarding(t) != "00" {
			t.Errorf("after stop forwarding is %s", hosttest.Forwarding(t))
		}
	})
}
