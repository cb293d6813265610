package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"natspread/internal/console"
	"natspread/internal/paths"
	"natspread/internal/program"
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

// TestSlowVerbs has each verb that may take its time run programs that do: what it does is shown, and gone
// afterwards.
func TestSlowVerbs(t *testing.T) {
	t.Parallel()
	for _, verb := range []string{"adopt --listen 192.0.2.10", "apply", "check", "confirm", "diff", "doctor", "drain web 10.0.0.1:80", "drain --runtime web 10.0.0.1:80", "rollback", "restore", "selftest", "status", "stop"} {
		t.Run(verb, func(t *testing.T) {
			if isolate(t) {
				showsWork(t, verb)
			}
		})
	}
}

// showsWork runs a verb. The first program that it runs lasts for as long as it takes the terminal to show something.
func showsWork(t *testing.T, verb string) {
	root := rootWith(t, article)
	flags := []string{"--root", root, "--live", "--variant", "nft"}
	inProcess(append(flags, "apply", "-q")...).want(t, exitDone)
	if verb == "confirm" || verb == "rollback" {
		writeFile(t, filepath.Join(root, paths.Config), liveConfig)
		inProcess(append(flags, "apply", "-q", "--confirm", "1h")...).want(t, exitDone)
	}
	user, terminal := openTerminal(t)
	shown := ""
	wait := sync.OnceFunc(func() {
		_ = user.SetReadDeadline(time.Now().Add(hangBound))
		for some := make([]byte, 4096); !strings.Contains(shown, "..."); {
			n, err := user.Read(some)
			if shown += string(some[:n]); err != nil {
				break
			}
		}
		_ = user.SetReadDeadline(time.Time{})
	})
	runner := func(ctx context.Context, in []byte, name string, args ...string) ([]byte, error) {
		wait()
		return program.Exec()(ctx, in, name, args...)
	}
	s := &session{Console: console.Console{Out: io.Discard, Err: terminal}, runner: runner, connect: noSystemd}
	run(append(flags, strings.Fields(verb)...), s)
	terminal.Close()
	rest, _ := io.ReadAll(user) // until it is closed, which is an error
	shown += string(rest)
	if left := regexp.MustCompile(`(\r\x1b\[K[^\r\n\x1b]*\.\.\.)+\r\x1b\[K`).ReplaceAllString(shown, ""); left == shown || strings.Contains(left, "...") {
		t.Errorf("%q", shown)
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
