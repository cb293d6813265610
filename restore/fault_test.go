package restore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/test/await"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/internal/test/testsize"
	"natspread/restore"
	"natspread/restore/generation"
)

// programs puts other programs in the place of a variant's, in the test's own mount
// namespace.
type programs struct {
	place string // the file behind all of the variant's names
	dir   string // holds copies of the real ones, and what a script leaves
}

// findPrograms copies a variant's programs to where a script finds them.
func findPrograms(t *testing.T, variant rules.Variant) programs {
	t.Helper()
	path, err := exec.LookPath(netnstest.Programs(string(variant), 4).Restore)
	hosttest.Must(t, err)
	place, err := filepath.EvalSymlinks(path)
	hosttest.Must(t, err)
	p := programs{place: place, dir: t.TempDir()}
	content, err := os.ReadFile(place)
	hosttest.Must(t, err)
	hosttest.Must(t, os.WriteFile(filepath.Join(p.dir, "multi"), content, 0o755))
	for _, family := range []int{4, 6} {
		tools := netnstest.Programs(string(variant), family)
		for _, name := range []string{tools.Restore, tools.Save} {
			hosttest.Must(t, os.Symlink("multi", filepath.Join(p.dir, name)))
		}
	}
	return p
}

// instead does something while another file stands in the programs' place.
func (p programs) instead(t *testing.T, content string, mode os.FileMode, do func()) {
	t.Helper()
	path := filepath.Join(p.dir, "instead")
	hosttest.Must(t, os.WriteFile(path, []byte(content), 0o700))
	hosttest.Must(t, os.Chmod(path, mode))
	hosttest.Must(t, unix.Mount(path, p.place, "", unix.MS_BIND, ""))
	defer func() { hosttest.Must(t, unix.Unmount(p.place, unix.MNT_DETACH)) }()
	do()
}

// faulty does something while calls that match a pattern of sh's run a script, in
// which real runs the program that was called.
func (p programs) faulty(t *testing.T, pattern, script string, do func()) {
	t.Helper()
	p.instead(t, fmt.Sprintf("#!/bin/sh\nreal() { %[1]s/\"$name\" \"$@\"; }\nname=${0##*/}\ncase \"$name $*\" in\n%[2]s)\n%[3]s\n;;\n*) exec %[1]s/\"$name\" \"$@\" ;;\nesac\n",
		p.dir, pattern, script), 0o755, do)
}

// The calls in which a program may go wrong.
const (
	everyCall   = `*`
	restoreCall = `*-restore\ *`
	loadCall    = `*-restore\ *--noflush*`
	saveCall    = `*-save\ *`
)

// verbs are what can meet a faulty program.
var verbs = []struct {
	name string
	run  func(ctx context.Context, t *testing.T, host restore.Host) error
}{
	{"apply", func(ctx context.Context, t *testing.T, host restore.Host) error {
		_, err := host.Apply(ctx, request(t, hosttest.Smaller))
		return err
	}},
	{"restore", func(ctx context.Context, _ *testing.T, host restore.Host) error {
		_, err := host.Restore(ctx)
		return err
	}},
	{"stop", func(ctx context.Context, _ *testing.T, host restore.Host) error {
		_, err := host.Stop(ctx)
		return err
	}},
}

