package restore_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"natspread/internal/paths"
	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/test/await"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/internal/test/testsize"
	"natspread/restore"
	"natspread/restore/generation"
)

// revertTimer stands for what calls RevertOverdue, and counts what becomes of it.
type revertTimer struct {
	scheduled, cancelled int
	look                 func() // at what there is when it is scheduled
	fails                error
}

// trial returns a trial for a long time.
func (r *revertTimer) trial() restore.Trial {
	return restore.Trial{For: time.Hour, Schedule: func(context.Context, time.Duration) (func(context.Context), error) {
		r.scheduled++
		if r.look != nil {
			r.look()
		}
		return func(context.Context) { r.cancelled++ }, r.fails
	}}
}

// try tries a config, and fails the test when that does.
func try(t *testing.T, host restore.Host, toml string) restore.Result {
	t.Helper()
	result, err := host.Try(t.Context(), request(t, toml), (&revertTimer{}).trial())
	hosttest.Must(t, err)
	return result
}

// pendingFile is where a host's trial is recorded.
func pendingFile(host restore.Host) string { return filepath.Join(host.Root, "run/natspread/pending") }

// TestTrySchedulesFirst asks that nothing is loaded, and nothing recorded, before the revert
// is scheduled; and nothing at all when it cannot be.
func TestTrySchedulesFirst(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := oddHost(t, variant)
		before := state(t, host)
		timer := &revertTimer{fails: errSeam, look: func() {
			if _, err := os.Lstat(pendingFile(host)); err == nil {
				t.Error("it is recorded already")
			}
			kernel, _, _ := strings.Cut(state(t, host), "/run/natspread")
			wanted, _, _ := strings.Cut(before, "/run/natspread")
			hosttest.WantSame(t, "the kernel", wanted, kernel)
		}}
		_, err := host.Try(t.Context(), request(t, hosttest.Smaller), timer.trial())
		wantUnchanged(t, host, before, err, nil)
		if timer.scheduled != 1 || timer.cancelled != 0 || !errors.Is(err, errSeam) {
			t.Errorf("%+v, %v", timer, err)
		}
		timer.fails = nil
		result, err := host.Try(t.Context(), request(t, hosttest.Smaller), timer.trial())
		hosttest.Must(t, err)
		hosttest.WantLoaded(t, variant, hosttest.Smaller)
		if timer.scheduled != 2 || timer.cancelled != 0 || !result.Changed || result.Generation != 2 {
			t.Errorf("%+v, %+v", timer, result)
		}
	})
}

// TestTryFails lets each step of a trial fail after the revert is scheduled, which must
// then be cancelled, with all as it was.
func TestTryFails(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := oddHost(t, variant)
		before := state(t, host)
		for _, c := range []struct {
			name      string
			run       func(run program.Runner) program.Runner
			scheduled int
		}{
			{"the proof reads back otherwise", lieInProof, 0},
			{"IPv4 does not load", failOn(rules.IPv4), 1},
			{"IPv6 does not load", failOn(rules.IPv6), 1},
			{"IPv6 reads back otherwise", lieOnce(rules.IPv6), 1},
		} {
			t.Run(c.name, func(t *testing.T) {
				failing, timer := host, &revertTimer{}
				failing.Run = c.run(host.Run)
				_, err := failing.Try(t.Context(), request(t, hosttest.Smaller), timer.trial())
				wantUnchanged(t, host, before, err, nil)
				if timer.scheduled != c.scheduled || timer.cancelled != c.scheduled {
					t.Errorf("%+v", timer)
				}
			})
		}
		t.Run("it cannot be recorded", func(t *testing.T) { // the numbers 2 to 4 are gone
			timer := &revertTimer{}
			timer.look = func() { hosttest.Must(t, os.Mkdir(pendingFile(host), 0o700)) }
			_, err := host.Try(t.Context(), request(t, hosttest.Smaller), timer.trial())
			if err == nil || !strings.Contains(err.Error(), "cannot record that generation 5 waits to be confirmed") || timer.cancelled != 1 {
				t.Errorf("%+v, %v", timer, err)
			}
			wantState(t, host, before)
		})
		t.Run("forwarding cannot be set", func(t *testing.T) {
			hosttest.SetForwarding(t, "01")
			before, timer := state(t, host), &revertTimer{}
			readOnlySysctls(t, func() {
				_, err := host.Try(t.Context(), request(t, hosttest.Smaller), timer.trial())
				wantUnchanged(t, host, before, err, nil)
			})
			if timer.cancelled != 1 {
				t.Errorf("%+v", timer)
			}
		})
		apply(t, host, hosttest.Smaller) // and nothing stands in its way
		hosttest.WantLoaded(t, variant, hosttest.Smaller)
	})
}

