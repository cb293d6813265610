package restore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"natspread/internal/paths"
	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/restore"
)

// without returns a config in which a backend gets no connections: what it asks for is what an
// overlay with that backend out asks for.
func without(toml string, backends ...string) string {
	for _, backend := range backends {
		drained := fmt.Sprintf("{ address = %q, drain = true }", backend)
		long := fmt.Sprintf("{ address = %q }", backend)
		if !strings.Contains(toml, long) {
			long = fmt.Sprintf("%q", backend)
		}
		toml = strings.Replace(toml, long, drained, 1)
	}
	return toml
}

// The backends that go down in these tests.
const (
	second  = "10.0.0.2:80"
	second6 = "[fd00::2]:80"
)

// down is Article with one backend of each family out.
var down = without(hosttest.Article, second, second6)

// note is what an overlay of a config says of itself in these tests.
func note(toml string) []byte { return fmt.Appendf(nil, "{\"services\": %q}\n", toml) }

// overlay returns the overlay of what is loaded that holds what a config asks for.
func overlay(t testing.TB, host restore.Host, toml string) restore.Overlay {
	t.Helper()
	wanted := host.Store().Wanted()
	made := restore.Overlay{Base: wanted.Generation.Number, Tables: hosttest.Tables(t, toml), Note: note(toml)}
	if wanted.Overlay != nil {
		made.Before = wanted.Overlay.Sum
	}
	return made
}

// up returns the overlay of nobody being out any more.
func up(t testing.TB, host restore.Host) restore.Overlay {
	t.Helper()
	made := overlay(t, host, hosttest.Article)
	return restore.Overlay{Base: made.Base, Before: made.Before, None: true}
}

// load loads an overlay, and fails the test when that does.
func load(t testing.TB, host restore.Host, o restore.Overlay) restore.Result {
	t.Helper()
	result, err := host.LoadOverlay(t.Context(), o, restore.Freed{})
	hosttest.Must(t, err)
	return result
}

// overlayHost returns a host with Article loaded, and one backend of each family out.
func overlayHost(t *testing.T, variant rules.Variant) restore.Host {
	t.Helper()
	host := newHost(t, variant)
	apply(t, host, hosttest.Article)
	load(t, host, overlay(t, host, down))
	wantOverlay(t, host, down)
	return host
}

// wantOverlay asks that the kernel holds an overlay of what a config asks for, that the record
// says so, and that status finds nothing wrong with it.
func wantOverlay(t testing.TB, host restore.Host, toml string) {
	t.Helper()
	hosttest.WantLoaded(t, host.Variant, toml)
	wanted := host.Store().Wanted()
	if wanted.Overlay == nil || wanted.Overlay.Loading || !wanted.Tables().Equal(hosttest.Tables(t, toml)) || !bytes.Equal(wanted.Note(), note(toml)) {
		t.Errorf("the record is %+v, %s", wanted.Overlay, wanted.Note())
	}
	wantInSync(t, host)
}

// wantNoOverlay asks that the kernel holds what a config asks for, and that there is no record.
func wantNoOverlay(t testing.TB, host restore.Host, toml string) {
	t.Helper()
	hosttest.WantLoaded(t, host.Variant, toml)
	wantInSync(t, host)
	wantNoRecord(t, host)
}

// wantNoRecord asks that no overlay is recorded, and none is left beside.
func wantNoRecord(t testing.TB, host restore.Host) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(host.Root, paths.Run, "*overlay*"))
	more, _ := filepath.Glob(filepath.Join(host.Root, paths.Run, ".overlay*"))
	if err != nil || len(left)+len(more) > 0 || host.Store().Wanted().Overlay != nil {
		t.Errorf("left %q %q, %v", left, more, err)
	}
}