// TestFaultyPrograms lets the programs fail in every way, at every step.
func TestFaultyPrograms(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host, programs := oddHost(t, variant), findPrograms(t, variant)
		before := state(t, host)
		for i, fault := range []struct {
			name, script string
			class        error
		}{
			{"fails with 1", "exit 1", nil},
			{"fails with 2", "exit 2", nil},
			{"fails with 4", "echo 'iptables: Device or resource busy.' >&2; exit 4", nil},
			{"lock held", "echo 'Another app is currently holding the xtables lock. Stopped waiting after 5s.' >&2; exit 4", program.ErrBusy},
			{"lock held for a while", "echo 'Another app is currently holding the xtables lock; still 4s 0us time ahead' >&2; echo 'line 7 failed' >&2; exit 1", nil},
			{"no rights", "echo 'Could not fetch rule set generation id: Permission denied (you must be root)' >&2; exit 4", program.ErrNoRights},
			{"no match", `echo "Couldn't load match 'statistic':No such file or directory" >&2; exit 2`, program.ErrMissing},
			{"killed", "kill -9 $$", nil},
			{"says nothing", "cat >/dev/null; exit 0", nil},
			{"says something else", "cat >/dev/null; echo hello", nil},
			{"says half of it", `real "$@" | head -n 3`, nil},
		} {
			for j, call := range []string{everyCall, restoreCall, loadCall, saveCall} {
				for k, verb := range verbs {
					if !testsize.Takes(i+j+k, 2) {
						continue
					}
					if restores := fault.name == "says half of it" && call != saveCall || // which print nothing anyway
						verb.name != "apply" && call == restoreCall; restores { // there, the only one is the load
						continue
					}
					t.Run(fault.name+"/"+call+"/"+verb.name, func(t *testing.T) {
						programs.faulty(t, call, fault.script, func() {
							err := verb.run(t.Context(), t, host)
							wantClass(t, err, fault.class)
							if err != nil && !strings.HasSuffix(err.Error(), "; nothing was changed") {
								t.Errorf("the error does not say that nothing was changed: %v", err)
							}
						})
					})
				}
			}
		}
		wantState(t, host, before)
		apply(t, host, hosttest.Smaller) // and nothing stands in its way
		hosttest.WantLoaded(t, variant, hosttest.Smaller)
	})
}

// TestMissingPrograms also asks for the variant, which needs a program itself.
func TestMissingPrograms(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host, programs := oddHost(t, variant), findPrograms(t, variant)
		before := state(t, host)
		missing := func(t *testing.T, host restore.Host) {
			for _, verb := range verbs {
				err := verb.run(t.Context(), t, host)
				wantClass(t, err, program.ErrMissing)
				if err != nil && !strings.HasSuffix(err.Error(), "; nothing was changed") {
					t.Errorf("%s: the error does not say that nothing was changed: %v", verb.name, err)
				}
			}
			if _, err := host.Status(t.Context()); !errors.Is(err, program.ErrMissing) {
				t.Errorf("status: %v", err)
			}
		}
		programs.instead(t, "", 0o644, func() { missing(t, host) })
		programs.instead(t, "no program\n", 0o755, func() { missing(t, host) })
		programs.instead(t, "#!/nowhere/sh\n", 0o755, func() { missing(t, host) })
		sbin := filepath.Dir(programs.place)
		hosttest.Must(t, unix.Mount("none", sbin, "tmpfs", 0, ""))
		missing(t, host)
		chosen := host
		chosen.Variant = rules.Auto
		missing(t, chosen)
		hosttest.Must(t, unix.Unmount(sbin, unix.MNT_DETACH))
		wantState(t, host, before)
	})
}

// TestHangingPrograms are killed with their children when their time is up.
func TestHangingPrograms(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host, programs := oddHost(t, variant), findPrograms(t, variant)
		before, pids := state(t, host), filepath.Join(programs.dir, "pids")
		hang := "\nsleep 600 & echo $$ $! >>" + pids + "; sleep 600"
		for _, fault := range []struct{ name, call, script string }{
			{"every", everyCall, hang},
			{"the proof", restoreCall, hang},
			{"the load", loadCall, hang},
			{"the load, with its work done", loadCall, `real "$@"; [ -e ` + pids + " ] || {" + hang + "\n}"},
			{"reading", saveCall, hang},
		} {
			for _, verb := range verbs {
				t.Run(fault.name+"/"+verb.name, func(t *testing.T) {
					programs.faulty(t, fault.call, fault.script, func() {
						ctx, cancel := context.WithCancel(t.Context())
						defer cancel()
						killed := cancelWhenThere(cancel, pids)
						err := verb.run(ctx, t, host)
						if took := time.Since(<-killed); took > busy {
							t.Errorf("it took %v", took)
						}
						wantClass(t, err, nil)
						if !errors.Is(err, context.Canceled) || !strings.HasSuffix(err.Error(), "; nothing was changed") {
							t.Errorf("%v", err)
						}
					})
					hosttest.WantDead(t, pids)
					wantState(t, host, before)
				})
			}
		}
	})
}

// cancelWhenThere cancels when a file is there and has something in it, and sends
// when that was.
func cancelWhenThere(cancel func(), path string) <-chan time.Time {
	when := make(chan time.Time, 1)
	go func() {
		await.Within(busy, func() bool {
			info, err := os.Stat(path)
			return err == nil && info.Size() > 0
		})
		when <- time.Now()
		cancel()
	}()
	return when
}