// TestTryCannotRevert has a trial fail whose revert fails too: it stays recorded and
// scheduled, and what was scheduled reverts it later.
func TestTryCannotRevert(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		apply(t, host, hosttest.Article)
		before := state(t, host)
		failing, timer := host, &revertTimer{}
		var stuck atomic.Bool // tables are proven at the same time
		failing.Run = func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
			if isLoad(rules.IPv6, name, args) {
				stuck.Store(true)
			}
			if stuck.Load() && slices.Contains(args, "--noflush") {
				return nil, errSeam
			}
			return host.Run(ctx, stdin, name, args...)
		}
		_, err := failing.Try(t.Context(), request(t, hosttest.Smaller), timer.trial())
		if !errors.Is(err, errSeam) || strings.Contains(err.Error(), "nothing was changed") || timer.cancelled != 0 {
			t.Errorf("%+v, %v", timer, err)
		}
		if _, err := host.Store().Pending(); err != nil {
			t.Errorf("nothing is left to revert: %v", err)
		}
		_, err = host.Revert(t.Context())
		hosttest.Must(t, err)
		wantState(t, host, before)
	})
}

// TestRevertTrial tries a config on hosts in every state, and reverts it: all is as it was,
// forwarding and what is kept of it included.
func TestRevertTrial(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		stop := func(t *testing.T, host restore.Host) {
			_, err := host.Stop(t.Context())
			hosttest.Must(t, err)
		}
		for i, c := range []struct {
			name    string
			prepare func(t *testing.T, host restore.Host)
		}{
			{"nothing", func(*testing.T, restore.Host) {}},
			{"applied", func(t *testing.T, host restore.Host) { apply(t, host, hosttest.Article) }},
			{"applied, and stopped", func(t *testing.T, host restore.Host) { apply(t, host, hosttest.Article); stop(t, host) }},
			{"applied without IPv6", func(t *testing.T, host restore.Host) { apply(t, host, hosttest.Smaller) }},
			{"by the other variant", func(t *testing.T, host restore.Host) {
				host.Variant = variant.Other()
				apply(t, host, hosttest.Article)
			}},
		} {
			for j, forwarding := range []string{"01", "10"} {
				if !testsize.Takes(i+j, 2) {
					continue
				}
				t.Run(c.name+"/"+forwarding, func(t *testing.T) {
					hosttest.Boot(t, variant)
					hosttest.Boot(t, variant.Other())
					host := newHost(t, variant)
					c.prepare(t, host)
					hosttest.Must(t, os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte(forwarding[:1]), 0))
					hosttest.Must(t, os.WriteFile("/proc/sys/net/ipv6/conf/all/forwarding", []byte(forwarding[1:]), 0))
					other := host
					other.Variant = variant.Other()
					before, beforeOther := state(t, host), state(t, other)
					try(t, host, other4)
					hosttest.WantLoaded(t, variant, other4)
					_, err := host.Revert(t.Context())
					hosttest.Must(t, err)
					wantState(t, host, before)
					wantState(t, other, beforeOther)
					if _, err := host.Revert(t.Context()); !errors.Is(err, generation.ErrNothingPending) {
						t.Errorf("once more: %v", err)
					}
				})
			}
		}
	})
}

