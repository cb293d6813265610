package program_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"natspread/internal/program"
	"natspread/internal/test/hosttest"
)

// TestTimeIsUp kills a program and its child when the time is up.
func TestTimeIsUp(t *testing.T) {
	sh, err := exec.LookPath("sh")
	hosttest.Must(t, err)
	pids := filepath.Join(t.TempDir(), "pids")
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_, err = program.Exec()(ctx, nil, sh, "-c", "sleep 600 & echo $$ $! >"+pids+"; wait")
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "killed after ") {
		t.Errorf("%v", err)
	}
	for _, class := range []error{program.ErrMissing, program.ErrBusy, program.ErrNoRights} {
		if errors.Is(err, class) {
			t.Errorf("%v is %q", err, class)
		}
	}
	hosttest.WantDead(t, pids)
}

// TestEnvironmentIsClean keeps the caller's own variables from the programs.
func TestEnvironmentIsClean(t *testing.T) {
	t.Setenv("XTABLES_LIBDIR", "/evil")
	t.Setenv("XTABLES_LOCKFILE", "/run/other.lock")
	env, err := exec.LookPath("env")
	hosttest.Must(t, err)
	out, err := program.Exec()(t.Context(), nil, env)
	hosttest.Must(t, err)
	if want := "PATH=/usr/sbin:/usr/bin:/sbin:/bin\nLC_ALL=C\nXTABLES_LOCKFILE=/run/other.lock\n"; string(out) != want {
		t.Errorf("environment:\n%s", out)
	}
}

// TestProgramError is what a caller may read of a failed program.
func TestProgramError(t *testing.T) {
	sh, err := exec.LookPath("sh")
	hosttest.Must(t, err)
	_, err = program.Exec()(t.Context(), nil, sh, "-c", "echo first >&2; echo '# Warning: iptables-legacy tables present' >&2; echo 'Try `x --help' >&2; echo last >&2; exit 3")
	var failed *program.Error
	if !errors.As(err, &failed) || failed.Code != 3 || failed.Stderr != "first; last" || !strings.HasSuffix(err.Error(), ": first; last") {
		t.Errorf("%#v", err)
	}
	_, err = program.Exec()(t.Context(), nil, "/nowhere/iptables-save")
	if !errors.As(err, &failed) || failed.Code != -1 || !errors.Is(err, program.ErrMissing) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%#v", err)
	}
	if out, err := program.Exec()(t.Context(), []byte("in"), sh, "-c", "cat; pwd"); err != nil || string(out) != "in/\n" {
		t.Errorf("%q, %v", out, err)
	}
}
