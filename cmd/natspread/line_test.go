package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"natspread/internal/console"
	"natspread/internal/paths"
)

// TestSlowWork draws for as long as it takes the terminal to show what is being done. That is
// gone afterwards, nothing of it is in the result, and whoever asked for quiet sees nothing.
func TestSlowWork(t *testing.T) {
	t.Parallel()
	config := filepath.Join(rootWith(t, article), paths.Config)
	for _, flags := range [][]string{nil, {"--json"}, {"-q"}, {"-v"}} {
		user, terminal := openTerminal(t)
		shown, quiet := "", slices.Contains(flags, "-q")
		shows := !quiet && !slices.Contains(flags, "-v")
		runner := func(context.Context, []byte, string, ...string) ([]byte, error) {
			for shows && !strings.Contains(shown, "drawing...") {
				shown += readShown(t, user)
			}
			return []byte("<svg/>\n"), nil
		}
		var stdout bytes.Buffer
		s := &session{Console: console.Console{In: nil, Out: &stdout, Err: terminal}, runner: runner, connect: noSystemd}
		if code := run(append([]string{"render", "--svg", "--config", config}, flags...), s); code != exitDone {
			t.Errorf("%v: exit code %d", flags, code)
		}
		terminal.Close()
		rest, _ := io.ReadAll(user) // until it is closed, which is an error
		shown += string(rest)
		if strings.Contains(stdout.String(), "drawing") || !strings.Contains(stdout.String(), "svg/") {
			t.Errorf("%v: %q is printed", flags, stdout.String())
		}
		if quiet != (s.Line == nil) {
			t.Errorf("%v: the line is %v", flags, s.Line)
		}
		switch {
		case shows && !strings.HasSuffix(shown, "drawing...\r\x1b[K"):
			t.Errorf("%v: it stays on the terminal: %q", flags, shown)
		case !shows && strings.Contains(shown, "..."):
			t.Errorf("%v: the terminal shows %q", flags, shown)
		}
	}
}

// TestSlowWorkElsewhere has no terminal: neither a pipe nor a file gets a line that is to be gone.
func TestSlowWorkElsewhere(t *testing.T) {
	t.Parallel()
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	s := &session{Console: console.Console{In: nil, Out: io.Discard, Err: file}, connect: noSystemd}
	if run([]string{"render", "--config", filepath.Join(rootWith(t, article), paths.Config)}, s); s.Line != nil {
		t.Error("a file has a line")
	}
}
