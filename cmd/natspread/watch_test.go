package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"natspread/internal/report"
	"natspread/internal/test/netnstest"
)

// watched is a natspread status --watch that runs.
type watched struct {
	cmd         *exec.Cmd
	out, stderr stream
}

// stream is what a program writes, from the other end.
type stream struct {
	*bufio.Reader
	file *os.File // a pipe, or a terminal
}

// watch starts one; its standard output is a terminal, or a pipe.
func watch(t *testing.T, terminal bool, args ...string) watched {
	t.Helper()
	var reader, writer *os.File
	var err error
	if terminal {
		reader, writer = openTerminal(t)
	} else if reader, writer, err = os.Pipe(); err != nil {
		t.Fatal(err)
	}
	cmd := natspreadCommand(t, "natspread", append(args, "status", "--watch")...)
	stderr, errWriter, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = writer, errWriter
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	writer.Close()
	errWriter.Close()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it has ended, unless the test failed
		reader.Close()
		stderr.Close()
	})
	return watched{cmd, stream{bufio.NewReader(reader), reader}, stream{bufio.NewReader(stderr), stderr}}
}

// until reads until something is there, and returns all that was read.
func (s stream) until(t *testing.T, want string) string {
	t.Helper()
	if err := s.file.SetReadDeadline(time.Now().Add(hangBound)); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for found := regexp.MustCompile(want); !found.MatchString(text.String()); {
		char, err := s.ReadByte()
		if err != nil {
			t.Fatalf("no %s, but %v in\n%s", want, err, text.String())
		}
		text.WriteByte(char)
	}
	return text.String()
}

// interrupt ends it as a person does, and returns its exit code.
func (w watched) interrupt(t *testing.T) int {
	t.Helper()
	if err := w.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = w.out.file.SetReadDeadline(time.Time{})
	go func() { _, _ = io.Copy(io.Discard, w.out) }()
	err := w.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return w.cmd.ProcessState.ExitCode()
}

// TestWatch watches rules that somebody changes: status says so by itself, and exits
// by what it read last.
func TestWatch(t *testing.T) {
	t.Parallel()
	for _, variant := range netnstest.VariantsFor(t, t.Name()) {
		t.Run(variant, func(t *testing.T) {
			if isolate(t) {
				watchRules(t, variant)
			}
		})
	}
}

// watchRules watches as lines, as JSON and on a terminal at once.
func watchRules(t *testing.T, variant string) {
	root := rootWith(t, liveConfig)
	flags := []string{"--root", root, "--live", "--variant", variant}
	empty := watch(t, false, flags...)
	empty.out.until(t, `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ  not_loaded\n`)
	inProcess(append(flags, "apply")...).want(t, exitDone)
	lines, objects := watch(t, false, flags...), watch(t, false, append(flags, "--json")...)
	screen := watch(t, true, append(flags, "--color", "never")...)
	lines.out.until(t, `^\S+Z  in_sync  web  0 connections, 0 live\n\S+Z  in_sync  also  0 connections, 0 live\n`)
	if first := screen.out.until(t, "J"); !strings.HasPrefix(first, "\x1b[H20") || !strings.Contains(first, "\x1b[K\r\nin sync: boot loads generation 1") || !strings.HasSuffix(first, "\x1b[J") {
		t.Errorf("the first picture is %q", first)
	}
	wantObject(t, objects, report.InSync)
	// A terminal that is too small shows the beginning, and nothing scrolls.
	if err := unix.IoctlSetWinsize(int(screen.out.file.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 4, Col: 80}); err != nil {
		t.Fatal(err)
	}
	screen.out.until(t, `\x1b\[H20[^\n]*\n[^\n]*in sync: [^\n]*\n\.\.\. \d+ more lines\x1b\[K\r\n\x1b\[J`)
	empty.out.until(t, "  in_sync  web ")
	inProcess(append(flags, "stop")...).want(t, exitDone)
	empty.out.until(t, "  not_loaded  web ")
	lines.out.until(t, "  not_loaded  web ")
	screen.out.until(t, "\x1b\\[H20[^\x1b]*\x1b\\[K\r\nnot loaded: ")
	for wantObject(t, objects, "") != report.NotLoaded {
		continue // a line from before the stop
	}
	for _, w := range []watched{empty, lines, objects, screen} {
		if code := w.interrupt(t); code != exitNotLoaded {
			t.Errorf("exit code %d", code)
		}
		if said, err := io.ReadAll(w.stderr); err != nil || len(said) != 0 {
			t.Errorf("it said %s, %v", said, err)
		}
	}
}