// other4 is a balancer that neither article nor smaller is.
const other4 = `
[[service]]
name     = "other"
listen   = "192.0.2.10:8080"
backends = ["10.0.0.7:80"]
`

// TestRevertIsRepeated lets the first attempt fail: the trial stays, for the next one.
func TestRevertIsRepeated(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		apply(t, host, hosttest.Article)
		before := state(t, host)
		try(t, host, hosttest.Smaller)
		failing := host
		failing.Run = failOn(rules.IPv4)(host.Run)
		if _, err := failing.Revert(t.Context()); !errors.Is(err, errSeam) {
			t.Errorf("%v", err)
		}
		hosttest.WantLoaded(t, variant, hosttest.Smaller)
		_, err := host.Revert(t.Context())
		hosttest.Must(t, err)
		wantState(t, host, before)
	})
}

// TestConfirm lets each step of a confirm be the last one before a kill: boot has one
// generation or the other, and what is done next ends well.
func TestConfirm(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		renamed := func(host restore.Host) error {
			return os.Rename(place(host, "generations/.unconfirmed-2"), place(host, "generations/2"))
		}
		for _, c := range []struct {
			name     string
			killed   func(host restore.Host) error
			reverted string // what a revert leads to
		}{
			{"not killed", func(restore.Host) error { return nil }, hosttest.Article},
			{"killed when it is renamed", renamed, hosttest.Article},
			{"killed when it is current", func(host restore.Host) error {
				return errors.Join(renamed(host), generation.Store{Root: host.Root}.SetCurrent(2))
			}, hosttest.Smaller},
		} {
			t.Run(c.name, func(t *testing.T) {
				for _, confirm := range []bool{true, false} {
					hosttest.Boot(t, variant)
					host := newHost(t, variant)
					apply(t, host, hosttest.Article)
					if c.reverted == hosttest.Smaller { // a revert of what is current would take all rules out
						_, err := host.Stop(t.Context())
						hosttest.Must(t, err)
					}
					try(t, host, hosttest.Smaller)
					hosttest.Must(t, c.killed(host))
					want, next := c.reverted, host.Revert
					if confirm {
						want, next = hosttest.Smaller, host.Confirm
					}
					if _, err := next(t.Context()); err != nil && !errors.Is(err, generation.ErrNothingPending) {
						t.Error(err)
					}
					hosttest.WantLoaded(t, variant, want)
					current, err := generation.Store{Root: host.Root}.Current()
					hosttest.Must(t, err)
					hosttest.WantSame(t, "what boot loads", want, string(current.Config.Main()))
					if _, err := host.Confirm(t.Context()); !errors.Is(err, generation.ErrNothingPending) {
						t.Errorf("something waits: %v", err)
					}
					wantInSync(t, host)
				}
			})
		}
	})
}

// TestBootForgetsATrial cuts the power: what waited is nothing to boot, not even when
// the current generation is damaged, and the next apply takes its files away.
func TestBootForgetsATrial(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		apply(t, host, hosttest.Article)
		apply(t, host, hosttest.Smaller)
		try(t, host, other4)
		hosttest.Must(t, os.RemoveAll(filepath.Join(host.Root, "run"))) // as memory goes
		hosttest.Boot(t, variant)
		_, err := host.Restore(t.Context())
		hosttest.Must(t, err)
		hosttest.WantLoaded(t, variant, hosttest.Smaller)
		if _, err := host.Confirm(t.Context()); !errors.Is(err, generation.ErrNothingPending) {
			t.Errorf("%v", err)
		}
		hosttest.Must(t, os.Truncate(place(host, "generations/2/rules.v4"), 0))
		hosttest.Boot(t, variant)
		if result, err := host.Restore(t.Context()); err == nil || result.Generation != 1 {
			t.Errorf("%+v, %v", result, err)
		}
		apply(t, host, other4)
		names, err := os.ReadDir(place(host, "generations"))
		hosttest.Must(t, err)
		if len(names) != 3 || names[2].Name() != "3" {
			t.Errorf("%v", names)
		}
	})
}

