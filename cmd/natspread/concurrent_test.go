package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"natspread/internal/paths"
	"natspread/internal/test/netnstest"
)

// Many at once, of what writes: each ends well or says that it was busy, and what
// is left is one of the configs, whole, in the kernel and on disk alike.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	for _, variant := range netnstest.VariantsFor(t, t.Name()) {
		t.Run(variant, func(t *testing.T) {
			if isolate(t) {
				applyManyAtOnce(t, variant)
			}
		})
	}
}

// applyManyAtOnce does it with real processes.
func applyManyAtOnce(t *testing.T, variant string) {
	const applies = 6
	root := rootWith(t, article)
	flags := []string{"--root", root, "--live", "--variant", variant}
	inProcess(append(flags, "apply")...).want(t, exitDone)
	var started sync.WaitGroup
	outcomes := make([]outcome, applies)
	for i := range applies {
		config := filepath.Join(root, fmt.Sprint(i, ".toml"))
		writeFile(t, config, strings.ReplaceAll(article, "10.0.0.", fmt.Sprintf("10.0.%d.", i)))
		args := append(flags[:len(flags):len(flags)], "apply", "--config", config)
		if i == applies-1 {
			args = append(flags[:len(flags):len(flags)], "restore")
		}
		started.Go(func() { outcomes[i] = asProgram(t, "natspread", args...) })
	}
	started.Wait()
	done := 0
	for _, got := range outcomes {
		switch got.code {
		case exitDone:
			done++
		case exitBusy:
			got.oneComplaint(t)
		default:
			t.Errorf("exit code %d\n%s", got.code, got.err)
		}
	}
	if done == 0 {
		t.Error("none of them came through")
	}
	inProcess(append(flags, "status")...).want(t, exitDone)
	current, err := os.ReadFile(filepath.Join(root, "var/lib/natspread/current/config/natspread.toml"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(root, paths.Config), string(current))
	inProcess(append(flags, "diff")...).want(t, exitDone)
	pending, err := filepath.Glob(filepath.Join(root, "var/lib/natspread/generations/.*"))
	if err != nil || len(pending) != 0 {
		t.Errorf("something is left over: %v, %v", pending, err)
	}
}

// An apply that comes while another one is at work waits for it, and then goes on.
func TestApplyWaits(t *testing.T) {
	if !isolate(t) {
		return
	}
	root := rootWith(t, article)
	writeFile(t, filepath.Join(root, lockDir, "lock"), "")
	file, err := os.Open(filepath.Join(root, lockDir, "lock"))
	if err == nil {
		err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err != nil {
		t.Fatal(err)
	}
	const busy = 700 * time.Millisecond
	time.AfterFunc(busy, func() { file.Close() })
	began := time.Now()
	asProgram(t, "natspread", "--root", root, "--live", "--variant", "nft", "apply").want(t, exitDone)
	if waited := time.Since(began); waited < busy {
		t.Errorf("it did not wait: %v", waited)
	}
}
