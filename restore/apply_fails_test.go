package restore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"natspread/internal/paths"
	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/restore"
)

// errSeam is what a Runner of these tests fails with.
var errSeam = errors.New("seam")

// isLoad tells whether a call is that of a transaction for a family, and isSave
// whether it reads a family's table.
func isLoad(f rules.Family, name string, args []string) bool {
	return slices.Contains(args, "--noflush") && isFamily(f, name)
}

func isSave(f rules.Family, name string) bool {
	return strings.HasSuffix(name, "-save") && isFamily(f, name)
}

// isFamily tells a family's programs by their names.
func isFamily(f rules.Family, name string) bool {
	return strings.HasPrefix(filepath.Base(name), "ip6") == (f == rules.IPv6)
}

// TestSomebodyElseChangesTheTable has a jump doubled, and one of the two taken out
// between the reading and the transaction that takes out both.
func TestSomebodyElseChangesTheTable(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		const double = "PREROUTING -j NATSPREAD-PRE"
		for _, c := range []struct {
			name  string
			times int // how often somebody interferes
			loads int // of IPv4
			fails bool
		}{
			{"never", 0, 1, false},
			{"once", 1, 2, false},
			{"twice", 2, 3, false},
			{"for ever", 1000, 3, true},
		} {
			t.Run(c.name, func(t *testing.T) {
				host := newHost(t, variant)
				putForeign(t, variant)
				apply(t, host, hosttest.Article)
				hosttest.IPTables(t, variant, rules.IPv4, "-A "+double)
				before := others(t, variant)
				run, loads, doubled := host.Run, 0, true
				host.Run = func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
					if isLoad(rules.IPv4, name, args) {
						if loads++; loads <= c.times {
							line := map[bool]string{true: "-D ", false: "-A "}[doubled] + double
							hosttest.IPTables(t, variant, rules.IPv4, line)
							doubled = !doubled
						}
						if loads <= c.times && doubled { // one jump more than was read is no failure by itself
							return nil, errSeam
						}
					}
					return run(ctx, stdin, name, args...)
				}
				_, err := host.Apply(t.Context(), request(t, hosttest.Smaller))
				if (err != nil) != c.fails || loads != c.loads && !c.fails {
					t.Errorf("%d loads, want %d; error %v", loads, c.loads, err)
				}
				if !c.fails {
					hosttest.WantLoaded(t, variant, hosttest.Smaller)
				}
				if variant == rules.NFT { // in legacy iptables itself resets the policies' counters
					hosttest.WantSame(t, "foreign rules", before, others(t, variant))
				}
			})
		}
	})
}

// TestApplyReverts lets a step of an apply fail, and asks that all is as it was: what
// stood in the kernel, however odd, forwarding, what is current, and the files.
func TestApplyReverts(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := oddHost(t, variant)
		before := state(t, host)
		for _, c := range []struct {
			name string
			run  func(run program.Runner) program.Runner
		}{
			{"IPv4 does not load", failOn(rules.IPv4)},
			{"IPv6 does not load", failOn(rules.IPv6)},
			{"IPv4 reads back otherwise", lieOnce(rules.IPv4)},
			{"IPv6 reads back otherwise", lieOnce(rules.IPv6)},
			{"IPv4 cannot be read back", failReadBack(rules.IPv4)},
			{"IPv6 cannot be read back", failReadBack(rules.IPv6)},
			{"IPv4 loads and fails, IPv6 does not load", func(run program.Runner) program.Runner {
				return failOn(rules.IPv6)(loadThenFail(rules.IPv4)(run))
			}},
			{"the proof reads back otherwise", lieInProof},
		} {
			t.Run(c.name, func(t *testing.T) {
				failing := host
				failing.Run = c.run(host.Run)
				_, err := failing.Apply(t.Context(), request(t, hosttest.Smaller))
				wantUnchanged(t, host, before, err, nil)
				if strings.Contains(c.name, "load") != errors.Is(err, errSeam) && !strings.Contains(c.name, "read") {
					t.Errorf("the cause is lost: %v", err)
				}
			})
		}
		apply(t, host, hosttest.Smaller) // and nothing stands in its way
		hosttest.WantLoaded(t, variant, hosttest.Smaller)
	})
}