// TestOverlay takes a backend of each family out and lets it in again. No generation is made,
// what is loaded is in sync all the time, and an apply of the same config changes nothing.
func TestOverlay(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		apply(t, host, hosttest.Article)
		before := state(t, host)
		result := load(t, host, overlay(t, host, down))
		if result.Generation != 1 || !result.Changed || !result.Loaded || len(result.Notes) > 0 {
			t.Errorf("%+v", result)
		}
		wantOverlay(t, host, down)
		if result := load(t, host, overlay(t, host, down)); result.Changed || result.Loaded {
			t.Errorf("again: %+v", result)
		}
		if result := apply(t, host, hosttest.Article); result.Changed || result.Generation != 1 {
			t.Errorf("the apply: %+v", result)
		}
		wantOverlay(t, host, down)

		other := overlay(t, host, down)
		other.Note = []byte("{}")
		if result := load(t, host, other); !result.Changed || result.Loaded {
			t.Errorf("another note: %+v", result)
		}
		load(t, host, overlay(t, host, down))
		further := without(down, "10.0.0.3:80")
		load(t, host, overlay(t, host, further))
		wantOverlay(t, host, further)
		load(t, host, up(t, host))
		wantNoOverlay(t, host, hosttest.Article)
		wantState(t, host, before)
		if result := load(t, host, up(t, host)); result.Changed {
			t.Errorf("up again: %+v", result)
		}
	})
}

// TestOverlayMemory does the same in a process that stays, for which other processes change
// what is loaded, too.
func TestOverlayMemory(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		other := newHost(t, variant)
		host := other
		host.Memory = &restore.Memory{}
		apply(t, other, hosttest.Article)
		for range 2 {
			load(t, host, overlay(t, host, down))
			wantOverlay(t, other, down)
			load(t, other, overlay(t, other, without(hosttest.Article, second)))
			load(t, host, overlay(t, host, down))
			wantOverlay(t, other, down)
			stale := overlay(t, host, down)
			apply(t, other, hosttest.Accepted(hosttest.Smaller))
			if _, err := host.LoadOverlay(t.Context(), stale, restore.Freed{}); !errors.Is(err, restore.ErrStale) {
				t.Errorf("%v", err)
			}
			load(t, host, overlay(t, host, hosttest.Accepted(without(hosttest.Smaller, second))))
			wantOverlay(t, other, hosttest.Accepted(without(hosttest.Smaller, second)))
			apply(t, other, hosttest.Article)
		}
		wantNoOverlay(t, other, hosttest.Article)
	})
}

// TestOverlayManyBackends has a service whose tree of chains changes with its backends: some
// chains are there with a backend out only, and some without.
func TestOverlayManyBackends(t *testing.T) {
	for _, algorithm := range []string{"random", "source", "round-robin"} {
		t.Run(algorithm, func(t *testing.T) {
			hosttest.EachVariantAsRoot(t, func(t *testing.T, variant rules.Variant) {
				toml := hosttest.ManyBackends(9, algorithm)
				less := without(toml, "10.0.1.2:80", "[fd00::1:2]:80")
				host := newHost(t, variant)
				apply(t, host, toml)
				for range 2 {
					load(t, host, overlay(t, host, less))
					wantOverlay(t, host, less)
					load(t, host, up(t, host))
					wantNoOverlay(t, host, toml)
				}
			})
		})
	}
}

// TestOverlayStale refuses an overlay of another generation, or one that was made before
// somebody else loaded another one, and changes nothing.
func TestOverlayStale(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		_, err := host.LoadOverlay(t.Context(), restore.Overlay{Tables: hosttest.Tables(t, down)}, restore.Freed{})
		if !errors.Is(err, restore.ErrStale) {
			t.Errorf("nothing applied: %v", err)
		}
		apply(t, host, hosttest.Article)
		first := overlay(t, host, down)
		load(t, host, first)
		before := state(t, host)
		for name, stale := range map[string]restore.Overlay{
			"made before another one": first,
			"of no generation":        {Before: overlay(t, host, down).Before, Tables: first.Tables},
			"of the next generation":  {Base: 2, Before: overlay(t, host, down).Before, Tables: first.Tables},
			"none, before one":        {Base: 1, None: true},
		} {
			_, err := host.LoadOverlay(t.Context(), stale, restore.Freed{})
			if !errors.Is(err, restore.ErrStale) {
				t.Errorf("%s: %v", name, err)
			}
			wantUnchanged(t, host, before, err, nil)
		}
	})
}

