package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"natspread/internal/rules"
	"natspread/internal/test/await"
	"natspread/internal/test/hosttest"
)

// unanswered is a config of which selftest waits some seconds for a client.
const unanswered = `
[[service]]
name     = "web"
listen   = "10.0.0.10:80"
snat     = "none"
backends = ["10.0.0.1:80", "10.0.0.2:80"]
`

// namespaces lists the network namespaces that threads of this process namespace are in.
func namespaces(t *testing.T) []string {
	t.Helper()
	threads, err := filepath.Glob("/proc/[0-9]*/task/*/ns/net")
	hosttest.Must(t, err)
	var all []string
	for _, thread := range threads {
		if name, err := os.Readlink(thread); err == nil && !slices.Contains(all, name) { // it may have ended
			all = append(all, name)
		}
	}
	return all
}

// TestSelftestKilled kills a selftest in its middle: no namespace, program, file or rule is left.
func TestSelftestKilled(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		giveRoutes(t)
		root := rootWith(t, unanswered)
		before, spaces := everything(t, root), len(namespaces(t))
		runDir, err := os.ReadDir("/run")
		hosttest.Must(t, err)
		cmd := natspreadCommand(t, "natspread", "--root", root, "--live", "--variant", string(variant), "selftest")
		hosttest.Must(t, cmd.Start())
		await.True(t, "a thread is in a namespace of its own", func() bool { return len(namespaces(t)) > spaces })
		hosttest.Must(t, cmd.Process.Kill())
		_ = cmd.Wait() // it was killed
		await.True(t, "its namespaces are gone", func() bool { return len(namespaces(t)) == spaces })
		if after := everything(t, root); after != before {
			t.Errorf("something changed: before\n%safter\n%s", before, after)
		}
		left, err := os.ReadDir("/run")
		hosttest.Must(t, err)
		if len(left) != len(runDir) {
			t.Errorf("/run has %v, and had %v", left, runDir)
		}
	})
}

// TestSelftestWithout refuses where something is missing, and says what.
func TestSelftestWithout(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		root := rootWith(t, article)
		args := []string{"--root", root, "--live", "--variant", string(variant), "selftest"}
		refusedWithout(t, root, "sys_admin", args...)
		refusedWithout(t, root, "net_admin", args...)
		hidePrograms(t, root)
		if got := inProcess(args...).want(t, exitMissing); !strings.Contains(got.err, "install iptables") {
			t.Errorf("without iptables: %s", got.err)
		}
	})
}