// TestFirstProofFails leaves not even a directory of a first generation that is not proven.
func TestFirstProofFails(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		host.Run = lieInProof(host.Run)
		_, applied := host.Apply(t.Context(), request(t, hosttest.Article))
		_, tried := host.Try(t.Context(), request(t, hosttest.Article), (&revertTimer{}).trial())
		if applied == nil || tried == nil {
			t.Errorf("apply: %v, a trial: %v", applied, tried)
		}
		if _, err := os.Lstat(filepath.Join(host.Root, paths.State)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is there: %v", paths.State, err)
		}
	})
}

// TestUnreadOnce asks for what is loaded and current already, and the kernel cannot be read once: whether
// anything would change is not known, so nothing does.
func TestUnreadOnce(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		apply(t, host, hosttest.Article)
		putForeign(t, variant) // so that the record of what was read last no longer holds
		before := state(t, host)
		for name, change := range map[string]func(failing restore.Host) error{
			"apply": func(failing restore.Host) error {
				_, err := failing.Apply(t.Context(), request(t, hosttest.Article))
				return err
			},
			"a trial": func(failing restore.Host) error {
				_, err := failing.Try(t.Context(), request(t, hosttest.Article), (&revertTimer{}).trial())
				return err
			},
		} {
			failing, failed := host, atomic.Bool{}
			failing.Run = func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
				if isSave(rules.IPv4, name) && !failed.Swap(true) {
					return nil, errSeam
				}
				return host.Run(ctx, stdin, name, args...)
			}
			err := change(failing)
			wantUnchanged(t, host, before, err, nil)
			if !errors.Is(err, errSeam) {
				t.Errorf("%s: the cause is lost: %v", name, err)
			}
		}
	})
}

// TestRevertIsJudgedByTheKernel has the program that reverts fail in two ways: one
// that did its work all the same, and one that claims to have done it.
func TestRevertIsJudgedByTheKernel(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := oddHost(t, variant)
		before := state(t, host)
		seam := func(revert func(run func() error) error) program.Runner {
			run, loads := lieOnce(rules.IPv4)(host.Run), 0
			return func(ctx context.Context, stdin []byte, name string, args ...string) (out []byte, err error) {
				if isLoad(rules.IPv4, name, args) {
					if loads++; loads == 2 {
						return nil, revert(func() error { _, err := run(ctx, stdin, name, args...); return err })
					}
				}
				return run(ctx, stdin, name, args...)
			}
		}
		failing := host
		failing.Run = seam(func(run func() error) error { return errors.Join(run(), errSeam) })
		_, err := failing.Apply(t.Context(), request(t, hosttest.Smaller))
		wantUnchanged(t, host, before, err, nil)

		failing.Run = seam(func(func() error) error { return nil })
		_, err = failing.Apply(t.Context(), request(t, hosttest.Smaller))
		if err == nil || strings.Contains(err.Error(), "nothing was changed") || !strings.Contains(err.Error(), "the ipv4 rules could not be reverted") {
			t.Errorf("rules are left, and the error is: %v", err)
		}
	})
}

// TestLoadedByAProgramThatFailed is no reason to fail when the table turns out to
// be as wanted.
func TestLoadedByAProgramThatFailed(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := oddHost(t, variant)
		host.Run = loadThenFail(rules.IPv6)(host.Run)
		if result := apply(t, host, hosttest.Smaller); !result.Loaded {
			t.Errorf("%+v", result)
		}
		hosttest.WantLoaded(t, variant, hosttest.Smaller)
	})
}

