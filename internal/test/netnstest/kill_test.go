package netnstest

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"natspread/internal/test/await"
)

// waitToBeKilled has a temporary directory, a host, and a program on it in a session of its own, which
// a signal to the process group doesn't reach.
func waitToBeKilled(t *testing.T) {
	h := NewHost(t, "a")
	t.TempDir() // the parent has to remove it
	var lines []string
	for _, at := range []*Host{Self(), h} {
		at.Do(t, func() {
			cmd := exec.Command("sleep", "300")
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
			namespace, err := os.Readlink("/proc/thread-self/ns/net")
			if err == nil {
				err = cmd.Start()
			}
			if err != nil {
				t.Fatal(err)
			}
			lines = append(lines, namespace)
		})
	}
	file := os.Getenv(helperFile)
	if err := os.WriteFile(file+".new", []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		t.Fatal(err)
	}
	hang()
}

// hang never returns.
func hang() { select {} }

func TestNothingIsLeftAfterKill(t *testing.T) {
	t.Parallel()
	requireNamespaces(t)
	for _, victim := range []string{"child", "parent"} {
		t.Run(victim, func(t *testing.T) {
			t.Parallel()
			parent := helperCommand("wait")
			file := filepath.Join(t.TempDir(), "namespaces")
			temporary := t.TempDir()
			parent.Env = append(parent.Env, helperFile+"="+file, "TMPDIR="+temporary)
			if err := parent.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = parent.Process.Kill() })
			var namespaces []string
			await.True(t, "the child tells its namespaces", func() bool {
				data, err := os.ReadFile(file)
				namespaces = strings.Fields(string(data))
				return err == nil
			})
			if len(namespaces) != 2 || namespaces[0] == namespaces[1] {
				t.Fatalf("namespaces %v", namespaces)
			}
			members, first := processesIn(t, namespaces)
			if len(members) != 3 || first == 0 {
				t.Fatalf("processes %v, the first %d; want the child and two programs", members, first)
			}
			kill := map[string]int{"child": first, "parent": parent.Process.Pid}[victim]
			if err := syscall.Kill(kill, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			if err := parent.Wait(); err == nil {
				t.Error("the parent passes")
			}
			await.True(t, "every process is gone", func() bool {
				members, _ := processesIn(t, namespaces)
				return len(members) == 0
			})
			mounts, err := os.ReadFile("/proc/self/mountinfo")
			if err != nil || strings.Contains(string(mounts), namespaces[0]) || strings.Contains(string(mounts), namespaces[1]) {
				t.Errorf("namespaces %v are still mounted (%v):\n%s", namespaces, err, mounts)
			}
			if left, err := os.ReadDir(temporary); victim == "child" && (err != nil || len(left) > 0) {
				t.Errorf("temporary files: %v, %v", left, err)
			}
		})
	}
}

// processesIn lists the processes of network namespaces, and which of them is
// number 1 in its process namespace.
func processesIn(t *testing.T, namespaces []string) (members []int, first int) {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		namespace, err := os.Readlink(link)
		if err != nil || !slices.Contains(namespaces, namespace) {
			continue // ended, or another user's
		}
		process := filepath.Dir(filepath.Dir(link))
		pid, err := strconv.Atoi(filepath.Base(process))
		if err != nil {
			t.Fatal(err)
		}
		members = append(members, pid)
		status, _ := os.ReadFile(filepath.Join(process, "status"))
		for line := range strings.Lines(string(status)) {
			if strings.HasPrefix(line, "NSpid:") && strings.HasSuffix(line, "\t1\n") {
				first = pid
			}
		}
	}
	return members, first
}
