package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"natspread/internal/paths"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/restore/generation"
	"natspread/units"
)

// journalStream returns both ends of what systemd gives a unit as standard error, a stream socket,
// and how systemd names it.
func journalStream(t *testing.T) (journal, stderr *os.File, name string) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	journal, stderr = os.NewFile(uintptr(fds[0]), "journal"), os.NewFile(uintptr(fds[1]), "stderr")
	t.Cleanup(func() { journal.Close(); stderr.Close() })
	var stat unix.Stat_t
	if err := unix.Fstat(fds[1], &stat); err != nil {
		t.Fatal(err)
	}
	return journal, stderr, fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
}

// inUnit runs natspread as a unit does, and returns what reaches the journal. In the name of
// the stream STREAM stands for the right one.
func inUnit(t *testing.T, name string, args ...string) (code int, lines string) {
	t.Helper()
	journal, stderr, right := journalStream(t)
	cmd := natspreadCommand(t, "natspread", args...)
	cmd.Env = append(os.Environ(), units.JournalVariable+"="+strings.ReplaceAll(name, "STREAM", right))
	cmd.Stderr = stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	stderr.Close()
	text, err := io.ReadAll(journal)
	if err != nil {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(text)
}

// TestJournal gives each line of an error its priority where standard error is the journal,
// and only there.
func TestJournal(t *testing.T) {
	t.Parallel()
	config := filepath.Join(t.TempDir(), "natspread.toml")
	writeFile(t, config, "[[service]]\nname = \"WEB\"\n")
	_, plain := inUnit(t, "", "check", "--config", config)
	if strings.Contains(plain, "<3>") || strings.Count(plain, "\n") < 3 {
		t.Fatalf("without a journal: %s", plain)
	}
	for _, c := range []struct {
		name  string // of the stream
		files bool   // it is filed as an error
	}{
		{"STREAM", true}, {"", false}, {"STREAM0", false}, {"0STREAM", false}, {"1:1", false}, {"garbage", false},
	} {
		code, lines := inUnit(t, c.name, "check", "--config", config)
		want := plain
		if c.files {
			want = "<3>" + strings.ReplaceAll(strings.TrimSuffix(plain, "\n"), "\n", "\n<3>") + "\n"
		}
		if code != exitConfig || lines != want {
			t.Errorf("%q: exit code %d,\n%s\nwant\n%s", c.name, code, lines, want)
		}
	}
}

// TestBootInJournal has boots fail: what journalctl -p err shows of each is one line, which
// says why and ends with what fixes it. What goes well is no error there.
func TestBootInJournal(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		root := rootWith(t, article)
		store := generation.Store{Root: root}
		hosttest.WriteCurrent(t, store, variant, hosttest.Article, hosttest.Smaller)
		boot := func(code int, want string) {
			t.Helper()
			got, lines := inUnit(t, "STREAM", "--root", root, "--live", "--variant", string(variant), "restore")
			if line := strings.TrimSuffix(lines, "\n"); got != code || strings.Contains(line, "\n") || !regexp.MustCompile(want).MatchString(line) {
				t.Errorf("exit code %d, want %d; %s, want %s", got, code, lines, want)
			}
		}
		boot(exitDone, "^restored generation 2 ")
		generations := store.Path(paths.Generations)
		hosttest.Must(t, os.Chmod(generations, 0o777))
		boot(exitFailed, "^<3>natspread: no good generation is left: .*; nothing was changed; fix: chmod go-w "+generations+" && natspread restore$")
		hosttest.Must(t, os.Chmod(generations, 0o700))
		hosttest.Must(t, os.Truncate(store.Path(paths.Generations, "2/rules.v4"), 1))
		boot(exitFailed, "^<3>natspread: fell back to generation 1: generation 2 is not good: .*; fix: natspread apply$")
		hosttest.Must(t, os.Truncate(store.Path(paths.Generations, "1/rules.v4"), 1))
		boot(exitFailed, "^<3>natspread: no good generation is left: .*; nothing was changed; fix: natspread apply$")
		inProcess("--root", root, "--live", "--variant", string(variant), "apply").want(t, exitDone)
		boot(exitDone, "^generation [0-9]+ is loaded already$")
	})
}