// wantObject reads an object that is a line, and returns its state; "" wants any.
func wantObject(t *testing.T, w watched, want report.State) report.State {
	t.Helper()
	line, err := w.out.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var status report.Status
	if err := json.Unmarshal([]byte(line), &status); err != nil || want != "" && status.State != want {
		t.Errorf("%v, not %q: %s", err, want, line)
	}
	return status.State
}

// TestWatchGoesOn takes the programs away for a while: a watch shows that, and goes on.
func TestWatchGoesOn(t *testing.T) {
	if !isolate(t) {
		return
	}
	root := rootWith(t, article)
	flags := []string{"--root", root, "--live", "--variant", "nft"}
	inProcess(append(flags, "apply")...).want(t, exitDone)
	lines, screen, ended := watch(t, false, flags...), watch(t, true, flags...), watch(t, true, flags...)
	lines.out.until(t, "in_sync")
	for _, w := range []watched{screen, ended} {
		w.out.until(t, "in sync")
	}
	hidePrograms(t, root)
	for _, w := range []watched{screen, ended} {
		w.out.until(t, "\x1b\\[H20[^\x1b]*\x1b\\[K\r\nnatspread: cannot find iptables-nft-save in [^\n]*\x1b\\[K\r\n\x1b\\[J")
	}
	lines.stderr.until(t, "^natspread: cannot find iptables-nft-save in .*\n")
	if code := ended.interrupt(t); code != exitMissing {
		t.Errorf("exit code %d", code)
	}
	if err := unix.Unmount("/usr/sbin", 0); err != nil {
		t.Fatal(err)
	}
	screen.out.until(t, "in sync")
	if code := screen.interrupt(t); code != exitDone {
		t.Errorf("exit code %d", code)
	}
	lines.out.until(t, "in_sync")
	lines.interrupt(t)
}

// TestWatchInterrupted ends a watch that has read nothing yet: nobody may take that for
// a state.
func TestWatchInterrupted(t *testing.T) {
	if !isolate(t) {
		return
	}
	root := rootWith(t, article)
	inProcess("--root", root, "--live", "--variant", "nft", "apply", "-q").want(t, exitDone) // the kernel alone tells that nothing is there
	begun := hangingPrograms(t)
	hanging := watch(t, false, "--root", root, "--live", "--variant", "nft")
	eventually(t, "the run of the program", exists(begun))
	if code := hanging.interrupt(t); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	hanging.stderr.until(t, "^natspread: .*: killed after .*\n")
}

// TestWatchTrouble ends a watch that nobody can read, or that cannot read the host.
func TestWatchTrouble(t *testing.T) {
	if !isolate(t) {
		return
	}
	root := rootWith(t, article)
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	reader.Close()
	cmd := natspreadCommand(t, "natspread", "--root", root, "--live", "--variant", "nft", "status", "--watch")
	cmd.Stdout = writer
	began := time.Now()
	if err := cmd.Run(); cmd.ProcessState.ExitCode() != exitFailed {
		t.Errorf("a closed pipe: %v after %v", err, time.Since(began))
	}
	writer.Close()
	inProcess("--root", root, "--live", "--variant", "nft", "apply", "-q").want(t, exitDone) // the kernel alone tells that nothing is there
	hidePrograms(t, root)
	inProcess("--root", root, "--live", "--variant", "nft", "status", "--watch").want(t, exitMissing).oneComplaint(t)
}
