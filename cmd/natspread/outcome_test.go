package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"natspread/internal/console"
	"natspread/internal/failure"
	"natspread/internal/paths"
	"natspread/internal/program"
	"natspread/units"
)

// outcome is what one run of natspread came to.
type outcome struct {
	code     int
	out, err string
}

// natspreadWith runs natspread in this process, with what it reads and the systemd
// that it reaches.
func natspreadWith(stdin string, connect func(context.Context) (systemd, error), args ...string) outcome {
	var stdout, stderr bytes.Buffer
	s := &session{Console: console.Console{In: strings.NewReader(stdin), Out: &stdout, Err: &stderr}, runner: program.Exec(), connect: connect}
	code := run(args, s)
	return outcome{code: code, out: stdout.String(), err: stderr.String()}
}

// inProcess runs natspread in this process with no input, where no systemd runs.
func inProcess(args ...string) outcome { return natspreadWith("", noSystemd, args...) }

// errNoSystemd is what noSystemd says.
var errNoSystemd = fmt.Errorf("cannot reach systemd: %w", units.ErrNotRunning)

// noSystemd reaches none.
func noSystemd(context.Context) (systemd, error) { return nil, errNoSystemd }

// want fails unless a run ended with that code.
func (o outcome) want(t testing.TB, code int) outcome {
	t.Helper()
	if o.code != code {
		t.Fatalf("exit code is %d, not %d\n%s%s", o.code, code, o.out, o.err)
	}
	return o
}

// wantHalfway fails unless a run with --json failed, and said for programs whether it had changed something and
// what it had done before or has to note: one line at least, if one is given. Standard error has these lines, too.
func (o outcome) wantHalfway(t testing.TB, changed bool, line string) {
	t.Helper()
	var failed failure.Failure
	err := json.Unmarshal([]byte(o.out), &failed)
	said := slices.Concat(failed.Done, failed.Notes)
	if o.code == exitDone || err != nil || failed.ExitCode != o.code || len(failed.Errors) == 0 || failed.Changed != changed {
		t.Errorf("%v: exit code %d, it prints %s", err, o.code, o.out)
	}
	if line != "" && !slices.Contains(said, line) {
		t.Errorf("no %q in %s", line, o.out)
	}
	for _, one := range said {
		if !strings.Contains(o.err, one+"\n") {
			t.Errorf("standard error lacks %q:\n%s", one, o.err)
		}
	}
}

// oneComplaint fails unless there is nothing on standard output and one line of
// natspread's on standard error.
func (o outcome) oneComplaint(t testing.TB) {
	t.Helper()
	if o.out != "" || !strings.HasPrefix(o.err, "natspread: ") || strings.Count(o.err, "\n") != 1 {
		t.Errorf("not one line of words on standard error alone:\n%s%s", o.out, o.err)
	}
}

// article is the config that most tests use.
const article = `[[service]]
name = "web"
listen = "192.0.2.10:80"
snat = "192.0.2.10"
backends = ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"]
`

// rootWith returns a new root directory that holds a config.
func rootWith(t testing.TB, config string) string {
	t.Helper()
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil { // what anyone may write is not trusted
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(root, paths.Config), config)
	return root
}

// writeFile writes a file and the directories above it.
func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// everything returns a text that changes when the kernel or a file below root does.
func everything(t testing.TB, root string) string {
	t.Helper()
	kernel, err := kernelText()
	if err != nil {
		t.Fatal(err)
	}
	tree, err := treeText(root)
	if err != nil {
		t.Fatal(err)
	}
	return kernel + tree
}
