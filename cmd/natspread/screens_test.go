package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"golang.org/x/sys/unix"

	"natspread/internal/console"
	"natspread/internal/program"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/screentest"
)

// The configs of a terminal's screens, one after the other: a wrong one, one, and another one in which a service comes,
// one goes and one changes.
const (
	screenWrong = `[[service]]
name = "web"
listen = "192.0.2.10:80"
backends = ["10.0.0.1:80", { address = "10.0.0.2:80", wieght = 2 }]
`
	screenFirst = `[[service]]
name = "web"
listen = "192.0.2.10:80"
backends = ["10.0.0.1:80", "10.0.0.2:80"]

[[service]]
name = "old"
listen = "192.0.2.10:81"
backends = "10.0.0.1:81"
`
	screenSecond = `[[service]]
name = "web"
listen = "192.0.2.10:80"
backends = ["10.0.0.1:80", { address = "10.0.0.2:80", weight = 2 }]

[[service]]
name = "a-name-of-thirty-two-characters-"
listen = "[2001:db8::10]:443"
snat = "2001:db8::10"
forward = "accept"
backends = ["[fd00:1111:2222:3333:4444:5555:6666:7777]:8443", "[fd00:1111:2222:3333:4444:5555:6666:8888]:8443"]
`
)

// TestTerminal compares what verbs show on real terminals of 80 and of 120 columns: results, words and errors. It is
// for one variant of iptables, whose name is in the goldens.
func TestTerminal(t *testing.T) {
	if !isolate(t) {
		return
	}
	hosttest.Must(t, os.Unsetenv("NO_COLOR"))
	hosttest.Must(t, os.Setenv("TERM", "xterm"))
	golden, err := filepath.Abs(filepath.Join(house, "testdata/screens/terminal.txtar"))
	hosttest.Must(t, err)
	shown := &txtar.Archive{Comment: []byte("What verbs show on a terminal, one after the other.\n")}
	for _, columns := range screentest.Columns() {
		hosttest.Must(t, os.Chdir(rootWith(t, screenWrong)))
		text := ""
		for _, step := range []struct {
			config, line string
			code         int
		}{
			{screenWrong, "check", exitConfig},
			{screenFirst, "check", exitDone},
			{screenFirst, "apply", exitDone},
			{screenSecond, "diff", exitFailed},
			{screenSecond, "apply", exitDone},
			{screenSecond, "apply", exitDone},
			{screenSecond, "drain web 10.0.0.1:80", exitDone},
			{"", "status", exitDone},
			{"", "status wep", exitUsage},
			{"", "rollback", exitDone},
			{"", "history", exitDone},
			{"", "doctor", exitDone},
			{"", "render --explain 192.0.2.10:80", exitDone},
			{"", "stop", exitDone},
			{"", "status", exitNotLoaded},
		} {
			if step.config != "" {
				writeFile(t, "natspread.toml", step.config)
			}
			code, said := onTerminal(t, columns, strings.Fields(step.line))
			if code != step.code {
				t.Errorf("%s: exit code %d", step.line, code)
			}
			screentest.Check(t, said, columns)
			text += "$ natspread " + step.line + "\n" + screentest.Readable(said) + "\n"
		}
		hosttest.Must(t, os.Chdir("/"))
		shown.Files = append(shown.Files, txtar.File{Name: strconv.Itoa(columns), Data: []byte(text)})
	}
	screentest.Compare(t, golden, *update, shown)
}

// onTerminal runs natspread on a terminal of so many columns, below the directory in which it is, and returns what is
// shown in the end.
func onTerminal(t *testing.T, columns int, args []string) (code int, shown string) {
	t.Helper()
	user, terminal := openTerminal(t)
	hosttest.Must(t, unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 50, Col: uint16(columns)}))
	s := &session{Console: console.Console{In: terminal, Out: terminal, Err: terminal}, runner: program.Exec(), connect: noSystemd}
	ended := make(chan int)
	const end = "\x04"
	go func() {
		code := run(append([]string{"--root", ".", "--config", "natspread.toml", "--live", "--variant", "nft"}, args...), s)
		fmt.Fprint(terminal, end)
		ended <- code
	}()
	for !strings.HasSuffix(shown, end) {
		shown += readShown(t, user)
	}
	return <-ended, settled(strings.TrimSuffix(shown, end))
}

// TestStyled has styles on a terminal, unless somebody does not want them, or the terminal has none.
func TestStyled(t *testing.T) {
	t.Chdir(rootWith(t, screenWrong))
	writeFile(t, "natspread.toml", screenWrong)
	for _, c := range []struct {
		noColor, term string
		args          []string
		styled        bool
	}{
		{"", "xterm", nil, true},
		{"", "", nil, true},
		{"", "dumb", nil, false},
		{"1", "xterm", nil, false},
		{"1", "dumb", []string{"--color", "always"}, true},
		{"", "xterm", []string{"--color", "never"}, false},
	} {
		t.Setenv("NO_COLOR", c.noColor)
		t.Setenv("TERM", c.term)
		_, said := onTerminal(t, 80, append([]string{"check"}, c.args...))
		if strings.Contains(said, "\x1b[31m^") != c.styled || !strings.Contains(said, "^^^^^^") {
			t.Errorf("%+v: %q", c, said)
		}
	}
}

// What is gone from a terminal in the end, and what is another one each time.
var (
	doing  = regexp.MustCompile(`\r\x1b\[K([^\r\n\x1b]*\.\.\.)?`)
	madeAt = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`)
)

// settled returns what a terminal shows when all is done.
func settled(written string) string {
	written = strings.ReplaceAll(doing.ReplaceAllString(written, ""), "\r\n", "\n")
	return madeAt.ReplaceAllString(written, "2026-01-02 12:00:00")
}
