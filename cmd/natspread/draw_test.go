package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"natspread/internal/paths"
	"natspread/internal/program"
)

// TestDrawWithout draws where Graphviz is missing, elsewhere, or fails.
func TestDrawWithout(t *testing.T) {
	t.Parallel()
	config := filepath.Join(rootWith(t, article), paths.Config)
	missing := &program.Error{Name: "dot", Code: -1, Err: errors.Join(program.ErrMissing, fs.ErrNotExist)}
	failed := &program.Error{Name: "dot", Code: 1, Stderr: "out of memory", Err: errors.New("exit status 1")}
	for name, test := range map[string]struct {
		errs map[string]error // by program; the others draw
		code int
		says string // "" when it draws
	}{
		"missing":   {map[string]error{"/usr/bin/dot": missing, "/usr/local/bin/dot": missing, "/bin/dot": missing}, exitMissing, "apt install graphviz"},
		"elsewhere": {map[string]error{"/usr/bin/dot": missing}, exitDone, ""},
		"failing":   {map[string]error{"/usr/bin/dot": failed}, exitFailed, "out of memory: natspread render --dot prints the graph itself"},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			runner := func(_ context.Context, stdin []byte, program string, _ ...string) ([]byte, error) {
				return append([]byte("drawn: "), stdin...), test.errs[program]
			}
			s := &session{streams: streams{nil, &stdout, &stderr}, runner: runner, connect: noSystemd}
			got := outcome{code: run([]string{"render", "--svg", "--config", config}, s), out: stdout.String(), err: stderr.String()}
			got.want(t, test.code)
			if test.says == "" {
				if !strings.HasPrefix(got.out, "drawn: digraph") || got.err != "" {
					t.Errorf("%q, %q", got.out, got.err)
				}
				return
			}
			got.oneComplaint(t)
			if !strings.Contains(got.err, test.says) {
				t.Errorf("no %q in %q", test.says, got.err)
			}
		})
	}
}

// TestDrawThousands has Graphviz draw more services than it could draw rules of, within the time
// that every program gets.
func TestDrawThousands(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat("/usr/bin/dot"); err != nil {
		t.Skip("no dot on this machine: apt-get install graphviz")
	}
	var toml strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&toml, "[[service]]\nname = \"s%d\"\nlisten = \"192.0.2.%d:%d\"\nbackends = [\"10.0.0.1:80\", \"10.0.0.2:80\"]\n", i, i/250+1, i%250+1)
	}
	var stdout, stderr bytes.Buffer
	s := &session{streams: streams{nil, &stdout, &stderr}, runner: new(program.Locks).Exec(), connect: noSystemd}
	got := outcome{code: run([]string{"render", "--svg", "--config", filepath.Join(rootWith(t, toml.String()), paths.Config)}, s), out: stdout.String(), err: stderr.String()}
	got.want(t, exitDone)
	if shares := strings.Count(got.out, "50.00 %</text>"); shares != 4000 {
		t.Errorf("%d shares are drawn, %s", shares, got.err)
	}
}
