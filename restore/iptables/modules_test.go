package iptables_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/restore/iptables"
)

// bySlots is a service whose clients have slots, beside one of chance.
const bySlots = hosttest.Article + `
[[service]]
name = "short"
listen = "192.0.2.10:82"
backends = ["10.0.0.1:80", "10.0.0.2:80"]
clamp_mss = 1260

[[service]]
name = "slots"
listen = "192.0.2.10:81"
backends = ["10.0.0.1:80", "10.0.0.2:80"]
algorithm = "source"
slots = 16
`

// extensionsWithout returns a directory with iptables' extensions but for one.
func extensionsWithout(t *testing.T, missing string) string {
	t.Helper()
	dir := t.TempDir()
	paths, err := filepath.Glob("/usr/lib/*/xtables/*.so")
	hosttest.Must(t, err)
	found := false
	for _, path := range paths {
		if filepath.Base(path) == missing {
			found = true
			continue
		}
		hosttest.Must(t, os.Symlink(path, filepath.Join(dir, filepath.Base(path))))
	}
	if !found {
		t.Fatalf("this host has no %s among %d extensions", missing, len(paths))
	}
	return dir
}

// runWith runs programs with iptables' extensions in a directory.
func runWith(dir string) program.Runner {
	return func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
		command := exec.CommandContext(ctx, name, args...)
		command.Env = append(os.Environ(), "XTABLES_LIBDIR="+dir)
		command.Stdin = bytes.NewReader(stdin)
		var stderr bytes.Buffer
		command.Stderr = &stderr
		out, err := command.Output()
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			return nil, &program.Error{Name: name, Args: args, Code: exit.ExitCode(), Stderr: stderr.String(), Err: err}
		}
		return out, err
	}
}

// TestProofNamesMissing takes an extension away from iptables, and has another one that the
// kernel refuses: the proof names it and its module, and with all there it names none.
func TestProofNamesMissing(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		tables := hosttest.Tables(t, bySlots)
		nothing, err := iptables.Kernel{Run: program.Exec(), Variant: variant}.Snapshots(t.Context(), tables)
		hosttest.Must(t, err)
		for _, c := range []struct {
			name, module string
			run          program.Runner
		}{
			{"no libxt_HMARK.so", "xt_HMARK", runWith(extensionsWithout(t, "libxt_HMARK.so"))},
			{"no libxt_statistic.so", "xt_statistic", runWith(extensionsWithout(t, "libxt_statistic.so"))},
			{"no libxt_TCPMSS.so", "xt_TCPMSS", runWith(extensionsWithout(t, "libxt_TCPMSS.so"))},
			{"no libxt_conntrack.so", "xt_conntrack", runWith(extensionsWithout(t, "libxt_conntrack.so"))},
			{"a kernel without TCPMSS", "xt_TCPMSS", refusing("TCPMSS")},
			{"a kernel without HMARK", "xt_HMARK", refusing("HMARK")},
			{"a kernel without CONNMARK", "xt_connmark", refusing("CONNMARK")},
		} {
			kernel := iptables.Kernel{Run: c.run, Variant: variant}
			err := kernel.ProveAll(t.Context(), tables)
			fix := "fix: modprobe " + c.module + " # RHEL 10: dnf install kernel-modules-extra"
			if !errors.Is(err, program.ErrMissing) || !strings.HasSuffix(err.Error(), fix) {
				t.Errorf("%s: %v, which does not say %q", c.name, err, fix)
			}
			if _, err = kernel.Load(t.Context(), nothing, tables); err == nil || !strings.Contains(err.Error(), fix) {
				t.Errorf("%s: a load: %v, which does not say %q", c.name, err, fix)
			}
		}
		kernel := iptables.Kernel{Run: program.Exec(), Variant: variant}
		hosttest.Must(t, kernel.Missing(t.Context(), tables.IPv4))
		hosttest.Must(t, kernel.ProveAll(t.Context(), tables))
		tables.IPv4.Chains[0].Rules = append(tables.IPv4.Chains[0].Rules, rules.Rule{Target: rules.Target{Chain: "NATSPREAD-none"}})
		if err := kernel.ProveAll(t.Context(), tables); err == nil || strings.Contains(err.Error(), "modprobe") {
			t.Errorf("for a chain that is not there the proof says %v", err)
		}
	})
}

// refusing runs programs in a kernel that has no such target: as it says then, by the words of
// the nft variant.
func refusing(target string) program.Runner {
	run := program.Exec()
	return func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
		if bytes.Contains(stdin, []byte("-j "+target+" ")) {
			return nil, &program.Error{
				Name: name, Args: args, Code: 4, Err: errors.New("exit status 4"),
				Stderr: "RULE_APPEND failed (No such file or directory): rule in chain NATSPREAD-slots",
			}
		}
		return run(ctx, stdin, name, args...)
	}
}