// TestPruneBesideATrial has the newest ten on disk, and one more that waits.
func TestPruneBesideATrial(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	host := newHost(t, rules.NFT)
	store := generation.Store{Root: host.Root}
	for range generation.Keep {
		hosttest.WriteCurrent(t, store, host.Variant, hosttest.Article)
	}
	_, err := host.Restore(t.Context())
	hosttest.Must(t, err)
	for _, c := range []struct {
		next func(context.Context) (restore.Result, error)
		want []int
	}{
		{host.Revert, []int{10, 9, 8, 7, 6, 5, 4, 3, 2, 1}},
		{host.Confirm, []int{12, 10, 9, 8, 7, 6, 5, 4, 3, 2}}, // 11 was reverted
	} {
		try(t, host, hosttest.Smaller)
		_, err := c.next(t.Context())
		hosttest.Must(t, err)
		if numbers, err := store.Numbers(); err != nil || !slices.Equal(numbers, c.want) {
			t.Errorf("%v, %v", numbers, err)
		}
	}
}

// TestRevertOverdue has it wait: for the time to be over, for a confirm, and for a lock
// that somebody holds longer than others wait for it.
func TestRevertOverdue(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	host := newHost(t, rules.NFT)
	apply(t, host, hosttest.Article)
	if _, err := host.RevertOverdue(t.Context()); !errors.Is(err, generation.ErrNothingPending) {
		t.Errorf("nothing waits: %v", err)
	}
	for _, c := range []struct {
		name      string
		limit     time.Duration
		meanwhile func()
		want      string
		err       error
	}{
		{"nobody confirms", time.Second, func() {}, hosttest.Article, nil},
		{"the lock is held", time.Second, func() { holdLock(t, host) }, hosttest.Article, nil},
		{"it is confirmed", time.Hour, func() { _, err := host.Confirm(t.Context()); hosttest.Must(t, err) }, hosttest.Smaller, generation.ErrNothingPending},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := state(t, host)
			trial, began := (&revertTimer{}).trial(), time.Now()
			trial.For = c.limit
			_, err := host.Try(t.Context(), request(t, hosttest.Smaller), trial)
			hosttest.Must(t, err)
			var reverted sync.WaitGroup
			reverted.Go(func() { _, err = host.RevertOverdue(t.Context()) })
			c.meanwhile()
			reverted.Wait()
			if took := time.Since(began); err == nil && took < trial.For {
				t.Errorf("it is reverted after %v", took)
			}
			if !errors.Is(err, c.err) {
				t.Errorf("%v, not %v", err, c.err)
			}
			hosttest.WantLoaded(t, rules.NFT, c.want)
			if c.want == hosttest.Article {
				wantState(t, host, before)
			}
		})
	}
}

// TestNothingWaitsWithoutARoot ends trials whose root was removed, or whose /run a reboot emptied:
// nothing waits any more, and nothing is made anew.
func TestNothingWaitsWithoutARoot(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	for name, end := range map[string]func(restore.Host) (restore.Result, error){
		"overdue": func(h restore.Host) (restore.Result, error) { return h.RevertOverdue(t.Context()) },
		"revert":  func(h restore.Host) (restore.Result, error) { return h.Revert(t.Context()) },
		"confirm": func(h restore.Host) (restore.Result, error) { return h.Confirm(t.Context()) },
	} {
		for _, gone := range []string{"", "run"} {
			host := newHost(t, rules.NFT)
			apply(t, host, hosttest.Article)
			try(t, host, hosttest.Smaller)
			hosttest.Must(t, os.RemoveAll(filepath.Join(host.Root, gone)))
			if _, err := end(host); !errors.Is(err, generation.ErrNothingPending) {
				t.Errorf("%s: %v", name, err)
			}
			if _, err := os.Lstat(filepath.Join(host.Root, gone)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: /%s was made anew: %v", name, gone, err)
			}
		}
	}
	host := newHost(t, rules.NFT)
	hosttest.Must(t, os.RemoveAll(host.Root))
	if _, err := host.Apply(t.Context(), request(t, hosttest.Article)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("apply: %v", err)
	}
	if _, err := os.Lstat(host.Root); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("apply makes the root: %v", err)
	}
}