// oddHost returns a host on which the article's balancer is loaded, and then
// somebody was at it: an apply has to revert to that, not to what natspread loads.
func oddHost(t *testing.T, variant rules.Variant) restore.Host {
	t.Helper()
	hosttest.Boot(t, variant)
	host := newHost(t, variant)
	apply(t, host, hosttest.Article)
	putForeign(t, variant)
	for _, f := range rules.Families() {
		hosttest.Put(t, variant, f, `*nat
:NATSPREAD-PRE - [0:0]
:NATSPREAD-by-hand - [0:0]
-A NATSPREAD-PRE -p udp -j NATSPREAD-by-hand
-A NATSPREAD-by-hand -m mark --mark 7 -j RETURN
-I PREROUTING 3 -i eth9 -g NATSPREAD-PRE
-A PREROUTING -j NATSPREAD-PRE
COMMIT
`, "--noflush")
	}
	return host
}

// failOn returns a seam in which a family's transaction fails.
func failOn(f rules.Family) func(program.Runner) program.Runner {
	return func(run program.Runner) program.Runner {
		failed := false
		return func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
			if isLoad(f, name, args) && !failed {
				failed = true
				return nil, errSeam
			}
			return run(ctx, stdin, name, args...)
		}
	}
}

// loadThenFail returns a seam in which a family's transaction does its work, and
// fails all the same, as a program that is killed at its end does.
func loadThenFail(f rules.Family) func(program.Runner) program.Runner {
	return func(run program.Runner) program.Runner {
		failed := false
		return func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
			out, err := run(ctx, stdin, name, args...)
			if err == nil && isLoad(f, name, args) && !failed {
				failed = true
				return nil, errSeam
			}
			return out, err
		}
	}
}

// lieOnce returns a seam in which the first reading of a family's table after its
// transaction gives a rule less than there is.
func lieOnce(f rules.Family) func(program.Runner) program.Runner {
	return afterLoad(f, func(after []byte) ([]byte, error) { return withoutServiceRule(after), nil })
}

// withoutServiceRule takes the first rule of a service's chain out of what was read.
func withoutServiceRule(saved []byte) []byte {
	lines := bytes.SplitAfter(saved, []byte("\n"))
	i := slices.IndexFunc(lines, func(line []byte) bool { return bytes.Contains(line, []byte("-A NATSPREAD-web")) })
	return bytes.Join(slices.Delete(lines, i, i+1), nil)
}

// failReadBack returns a seam in which that reading fails.
func failReadBack(f rules.Family) func(program.Runner) program.Runner {
	return afterLoad(f, func([]byte) ([]byte, error) { return nil, errSeam })
}

// afterLoad returns a seam that changes the first reading of a family's table
// after its transaction.
func afterLoad(f rules.Family, change func(after []byte) ([]byte, error)) func(program.Runner) program.Runner {
	return func(run program.Runner) program.Runner {
		loaded, done := false, false
		return func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
			out, err := run(ctx, stdin, name, args...)
			switch {
			case isLoad(f, name, args):
				loaded = !done
			case !isSave(f, name) || err != nil:
			case loaded:
				loaded, done = false, true
				return change(out)
			}
			return out, err
		}
	}
}

// lieInProof is a seam in which a proof reads back a rule less than it loaded.
func lieInProof(run program.Runner) program.Runner {
	var proving atomic.Bool // tables are proven at the same time
	return func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
		out, err := run(ctx, stdin, name, args...)
		if strings.HasSuffix(name, "-restore") && !slices.Contains(args, "--noflush") {
			proving.Store(true)
		} else if proving.Load() && bytes.Contains(out, []byte("-A NATSPREAD-web")) { // what else is read meanwhile has none
			return withoutServiceRule(out), err
		}
		return out, err
	}
}