// TestOverlayFlushed puts nothing back that others flushed, through a down and an up.
func TestOverlayFlushed(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		apply(t, host, hosttest.Article)
		for _, f := range rules.Families() {
			hosttest.IPTables(t, variant, f, "-F")
			hosttest.IPTables(t, variant, f, "-X")
		}
		before := state(t, host)
		_, err := host.LoadOverlay(t.Context(), overlay(t, host, down), restore.Freed{})
		if !errors.Is(err, restore.ErrNotLoaded) {
			t.Errorf("%v", err)
		}
		wantUnchanged(t, host, before, err, nil)
		wantNoRecord(t, host)

		apply(t, host, hosttest.Article)
		load(t, host, overlay(t, host, down))
		hosttest.IPTables(t, variant, rules.IPv6, "-F")
		load(t, host, up(t, host)) // IPv4 is not flushed
		wantNoRecord(t, host)
		if got := hosttest.SaveNAT(t, variant, rules.IPv6); strings.Contains(got, "-A ") {
			t.Errorf("put back:\n%s", got)
		}
		hosttest.WantSame(t, "IPv4", string(hosttest.Tables(t, hosttest.Article).IPv4.Text()), hosttest.SaveNAT(t, variant, rules.IPv4))
	})
}

// TestOverlayBesideHandEdits leaves alone what somebody changed elsewhere: another chain of
// natspread's, a rule of his own before the jump, and the place of the jump.
func TestOverlayBesideHandEdits(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		toml := hosttest.Article + service("other", 4, 81, 2)
		apply(t, host, toml)
		hosttest.IPTables(t, variant, rules.IPv4, "-A NATSPREAD-other -p tcp -j RETURN")
		hosttest.IPTables(t, variant, rules.IPv4, "-I PREROUTING 1 -p tcp --dport 80 -j ACCEPT")
		hosttest.IPTables(t, variant, rules.IPv6, "-F NATSPREAD-POST")
		before := hosttest.Everything(t, variant)
		drift := lines(status(t, host))
		load(t, host, overlay(t, host, without(toml, second, second6)))
		if now := lines(status(t, host)); !slices.Equal(now, drift) {
			t.Errorf("the drift was %q, and is %q", drift, now)
		}
		load(t, host, up(t, host))
		hosttest.WantSame(t, "the kernel", before, hosttest.Everything(t, variant))
	})
}

// TestOverlaySendsItsChains sends and reads only the chains of the service whose backend is
// out, also where somebody else changed the ruleset since. By nft no table is read at all.
func TestOverlaySendsItsChains(t *testing.T) {
	hosttest.EachVariantAsRoot(t, func(t *testing.T, variant rules.Variant) {
		var b strings.Builder
		for i := range 60 {
			b.WriteString(service(fmt.Sprint("s", i), 4, 8000+i, 3))
		}
		toml := b.String()
		less := strings.Replace(toml, `"10.0.0.1:8030", "10.0.0.2:8030"`, `{ address = "10.0.0.1:8030", drain = true }, "10.0.0.2:8030"`, 1)
		host := newHost(t, variant)
		apply(t, host, toml)
		for _, before := range []string{"", "-A OUTPUT -j RETURN"} {
			if before != "" {
				hosttest.IPTables(t, variant, rules.IPv4, before)
			}
			for _, o := range []func() restore.Overlay{
				func() restore.Overlay { return overlay(t, host, less) },
				func() restore.Overlay { return up(t, host) },
			} {
				made, recorded := o(), host
				recorded.Run = func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
					if strings.HasSuffix(name, "-save") || bytes.Contains(stdin, []byte("NATSPREAD-s31")) || bytes.Contains(stdin, []byte("NATSPREAD-PRE")) {
						t.Errorf("%s %q of:\n%s", name, args, stdin)
					}
					return host.Run(ctx, stdin, name, args...)
				}
				load(t, recorded, made)
			}
		}
		hosttest.IPTables(t, variant, rules.IPv4, "-D OUTPUT -j RETURN")
		wantNoOverlay(t, host, toml)
	})
}

// lieInList returns a seam in which the first list of chains after a family's transaction
// gives a rule less than there is.
func lieInList(f rules.Family) func(program.Runner) program.Runner {
	return func(run program.Runner) program.Runner {
		loaded, done := false, false
		return func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
			out, err := run(ctx, stdin, name, args...)
			lists := slices.Contains(args, "-n") && !slices.Contains(args, "--noflush") && isFamily(f, name)
			switch {
			case isLoad(f, name, args):
				loaded = !done
			case loaded && lists && err == nil:
				loaded, done = false, true
				return withoutServiceRule(out), nil
			}
			return out, err
		}
	}
}

