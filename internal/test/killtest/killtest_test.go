package killtest

import (
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"

	"natspread/internal/test/await"
	"natspread/internal/test/netnstest"
)

// traced runs a script of sh's in an empty directory, in which it makes some, and returns
// which of them are there at the end.
func traced(t *testing.T, script string, at Point, let func(args []string) bool) (run Run, dir string, made string) {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.Command("sh", "-c", script)
	cmd.Dir = t.TempDir()
	run, err := Trace(cmd, at, let)
	if err != nil {
		t.Fatal(err)
	}
	return run, cmd.Dir, madeIn(t, cmd.Dir)
}

// madeIn returns the names in a directory.
func madeIn(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names strings.Builder
	for _, entry := range entries {
		names.WriteString(entry.Name())
	}
	return names.String()
}

// none lets no program go.
func none([]string) bool { return false }

// points returns the calls by which programs of a run made directories, from 1.
func points(run Run) []int {
	var points []int
	for i, call := range run.Calls {
		if strings.HasPrefix(call.Name, "mkdir") && call.By == "mkdir" && !call.Own {
			points = append(points, i+1)
		}
	}
	return points
}

// TestKill kills at each call by which a program makes a directory: the program that was
// started, or the one that it runs. One whose parent is dead goes on, and is seen.
func TestKill(t *testing.T) {
	const script = "mkdir a; mkdir b; mkdir c; exit 7"
	whole, _, made := traced(t, script, Point{}, none)
	calls := points(whole)
	if made != "abc" || len(calls) != 3 || whole.Killed || whole.Code != 7 || whole.At().Name != "the end" {
		t.Fatalf("it made %q: %+v", made, whole)
	}
	for i, nth := range calls {
		run, _, made := traced(t, script, Point{nth, Caller}, none)
		if want := strings.Replace("abc", "abc"[i:i+1], "", 1); made != want || !run.Killed || run.Code != 7 {
			t.Errorf("the caller at %d: it made %q, want %q: %+v", nth, made, want, run)
		}
		run, _, made = traced(t, script, Point{nth, Program}, none)
		after := slices.ContainsFunc(run.After, func(c Call) bool { return c.By == "mkdir" })
		if want := "abc"[:i+1]; made != want || !after || run.Code != -1 || run.At() != whole.Calls[nth-1] {
			t.Errorf("the program at %d: it made %q, want %q: %+v", nth, made, want, run)
		}
	}
}

// TestAfter sees every call that a program makes when its parent is dead, not only the first.
func TestAfter(t *testing.T) {
	const script = "mkdir a b; exit 7"
	whole, _, _ := traced(t, script, Point{}, none)
	calls := points(whole)
	if len(calls) != 2 {
		t.Fatalf("%+v", whole)
	}
	run, _, made := traced(t, script, Point{calls[0], Program}, none)
	if after := points(Run{Calls: run.After}); made != "ab" || len(after) != 2 {
		t.Errorf("it made %q, seen %v: %+v", made, after, run)
	}
}

// TestEveryCall kills at every call in turn: what is made is less than at the next one, or
// the same, and at the end all of it.
func TestEveryCall(t *testing.T) {
	const script = "mkdir a; : > f; mkdir b; rmdir b; exec mkdir c"
	seen := map[string]bool{}
	for nth := 1; ; nth++ {
		run, _, made := traced(t, script, Point{nth, Caller}, none)
		seen[made] = true
		if !run.Killed {
			if made != "acf" || !seen["af"] || !seen["abf"] || !seen[""] {
				t.Errorf("at the end there is %q, and before %v", made, seen)
			}
			return
		}
		if len(run.Calls) != nth {
			t.Fatalf("killed at %d: %+v", nth, run)
		}
	}
}

// TestLet lets a program go its own way: nothing of it is seen, and it outlives the kill.
func TestLet(t *testing.T) {
	mkdir := func(args []string) bool { return args[0] == "mkdir" }
	run, dir, _ := traced(t, "mkdir a; kill -KILL $$", Point{}, mkdir)
	if len(points(run)) != 0 || run.Code != -1 {
		t.Errorf("%+v", run)
	}
	await.True(t, "the directory", func() bool { return madeIn(t, dir) == "a" })
}

// TestThreads follows a program of many threads, this one, to its end.
func TestThreads(t *testing.T) {
	if os.Getenv("KILLTEST_THREADS") != "" {
		done := make(chan error)
		for range 20 {
			go func() {
				runtime.LockOSThread() // and never unlocked: the thread ends
				done <- exec.Command("true").Run()
			}()
		}
		for range 20 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		return
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestThreads$")
	cmd.Env = append(os.Environ(), "KILLTEST_THREADS=1")
	run, err := Trace(cmd, Point{}, none)
	execs := 0
	for _, call := range run.Calls {
		if call.Name == "execve" {
			execs++
		}
	}
	if err != nil || run.Code != 0 || execs < 20 {
		t.Errorf("%d programs, exit code %d, %v", execs, run.Code, err)
	}
}

// TestAsks sees by which calls each variant of iptables changes a table, and none where it
// only reads one.
func TestAsks(t *testing.T) {
	t.Parallel()
	for _, variant := range netnstest.Variants(t) {
		t.Run(variant, func(t *testing.T) {
			if !netnstest.Isolate(t) {
				return
			}
			programs := netnstest.Programs(variant, 4)
			for _, c := range []struct {
				name, line string
				changes    bool
			}{{programs.Iptables, "-t nat -N NEW", true}, {programs.Save, "-c", false}, {programs.Iptables, "-t nat -X NEW", true}} {
				var run Run
				var err error
				netnstest.OnThread(func() {
					run, err = Trace(exec.Command(c.name, strings.Fields(c.line)...), Point{}, none)
				})
				changes := slices.ContainsFunc(run.Calls, func(call Call) bool {
					return call.Name == "sendto" || call.Name == "sendmsg" || call.Name == Replace
				})
				if err != nil || run.Code != 0 || changes != c.changes {
					t.Errorf("%s %s: %+v, %v", c.name, c.line, run, err)
				}
			}
		})
	}
}
