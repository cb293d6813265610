package restore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"natspread/internal/configfiles"
	"natspread/internal/paths"
	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/restore"
	"natspread/restore/generation"
)

// newHost returns a host with a root directory of its own.
func newHost(t testing.TB, variant rules.Variant) restore.Host {
	t.Helper()
	return restore.Host{Root: hosttest.Root(t), Run: program.Exec(), Variant: variant, Version: "test"}
}

// place returns a path below a host's state directory.
func place(host restore.Host, elements ...string) string {
	return filepath.Join(append([]string{host.Root, paths.State}, elements...)...)
}

// two writes Article as generation 1, and Smaller as 2, which is current.
func two(t *testing.T, host restore.Host) {
	t.Helper()
	hosttest.WriteCurrent(t, generation.Store{Root: host.Root}, host.Variant, hosttest.Article, hosttest.Smaller)
}

// request asks for what a config says.
func request(t testing.TB, toml string) restore.Request {
	t.Helper()
	return restore.Request{
		Tables: hosttest.Tables(t, toml), Services: rules.EncodeServices(hosttest.Services(t, toml)),
		Config: configfiles.Alone("natspread.toml", []byte(toml)), Command: "apply", Now: hosttest.Day(),
	}
}

// apply applies a config, and fails the test when that does.
func apply(t testing.TB, host restore.Host, toml string) restore.Result {
	t.Helper()
	result, err := host.Apply(t.Context(), request(t, toml))
	hosttest.Must(t, err)
	return result
}

// state is all that an apply may change, as text: both families' tables with
// counters, forwarding, and every file below the root.
func state(t testing.TB, host restore.Host) string {
	t.Helper()
	var b strings.Builder
	for _, f := range rules.Families() {
		tables := hosttest.SaveTables(t, host.Variant, f)
		b.WriteString(strings.Join(tables[:], ""))
	}
	fmt.Fprintf(&b, "forwarding %s\n", hosttest.Forwarding(t))
	hosttest.Must(t, filepath.WalkDir(host.Root, func(path string, entry os.DirEntry, err error) error {
		if inside := strings.Contains(path, "/generations/"); err == nil && inside && entry.IsDir() {
			fmt.Fprintf(&b, "%s/\n", strings.TrimPrefix(path, host.Root))
		}
		// What was seen of the kernel says nothing but how to find that out faster, a copy
		// of what is to be replaced nothing but what the kernel held, and the number of the
		// last trial nothing but which one comes next.
		if err != nil || entry.IsDir() || entry.Name() == "lock" || entry.Name() == "loaded" || entry.Name() == "last-tried" || strings.HasPrefix(entry.Name(), "replaced.") {
			return err
		}
		content, err := os.ReadFile(path)
		if entry.Type()&os.ModeSymlink != 0 {
			var target string
			target, err = os.Readlink(path)
			content = []byte(target)
		}
		fmt.Fprintf(&b, "%s: %q\n", strings.TrimPrefix(path, host.Root), content)
		return err
	}))
	return b.String()
}

// wantState compares the state with an earlier one.
func wantState(t testing.TB, host restore.Host, before string) {
	t.Helper()
	hosttest.WantSame(t, "the state", before, state(t, host))
}

// wantUnchanged asks for an error of a class that promises that all is as it was,
// and holds it to that.
func wantUnchanged(t testing.TB, host restore.Host, before string, err, class error) {
	t.Helper()
	wantClass(t, err, class)
	if err != nil && !strings.HasSuffix(err.Error(), "; nothing was changed") {
		t.Errorf("the error does not say that nothing was changed: %v", err)
	}
	wantState(t, host, before)
}

// wantClass asks for an error of a class, or with nil of none of them.
func wantClass(t testing.TB, err, class error) {
	t.Helper()
	if err == nil {
		t.Error("no error")
	}
	for _, known := range []error{program.ErrMissing, program.ErrBusy, program.ErrNoRights} {
		if errors.Is(err, known) != (known == class) {
			t.Errorf("is %q: %v, in %v", known, errors.Is(err, known), err)
		}
	}
}

// status reads the state of a host.
func status(t testing.TB, host restore.Host) restore.Status {
	t.Helper()
	read, err := host.Status(t.Context())
	hosttest.Must(t, err)
	return read
}

// lines returns all that differs, in the order of Status.
func lines(s restore.Status) []string {
	var texts []string
	for _, line := range slices.Concat(s.Rules, s.OtherVariant, s.JumpsNotFirst, s.NotForwarded) {
		texts = append(texts, line.Text)
	}
	return texts
}

// wantInSync asks that rules are loaded, and that another load would change nothing.
func wantInSync(t testing.TB, host restore.Host) {
	t.Helper()
	if s := status(t, host); s.Differs() {
		t.Errorf("loaded %v, and these differ: %q", s.Loaded, lines(s))
	}
}

// wantLine asks that rules are loaded, and that some line says how they differ.
func wantLine(t testing.TB, host restore.Host, line string) {
	t.Helper()
	if s := status(t, host); !s.Loaded || !slices.Contains(lines(s), line) {
		t.Errorf("loaded %v, and these differ: %q; want %q", s.Loaded, lines(s), line)
	}
}

// wantNotLoaded asks that no packet meets rules of natspread's.
func wantNotLoaded(t testing.TB, host restore.Host) {
	t.Helper()
	if s := status(t, host); s.Loaded || !s.Differs() || len(s.Rules)+len(s.NotForwarded) != 0 {
		t.Errorf("loaded %v, and these differ: %q", s.Loaded, lines(s))
	}
}

// noProgram returns a Runner of which the test fails when anything is run.
func noProgram(t *testing.T) program.Runner {
	return func(_ context.Context, _ []byte, name string, args ...string) ([]byte, error) {
		t.Errorf("%s %q was run", name, args)
		return nil, errSeam
	}
}