// TestOverlayFails lets each step fail: the record and the rules are what they were.
func TestOverlayFails(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		fresh := newHost(t, variant)
		apply(t, fresh, hosttest.Article)
		fails := func(t *testing.T, host restore.Host, o restore.Overlay) {
			t.Helper()
			before := state(t, host)
			for name, run := range map[string]func(program.Runner) program.Runner{
				"IPv4 does not load":               failOn(rules.IPv4),
				"IPv6 does not load":               failOn(rules.IPv6),
				"IPv6 is killed":                   killedAfter(rules.IPv6),
				"IPv4 reads back otherwise":        lieInList(rules.IPv4),
				"IPv6 reads back otherwise":        lieInList(rules.IPv6),
				"a program that cannot be started": missing,
			} {
				t.Run(name, func(t *testing.T) {
					failing := host
					failing.Run = run(host.Run)
					_, err := failing.LoadOverlay(t.Context(), o, restore.Freed{})
					if name == "a program that cannot be started" {
						wantUnchanged(t, host, before, err, program.ErrMissing)
						return
					}
					wantUnchanged(t, host, before, err, nil)
				})
			}
		}
		fails(t, fresh, overlay(t, fresh, down))
		wantNoRecord(t, fresh)
		load(t, fresh, overlay(t, fresh, down))
		fails(t, fresh, overlay(t, fresh, without(down, "10.0.0.3:80", "[fd00::3]:80")))
		fails(t, fresh, up(t, fresh))
		wantOverlay(t, fresh, down)
	})
}

// chainStays returns a seam in which the first transaction that deletes chains of a family
// empties them only.
func chainStays(f rules.Family) func(program.Runner) program.Runner {
	return func(run program.Runner) program.Runner {
		done := false
		return func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
			if isLoad(f, name, args) && !done && bytes.Contains(stdin, []byte("\n-X ")) {
				done = true
				stdin = regexp.MustCompile(`(?m)^-X .*\n`).ReplaceAll(stdin, nil)
			}
			return run(ctx, stdin, name, args...)
		}
	}
}

// TestOverlayChainStays fails where the kernel still has a chain that was to go.
func TestOverlayChainStays(t *testing.T) {
	hosttest.EachVariantAsRoot(t, func(t *testing.T, variant rules.Variant) {
		toml := hosttest.ManyBackends(9, "source")
		host := newHost(t, variant)
		apply(t, host, toml)
		less := overlay(t, host, without(toml, "10.0.1.2:80", "[fd00::1:2]:80"))
		before := state(t, host)
		for _, f := range rules.Families() {
			failing := host
			failing.Run = chainStays(f)(host.Run)
			_, err := failing.LoadOverlay(t.Context(), less, restore.Freed{})
			wantUnchanged(t, host, before, err, nil)
		}
		wantNoRecord(t, host)
	})
}

// missing is a seam without programs.
func missing(program.Runner) program.Runner {
	return func(context.Context, []byte, string, ...string) ([]byte, error) { return nil, program.ErrMissing }
}

// killedAfter returns a seam in which a family's transaction does its work, and what reads it
// back fails once, as everything does in a process that is about to end.
func killedAfter(f rules.Family) func(program.Runner) program.Runner {
	return func(run program.Runner) program.Runner {
		left := 2 // the list, and the whole table where that fails
		loaded := false
		return func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
			if loaded && left > 0 && isFamily(f, name) {
				left--
				return nil, errSeam
			}
			loaded = loaded || isLoad(f, name, args)
			return run(ctx, stdin, name, args...)
		}
	}
}

// TestOverlayBusy is program.ErrBusy while somebody else holds the lock, and changes nothing.
func TestOverlayBusy(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := overlayHost(t, variant)
		before := state(t, host)
		lockFile(t, filepath.Join(host.Root, paths.Run, "lock"))
		_, err := host.LoadOverlay(t.Context(), up(t, host), restore.Freed{})
		wantUnchanged(t, host, before, err, program.ErrBusy)
	})
}