// holdLock holds a host's lock until somebody has waited for it and given up.
func holdLock(t *testing.T, host restore.Host) {
	t.Helper()
	path := filepath.Join(host.Root, paths.Run, "lock")
	file, err := os.Open(path)
	hosttest.Must(t, err)
	defer file.Close()
	hosttest.Must(t, unix.Flock(int(file.Fd()), unix.LOCK_EX))
	for _, open := range []int{2, 1} {
		if !await.Within(busy, func() bool { return openFiles(path) == open }) {
			t.Errorf("the lock is open %d times, want %d", openFiles(path), open)
		}
	}
}

// TestPendingIsTrusted changes the record of a trial: what cannot be read is nothing
// to act upon, and restore makes an end of it.
func TestPendingIsTrusted(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	host := newHost(t, rules.NFT)
	apply(t, host, hosttest.Article)
	for name, spoil := range map[string]func(path string) error{
		"cut":        func(path string) error { return os.Truncate(path, 10) },
		"everyone's": func(path string) error { return os.Chmod(path, 0o666) },
		"somebody's": func(path string) error { return os.Chmod(filepath.Dir(path), 0o777) },
		"a link":     func(path string) error { return errors.Join(os.Rename(path, path+"2"), os.Symlink("pending2", path)) },
		"another number": func(path string) error {
			return os.WriteFile(path, []byte(`{"generation": 7, "variant": "nft"}`), 0o600)
		},
	} {
		try(t, host, hosttest.Smaller)
		hosttest.Must(t, spoil(pendingFile(host)))
		if _, err := host.Confirm(t.Context()); err == nil {
			t.Errorf("%s: it is confirmed", name)
		}
		if _, err := host.Apply(t.Context(), request(t, other4)); err == nil {
			t.Errorf("%s: another one is applied", name)
		}
		s := status(t, host)
		if named := name == "another number"; (s.Wanted.Unknown == nil) != named || named && s.Wanted.Pending.Number != 7 || !s.Loaded || len(s.Rules) == 0 {
			t.Errorf("%s: pending %v, unknown %v, loaded %v, and these differ: %q", name, s.Wanted.Pending, s.Wanted.Unknown, s.Loaded, lines(s))
		}
		hosttest.Must(t, os.Chmod(filepath.Join(host.Root, "run/natspread"), 0o700))
		_, err := host.Restore(t.Context())
		hosttest.Must(t, err)
		hosttest.WantLoaded(t, rules.NFT, hosttest.Article)
		if _, err := host.Confirm(t.Context()); !errors.Is(err, generation.ErrNothingPending) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRevertedNumberIsGone ends trials in each way: no number that was printed is
// given again, until the next boot.
func TestRevertedNumberIsGone(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	host := newHost(t, rules.NFT)
	for i, trial := range []struct {
		toml string
		end  func(context.Context) (restore.Result, error)
	}{
		{hosttest.Article, host.Revert}, {hosttest.Article, host.Stop}, {hosttest.Article, host.Confirm}, {hosttest.Smaller, host.Restore}, {hosttest.Smaller, host.Revert},
	} {
		if result := try(t, host, trial.toml); result.Generation != i+1 {
			t.Errorf("trial %d has number %d", i+1, result.Generation)
		}
		_, err := trial.end(t.Context())
		hosttest.Must(t, err)
	}
	if result := apply(t, host, hosttest.Alone); result.Generation != 6 {
		t.Errorf("%+v", result)
	}
}