// TestEndlessPrograms has programs that print without end, or leave somebody behind who
// holds their output open.
func TestEndlessPrograms(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		if variant != rules.NFT {
			return // it takes a while, and is no matter of the variant
		}
		host, programs := oddHost(t, variant), findPrograms(t, variant)
		before := state(t, host)
		for _, fault := range []struct{ name, call, script, want string }{
			{"output", saveCall, "exec yes", "its output is too long"},
			{"errors", restoreCall, "exec yes >&2", "its output is too long"},
			{"held open", saveCall, `real "$@"; sleep 600 & echo $! >` + programs.dir + "/pids", "WaitDelay expired"},
		} {
			t.Run(fault.name, func(t *testing.T) {
				programs.faulty(t, fault.call, fault.script, func() {
					_, err := host.Apply(t.Context(), request(t, hosttest.Smaller))
					wantClass(t, err, nil)
					if err == nil || !strings.Contains(err.Error(), fault.want) || len(err.Error()) > 1000 {
						t.Errorf("%.1000v", err)
					}
				})
				wantState(t, host, before)
			})
		}
		hosttest.WantDead(t, programs.dir+"/pids")
	})
}

// busy is how much later than it may a machine with other things to do gets to
// something. What hangs takes for ever, and the difference still shows.
const busy = 20 * time.Second

// hold takes a lock as another process would, until the test ends.
func hold(t *testing.T, path string) {
	t.Helper()
	hosttest.Must(t, os.MkdirAll(filepath.Dir(path), 0o700))
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	hosttest.Must(t, err)
	t.Cleanup(func() { file.Close() })
	hosttest.Must(t, unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB))
}

// TestLockHeld waits as long as it may for another natspread, and less when there
// is less time.
func TestLockHeld(t *testing.T) {
	for _, verb := range verbs {
		for _, limit := range []time.Duration{50 * time.Millisecond, time.Hour} {
			if verb.name != "apply" && limit == time.Hour {
				continue // five seconds once are enough
			}
			t.Run(fmt.Sprint(verb.name, limit), func(t *testing.T) {
				t.Parallel()
				host := newHost(t, rules.NFT)
				host.Run = noProgram(t) // without the lock
				hold(t, filepath.Join(host.Root, "run/natspread/lock"))
				start := time.Now()
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				defer cancel()
				err := verb.run(ctx, t, host)
				wantClass(t, err, program.ErrBusy)
				if want := min(limit, 5*time.Second); time.Since(start) < want || time.Since(start) > want+busy {
					t.Errorf("it took %v, want %v", time.Since(start), want)
				}
			})
		}
	}
}

// TestXtablesLockHeld meets the lock of iptables itself, which only legacy takes.
func TestXtablesLockHeld(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		if variant != rules.Legacy {
			return
		}
		host := oddHost(t, variant)
		before := state(t, host)
		hold(t, os.Getenv("XTABLES_LOCKFILE"))
		start := time.Now()
		_, err := host.Apply(t.Context(), request(t, hosttest.Smaller))
		wantUnchanged(t, host, before, err, program.ErrBusy)
		if took := time.Since(start); took < 4*time.Second || took > 5*time.Second+busy {
			t.Errorf("it took %v, want 5s", took)
		}
	})
}

// TestAppliesAtOnce run one after the other, whoever comes first.
func TestAppliesAtOnce(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		configs := []string{hosttest.Article, hosttest.Smaller, hosttest.Alone, hosttest.Article + hosttest.Alone}
		done := make(chan error)
		for _, toml := range configs {
			request := request(t, toml)
			go func() {
				_, err := host.Apply(context.Background(), request)
				done <- err
			}()
		}
		for range configs {
			hosttest.Must(t, <-done)
		}
		store := generation.Store{Root: host.Root}
		number, err := store.CurrentNumber()
		hosttest.Must(t, err)
		current, err := store.Read(number)
		hosttest.Must(t, err)
		if number != len(configs) {
			t.Errorf("current is %d of %d", number, len(configs))
		}
		hosttest.WantLoaded(t, variant, string(current.Config.Main()))
	})
}