// TestOverlayWaits tells how long it waited for the lock: whoever rests after a load is not to count that.
func TestOverlayWaits(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := overlayHost(t, variant)
		held := lockFile(t, filepath.Join(host.Root, paths.Run, "lock"))
		time.AfterFunc(2*time.Second, func() { held.Close() })
		began := time.Now()
		waits, err := host.LoadOverlay(t.Context(), up(t, host), restore.Freed{})
		took := time.Since(began)
		hosttest.Must(t, err)
		goesOn := load(t, host, overlay(t, host, down))
		if waits.Waited < 100*time.Millisecond || waits.Waited > took || goesOn.Waited > took/2 {
			t.Errorf("it waited for %v of %v, and then for %v", waits.Waited, took, goesOn.Waited)
		}
	})
}

// TestOverlayKilled is killed between the record and the load, and half way through it. What
// stands then is called drift, and the next overlay, or none, brings all in sync.
func TestOverlayKilled(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		for name, moment := range map[string]func(string, []string) bool{"before": beforeLoad, "half way": halfLoaded} {
			for next, toml := range map[string]string{"the same": down, "another": without(hosttest.Article, "10.0.0.3:80"), "none": ""} {
				t.Run(name+", then "+next, func(t *testing.T) {
					host := newHost(t, variant)
					apply(t, host, hosttest.Article)
					killLoad(t, host, overlay(t, host, down), moment)
					wanted := host.Store().Wanted()
					if wanted.Overlay == nil || !wanted.Overlay.Loading || !status(t, host).Differs() {
						t.Errorf("%+v", wanted.Overlay)
					}
					if toml == "" {
						load(t, host, up(t, host))
						wantNoOverlay(t, host, hosttest.Article)
						return
					}
					load(t, host, overlay(t, host, toml))
					wantOverlay(t, host, toml)
				})
			}
			t.Run(name+", back to none", func(t *testing.T) {
				host := overlayHost(t, variant)
				killLoad(t, host, up(t, host), moment)
				load(t, host, up(t, host))
				wantNoOverlay(t, host, hosttest.Article)
			})
			t.Run(name+", by a restore", func(t *testing.T) {
				host := overlayHost(t, variant)
				killed(t, host, moment, func(host restore.Host) { _, _ = host.Restore(context.Background()) })
				load(t, host, overlay(t, host, down))
				wantOverlay(t, host, down)
			})
		}
	})
}

// killLoad loads an overlay that gets no further than a moment.
func killLoad(t *testing.T, host restore.Host, o restore.Overlay, moment func(string, []string) bool) {
	t.Helper()
	killed(t, host, moment, func(host restore.Host) { _, _ = host.LoadOverlay(context.Background(), o, restore.Freed{}) })
}

// wantDisowned asks that a record counts for nothing: the kernel is compared with the
// generation, and the next overlay brings all in sync.
func wantDisowned(t *testing.T, host restore.Host) {
	t.Helper()
	if wanted := host.Store().Wanted(); wanted.Overlay != nil {
		t.Errorf("it counts: %+v", wanted.Overlay)
	}
	if !status(t, host).Differs() {
		t.Error("status finds no drift")
	}
	toml := without(hosttest.Article, "10.0.0.3:80")
	load(t, host, overlay(t, host, toml))
	wantOverlay(t, host, toml)
}

