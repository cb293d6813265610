package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"natspread/internal/paths"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
)

// TestStickyRun agrees in every verb where others may write in /run, or above the
// generations: it is safe where that directory is sticky, as container engines make it.
// Where it is not, whoever refuses names the line after which all do their work.
func TestStickyRun(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		root := rootWith(t, article)
		natspread := func(args ...string) outcome {
			return inProcess(append([]string{"--root", root, "--live", "--variant", string(variant)}, args...)...)
		}
		run, lib := filepath.Join(root, filepath.Dir(paths.Run)), filepath.Join(root, filepath.Dir(paths.State))
		for _, dir := range []string{run, lib} {
			hosttest.Must(t, os.MkdirAll(dir, 0o755))
			hosttest.Must(t, unix.Chmod(dir, 0o1777))
		}
		giveRoutes(t)
		natspread("apply").want(t, exitDone)
		writeFile(t, filepath.Join(root, paths.Config), strings.Replace(article, `, "10.0.0.3:80"`, "", 1))
		natspread("apply").want(t, exitDone)
		natspread("rollback").want(t, exitDone)
		natspread("restore").want(t, exitDone)
		natspread("status").want(t, exitDone)
		if got := natspread("doctor"); strings.Contains(got.out, "chmod") {
			t.Errorf("doctor:\n%s", got.out)
		}

		hosttest.Must(t, unix.Chmod(run, 0o777))
		fix := "chmod go-w " + run
		for _, args := range [][]string{{"apply"}, {"rollback"}, {"confirm"}} {
			if got := natspread(args...).want(t, exitFailed); !strings.Contains(got.err, fix) || strings.Contains(got.err, "natspread restore") {
				t.Errorf("%s: %s", args, got.err)
			}
		}
		for _, verb := range []string{"status", "doctor"} {
			if got := natspread(verb).want(t, exitFailed); !strings.Contains(got.out, "fix: "+fix+"\n") {
				t.Errorf("%s:\n%s", verb, got.out)
			}
		}
		natspread("restore").want(t, exitDone)
		hosttest.Must(t, unix.Chmod(run, 0o755)) // which is what the line does
		natspread("apply").want(t, exitDone)
		natspread("status").want(t, exitDone)

		hosttest.Must(t, unix.Chmod(lib, 0o777))
		fix = "chmod go-w " + lib
		if got := natspread("restore").want(t, exitFailed); !strings.Contains(got.err, "; fix: "+fix+" && natspread restore\n") {
			t.Errorf("restore: %s", got.err)
		}
		for _, verb := range []string{"status", "doctor"} {
			if got := natspread(verb).want(t, exitFailed); !strings.Contains(got.out, "fix: "+fix+"\n") {
				t.Errorf("%s:\n%s", verb, got.out)
			}
		}
	})
}
