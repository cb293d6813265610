package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"natspread/internal/console"
	"natspread/internal/paths"
	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
)

// TestEditAsks edits at a terminal: what is wrong is edited again if the answer is yes, and what is good applied.
func TestEditAsks(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		giveRoutes(t)
		// The first time it writes what is wrong, and then mends it.
		editor := filepath.Join(t.TempDir(), "editor")
		writeFile(t, editor, "#!/bin/sh\nif [ -e $0.wrote ]; then sed -i s/wrong/local/ \"$1\"; else echo wrong = false >>\"$1\"; : >$0.wrote; fi\n")
		hosttest.Must(t, os.Chmod(editor, 0o755))
		hosttest.Must(t, os.Setenv("VISUAL", editor))
		for _, c := range []struct {
			answers []string
			code    int
			config  string // behind article
			loaded  bool
		}{
			{[]string{"n"}, exitConfig, "", false},
			{[]string{"y", "n"}, exitDone, "local = false\n", false},
			{[]string{"y", "y"}, exitDone, "local = false\n", true},
		} {
			root := rootWith(t, article)
			flags := []string{"--root", root, "--live", "--variant", string(variant)}
			inProcess(append(flags, "apply", "-q")...).want(t, exitDone)
			_ = os.Remove(editor + ".wrote")
			user, terminal := openTerminal(t)
			var stdout bytes.Buffer
			s := &session{Console: console.Console{In: terminal, Out: &stdout, Err: terminal}, runner: program.Exec(), connect: noSystemd}
			ended := make(chan int)
			go func() { ended <- run(append(flags, "edit"), s) }()
			text := ""
			for i, question := range []string{"edit it again? [y/N] ", "apply it? [y/N] "}[:len(c.answers)] {
				for !strings.HasSuffix(text, question) {
					text += readShown(t, user)
				}
				_, err := io.WriteString(user, c.answers[i]+"\n")
				hosttest.Must(t, err)
			}
			code := <-ended
			_, err := io.WriteString(terminal, "the end")
			hosttest.Must(t, err)
			for !strings.HasSuffix(text, "the end") {
				text += readShown(t, user)
			}
			now, err := os.ReadFile(filepath.Join(root, paths.Config))
			hosttest.Must(t, err)
			if code != c.code || string(now) != article+c.config || strings.Contains(text, "applied generation 2") != c.loaded ||
				strings.Contains(stdout.String(), "local") != (code == exitDone) {
				t.Errorf("%q: exit code %d, the config is\n%s\nit prints\n%s\nand says\n%s", c.answers, code, now, stdout.String(), text)
			}
		}
	})
}