// TestOverlayForged disowns a record that is not whole, not root's alone, of another boot, of
// another network namespace or of another generation's files.
func TestOverlayForged(t *testing.T) {
	in := func(name string, forge func(path string) error) func(dir string) error {
		return func(dir string) error { return forge(filepath.Join(dir, name)) }
	}
	forgeries := map[string]func(dir string) error{
		"a rule more":              in("rules.v4", replaced("COMMIT", "-A NATSPREAD-web -p tcp -j DNAT --to-destination 203.0.113.1:80\nCOMMIT")),
		"another backend, sealed":  in("rules.v4", resealed),
		"another note":             in("note", replaced("services", "service")),
		"another user's file":      in("rules.v6", func(path string) error { return os.Chown(path, 1234, 0) }),
		"another user's directory": in("", func(path string) error { return os.Chown(path, 1234, 0) }),
		"everyone's":               in("manifest", func(path string) error { return os.Chmod(path, 0o602) }),
		"a file that is gone":      in("rules.v6", os.Remove),
		"an empty manifest":        in("manifest", func(path string) error { return os.Truncate(path, 0) }),
		"a link":                   in("", func(path string) error { return errors.Join(os.Rename(path, path+"2"), os.Symlink("overlay2", path)) }),
		"another boot":             in("manifest", replaced(`"namespace":"`, `"namespace":"x`)),
		"another namespace":        in("manifest", replaced(`","base":`, `1","base":`)),
		"another generation":       in("manifest", replaced(`"generation":1`, `"generation":2`)),
		"other files of the base":  in("manifest", replaced(`"config/natspread.toml":"`, `"config/natspread.toml":"0`)),
	}
	hosttest.EachVariantAsRoot(t, func(t *testing.T, variant rules.Variant) {
		for name, forge := range forgeries {
			t.Run(name, func(t *testing.T) {
				host := overlayHost(t, variant)
				hosttest.Must(t, forge(filepath.Join(host.Root, paths.Overlay)))
				wantDisowned(t, host)
			})
		}
	})
}

// replaced replaces a text, which must be there, in a file.
func replaced(text, by string) func(path string) error {
	return func(path string) error {
		content, err := os.ReadFile(path)
		if err == nil && !bytes.Contains(content, []byte(text)) {
			err = fmt.Errorf("%s has no %q", path, text)
		}
		if err != nil {
			return err
		}
		return os.WriteFile(path, bytes.Replace(content, []byte(text), []byte(by), 1), 0o600)
	}
}

// resealed changes a backend in a file of rules, and its seal with it.
func resealed(path string) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	table, err := rules.DecodeFile(rules.IPv4, rules.NAT, content)
	if err != nil {
		return err
	}
	for _, chain := range table.Chains {
		chain.Rules[0].Target.Port = 81
	}
	return os.WriteFile(path, rules.EncodeFile(table), 0o600)
}

// TestOverlayVanished makes a record again that somebody removed.
func TestOverlayVanished(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := overlayHost(t, variant)
		hosttest.Must(t, os.RemoveAll(filepath.Join(host.Root, paths.Overlay)))
		if !status(t, host).Differs() {
			t.Error("status finds no drift")
		}
		load(t, host, overlay(t, host, down))
		wantOverlay(t, host, down)
	})
}

// TestOverlayFullDisk has no room for the record: nothing is loaded, and a backend that is out
// can still be let in.
func TestOverlayFullDisk(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		run := filepath.Join(host.Root, paths.Run)
		hosttest.Must(t, errors.Join(os.MkdirAll(filepath.Dir(run), 0o755), os.Mkdir(run, 0o700)))
		hosttest.Must(t, unix.Mount("tmpfs", run, "tmpfs", 0, "size=64k,mode=0700"))
		t.Cleanup(func() { hosttest.Must(t, unix.Unmount(run, unix.MNT_DETACH)) })
		apply(t, host, hosttest.Article)
		load(t, host, overlay(t, host, down))
		wantOverlay(t, host, down)

		fill := func(name string) string { // with a name that state leaves out
			path := filepath.Join(run, "replaced."+name)
			_ = os.WriteFile(path, make([]byte, 64<<10), 0o600) // as much as there is room for
			return path
		}
		fill("first")
		before := state(t, host)
		_, err := host.LoadOverlay(t.Context(), overlay(t, host, without(down, "10.0.0.3:80")), restore.Freed{})
		if !errors.Is(err, unix.ENOSPC) {
			t.Errorf("%v", err)
		}
		wantUnchanged(t, host, before, err, nil)
		load(t, host, up(t, host))
		wantNoOverlay(t, host, hosttest.Article)
		more := fill("second")
		before = state(t, host)
		_, err = host.LoadOverlay(t.Context(), overlay(t, host, down), restore.Freed{})
		wantUnchanged(t, host, before, err, nil)
		hosttest.Must(t, os.Remove(more))
		load(t, host, overlay(t, host, down))
		wantOverlay(t, host, down)
	})
}
