package main

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"natspread/internal/test/await"
	"natspread/internal/test/netnstest"
)

// TestDemo plays the demo in namespaces: as it should be, with a balancer that is not what
// it should be, and up to a signal. All of that needs the same two programs.
func TestDemo(t *testing.T) {
	netnstest.Need(t, "ip", "iproute2")
	dir := netnstest.Build(t, "natspread/internal/lab/demo", "natspread/cmd/natspread")
	demo, natspread := filepath.Join(dir, "demo"), filepath.Join(dir, "natspread")
	for name, test := range map[string]func(t *testing.T, demo, natspread string){"plays": plays, "notices": notices, "interrupted": interrupted} {
		t.Run(name, func(t *testing.T) {
			if netnstest.Isolate(t) {
				test(t, demo, natspread)
			}
		})
	}
}

// wrap is natspread behind a shell script that may do something else instead; in
// it, "$real" is the program itself, "$2" the balancer's root, and "$4" the verb.
func wrap(t *testing.T, natspread, script string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "wrapped")
	text := "#!/bin/sh\nreal=" + natspread + "\n" + script + "\nexec $real \"$@\"\n"
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// play runs the demo with these flags and returns its exit code and everything that it said.
func play(t *testing.T, demo, program string, flags ...string) (code int, said string) {
	t.Helper()
	out, err := exec.Command(demo, append(append([]string{"-n", "600"}, flags...), program)...).CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if exit != nil {
		code = exit.ExitCode()
	}
	return code, string(out)
}

// traces is what a demo could leave in the namespaces around it.
func traces(t *testing.T) []string {
	t.Helper()
	var found []string
	links, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range links {
		found = append(found, "link "+link.Name)
	}
	for _, pattern := range []string{"/run/*", "/run/netns/*", os.TempDir() + "/*"} {
		names, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, names...)
	}
	for _, program := range []string{"iptables-save", "ip6tables-save"} {
		rules, err := exec.Command(program).Output()
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, string(rules))
	}
	return found
}

// running names the processes of programs in a directory.
func running(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	names, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if target, err := os.Readlink(name); err == nil && strings.HasPrefix(target, dir) {
			found = append(found, name+" "+target)
		}
	}
	return found
}

// plays plays the whole demo and looks for what it leaves behind.
func plays(t *testing.T, demo, natspread string) {
	t.Helper()
	for _, variant := range netnstest.VariantsFor(t, "the demo") {
		before := traces(t)
		code, said := play(t, demo, natspread, "-variant", variant)
		if code != exitFair || !strings.Contains(said, ": fair") || !strings.Contains(said, "in sync") || strings.Count(said, "\n  192.0.2.120") != 5 {
			t.Errorf("%s: exit code %d:\n%s", variant, code, said)
		}
		if strings.Contains(said, "\x1b") {
			t.Errorf("%s: colors, and no terminal:\n%s", variant, said)
		}
		for line := range strings.Lines(said) {
			if n := len([]rune(strings.TrimRight(line, "\n"))); n > width {
				t.Errorf("%s: %d columns wide: %s", variant, n, line)
			}
		}
		if diff := cmp.Diff(before, traces(t)); diff != "" {
			t.Errorf("%s left behind (-before +after):\n%s", variant, diff)
		}
	}
}

// notices plays with a balancer that is not what it should be.
func notices(t *testing.T, demo, natspread string) {
	t.Helper()
	const config = "$2/etc/natspread/natspread.toml"
	for _, test := range []struct{ name, acts, script, said string }{
		{"a wrong share", "", `[ "$4" = check ] && sed -i 's/weight = 2/weight = 9/' ` + config, "the shares are not what was wanted"},
		{"a backend without connections", "", `[ "$4" = check ] && sed -i 's/"10.0.0.3:80",//' ` + config, "the shares are not what was wanted"},
		{"an apply that does nothing", "", `[ "$4" = apply ] && exit`, "connection refused"},
		{"clients that do not keep their backends", "", `[ "$4" = apply ] && sed -i '/^algorithm/d' ` + config, "did not keep backend"},
		{"a death that nobody notices", "3", `[ "$4" = health ] && exec sleep 60`, "in vain: the others take over"},
		{"a trial that lasts", "4", `[ "$5" = --confirm ] && exec $real $1 $2 $3 apply`, "in vain: the mistake is taken back"},
		{"a restore that does nothing", "5", `[ "$4" = restore ] && exit`, "in vain: each client has its backend again"},
		{"a restore that fails", "5", `[ "$4" = restore ] && exit 1`, "restore: exit status 1"},
		{"a balancer that drifted", "5", `[ "$4" = status ] && iptables -t nat -I NATSPREAD-PRE -j RETURN`, "status: exit status 1"},
		{"a second balancer without rules", "6", `[ "$2" = /run/two ] && exit`, "in vain: each open connection goes on"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel() // most of it is waiting
			code, said := play(t, demo, wrap(t, natspread, test.script), "-acts", test.acts)
			if code != exitFailed || !strings.Contains(said, test.said) {
				t.Errorf("exit code %d, and not %q:\n%s", code, test.said, said)
			}
		})
	}
}

// interrupted stops the demo in the middle, as Ctrl-C and as its terminal's
// end would, and by a signal that it cannot see.
func interrupted(t *testing.T, demo, natspread string) {
	t.Helper()
	const many = "connections from the client"
	before := traces(t)
	for _, test := range []struct {
		signal            syscall.Signal
		code              int
		connections, acts string
		in                string // what the demo said last
	}{
		{syscall.SIGINT, exitInterrupted, "1000000", "", many}, {syscall.SIGTERM, exitInterrupted, "1000000", "", many},
		{syscall.SIGHUP, exitInterrupted, "1000000", "", many}, {syscall.SIGKILL, -1, "1000000", "", many},
		{syscall.SIGINT, exitInterrupted, "100", "3", "health &"}, {syscall.SIGKILL, -1, "100", "4", "loaded generation"},
	} {
		var stderr bytes.Buffer
		cmd := exec.Command(demo, "-n", test.connections, "-acts", test.acts, natspread)
		cmd.Stderr = &stderr
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(stdout)
		for lines.Scan() && !strings.Contains(lines.Text(), test.in) {
		}
		if err := cmd.Process.Signal(test.signal); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // the code tells
		if code := cmd.ProcessState.ExitCode(); code != test.code {
			t.Errorf("%v: exit code %d, not %d: %s", test.signal, code, test.code, &stderr)
		}
		// A killed one's namespace goes a little later.
		if !await.Within(2*time.Second, func() bool { return len(running(t, filepath.Dir(demo))) == 0 }) {
			t.Errorf("%v at %q left behind: %v", test.signal, test.in, running(t, filepath.Dir(demo)))
		}
	}
	if diff := cmp.Diff(before, traces(t)); diff != "" {
		t.Errorf("left behind (-before +after):\n%s", diff)
	}
}

// TestUsage types what cannot be played.
func TestUsage(t *testing.T) {
	for _, test := range []struct {
		args []string
		code int
		said string
	}{
		{nil, exitUsage, "usage: demo"},
		{[]string{"-n", "3", "/bin/true"}, exitUsage, "usage: demo"},
		{[]string{"/nonexistent/natspread"}, exitFailed, "make build"},
		{[]string{"-inside", "net:[1]", "/bin/true"}, exitFailed, "not namespaces of its own"},
	} {
		var stderr bytes.Buffer
		if code := run(test.args, os.Stdout, &stderr); code != test.code || !strings.Contains(stderr.String(), test.said) {
			t.Errorf("demo %q: exit code %d, said %q", test.args, code, stderr.String())
		}
	}
}