// TestCurrentCannotBeSwitched is the last step of an apply but one, with the rules
// loaded already.
func TestCurrentCannotBeSwitched(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		for _, c := range []struct {
			name  string
			spoil func(t *testing.T, state string) (mend func())
			cause error
		}{
			{"read-only", readOnlyButGenerations, unix.EROFS},
			{"no room for a link", lastInode, unix.ENOSPC},
		} {
			t.Run(c.name, func(t *testing.T) {
				host := newHost(t, variant)
				stateDir := filepath.Join(host.Root, "var/lib/natspread")
				hosttest.Must(t, os.MkdirAll(stateDir, 0o700))
				hosttest.Must(t, unix.Mount("tmpfs", stateDir, "tmpfs", 0, "mode=700"))
				apply(t, host, hosttest.Article)
				before := state(t, host)
				mend := c.spoil(t, stateDir)
				_, err := host.Apply(t.Context(), request(t, hosttest.Smaller))
				mend()
				wantUnchanged(t, host, before, err, nil)
				if !errors.Is(err, c.cause) || err != nil && !strings.Contains(err.Error(), "cannot make generation 2 current") {
					t.Errorf("the cause is not %v: %v", c.cause, err)
				}
				hosttest.Must(t, unix.Unmount(stateDir, unix.MNT_DETACH))
			})
		}
	})
}

// readOnlyButGenerations lets generations be written, and nothing beside them.
func readOnlyButGenerations(t *testing.T, state string) (mend func()) {
	t.Helper()
	generations := filepath.Join(state, "generations")
	hosttest.Must(t, unix.Mount(generations, generations, "", unix.MS_BIND, ""))
	hosttest.Must(t, unix.Mount("", state, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	return func() {
		hosttest.Must(t, unix.Unmount(generations, unix.MNT_DETACH))
		hosttest.Must(t, unix.Mount("", state, "", unix.MS_BIND|unix.MS_REMOUNT, ""))
	}
}

// lastInode leaves room for a generation's directory, that of its config and its five files, and not
// for a link more.
func lastInode(t *testing.T, state string) (mend func()) {
	t.Helper()
	var room unix.Statfs_t
	hosttest.Must(t, unix.Statfs(state, &room))
	used := room.Files - room.Ffree
	hosttest.Must(t, unix.Mount("", state, "", unix.MS_REMOUNT, "nr_inodes="+fmt.Sprint(used+7)))
	return func() { hosttest.Must(t, unix.Mount("", state, "", unix.MS_REMOUNT, "nr_inodes=100000")) }
}

// TestForwardingCannotBeSet is the last step of all.
func TestForwardingCannotBeSet(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		for _, first := range []bool{true, false} {
			host := newHost(t, variant)
			if !first {
				apply(t, host, hosttest.Article)
				hosttest.Must(t, os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("0"), 0))
			}
			before := state(t, host)
			readOnlySysctls(t, func() {
				_, err := host.Apply(t.Context(), request(t, hosttest.Smaller))
				wantUnchanged(t, host, before, err, nil)
				if !errors.Is(err, unix.EROFS) || err != nil && !strings.Contains(err.Error(), "cannot set net.ipv4.ip_forward to 1") {
					t.Errorf("the cause is lost: %v", err)
				}
			})
		}
	})
}

// TestForwardingNeedNotBeSet is the same with nothing to write.
func TestForwardingNeedNotBeSet(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		hosttest.Must(t, os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0))
		hosttest.Must(t, os.WriteFile("/proc/sys/net/ipv6/conf/all/forwarding", []byte("1"), 0))
		readOnlySysctls(t, func() {
			apply(t, host, hosttest.Article)
			if _, err := host.Stop(t.Context()); err != nil {
				t.Error(err)
			}
		})
	})
}

// readOnlySysctls does something while no sysctl can be written.
func readOnlySysctls(t *testing.T, do func()) {
	t.Helper()
	hosttest.Must(t, unix.Mount("/proc/sys", "/proc/sys", "", unix.MS_BIND|unix.MS_REC, ""))
	hosttest.Must(t, unix.Mount("", "/proc/sys", "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
	do()
	hosttest.Must(t, unix.Unmount("/proc/sys", unix.MNT_DETACH))
}
