package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"natspread/internal/console"
)

// errNobody stands for what is said where nobody can be asked.
var errNobody = errors.New("nobody; nothing was changed")

// Only a yes at a terminal is one; nothing that is typed ahead, no silence and no end.
func TestAsk(t *testing.T) {
	t.Parallel()
	for typed, confirmed := range map[string]bool{
		"y\n": true, "yes\n": true, " YES \n": true,
		"\n": false, "n\n": false, "yess\n": false, "no\n": false, "\x04": false,
	} {
		t.Run(fmt.Sprintf("%q", typed), func(t *testing.T) {
			user, terminal := openTerminal(t)
			if _, err := io.WriteString(user, typed); err != nil {
				t.Fatal(err)
			}
			s := &session{Console: console.Console{In: terminal, Err: terminal}}
			err := s.ask(t.Context(), "remove them?", errNobody)
			if (err == nil) != confirmed || err != nil && !strings.HasSuffix(err.Error(), "; nothing was changed") {
				t.Errorf("confirmed: %v", err)
			}
			for shown := ""; !strings.Contains(shown, "remove them? [y/N] "); shown += readShown(t, user) {
			}
		})
	}
}

// Who interrupts it while it asks has confirmed nothing, and need not answer.
func TestAskInterrupted(t *testing.T) {
	t.Parallel()
	user, terminal := openTerminal(t)
	ctx, interrupt := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- (&session{Console: console.Console{In: terminal, Err: terminal}}).ask(ctx, "remove them?", errNobody)
	}()
	for shown := ""; !strings.Contains(shown, "remove them? [y/N] "); shown += readShown(t, user) {
	}
	interrupt()
	select {
	case err := <-ended:
		if !errors.Is(err, errNotConfirmed) {
			t.Errorf("confirmed: %v", err)
		}
	case <-time.After(hangBound):
		t.Error("it still waits for an answer")
	}
}

// Without a terminal at either end, or when it should be quiet, nobody is asked.
func TestAskNobody(t *testing.T) {
	t.Parallel()
	_, terminal := openTerminal(t)
	for name, c := range map[string]struct {
		in    io.Reader
		quiet bool
	}{
		"no input terminal": {in: strings.NewReader("yes\n")},
		"no one to read it": {in: terminal},
		"quiet":             {in: terminal, quiet: true},
	} {
		var said bytes.Buffer
		s := &session{Console: console.Console{In: c.in, Err: &said, Flags: console.Flags{Quiet: c.quiet}}}
		if c.quiet {
			s.Err = terminal
		}
		if err := s.ask(t.Context(), "remove them?", errNobody); !errors.Is(err, errNobody) || said.Len() > 0 {
			t.Errorf("%s: %v, said %q", name, err, said.String())
		}
	}
}

// Whoever would take the port of the own ssh connection is told so, and asked.
func TestAskLogin(t *testing.T) {
	t.Parallel()
	user, terminal := openTerminal(t)
	if _, err := io.WriteString(user, "no\n"); err != nil {
		t.Fatal(err)
	}
	s := &session{Console: console.Console{In: terminal, Err: terminal}}
	if err := s.askLogin(t.Context(), "service ssh takes port 22"); !errors.Is(err, errNotConfirmed) || exitCode(err) != exitFailed {
		t.Error(err)
	}
	for shown := ""; !strings.Contains(shown, "service ssh takes port 22\r\nload it? [y/N] "); shown += readShown(t, user) {
	}
	if err := s.askLogin(t.Context(), ""); err != nil {
		t.Error(err)
	}
}

// openTerminal returns both ends of a new pseudo-terminal: the user's, and the one that
// a program has. It shows what the program writes and nothing else: the kernel would show what
// the user types at any moment, in the middle of that too.
func openTerminal(t *testing.T) (user, terminal *os.File) {
	t.Helper()
	user, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { user.Close() })
	number, err := unix.IoctlGetInt(int(user.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(user.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	modes, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	if err == nil {
		modes.Lflag &^= unix.ECHO
		err = unix.IoctlSetTermios(int(terminal.Fd()), unix.TCSETS, modes)
	}
	if err != nil {
		t.Fatal(err)
	}
	return user, terminal
}

// readShown waits for what a terminal shows next.
func readShown(t *testing.T, user *os.File) string {
	t.Helper()
	shown := make([]byte, 4096)
	n, err := user.Read(shown)
	if err != nil {
		t.Fatal(err)
	}
	return string(shown[:n])
}
