package restore_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/internal/test/testsize"
	"natspread/restore"
)

// needStrace skips a test where strace(1) is not installed, which puts errors of the kernel
// into a program; where namespaces are required, so is it.
func needStrace(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil {
		if os.Getenv(netnstest.Require) == "1" {
			t.Fatal("missing: strace (apt-get install strace)")
		}
		t.Skip("missing: strace (apt-get install strace)")
	}
}

// points is up to which system call of a name a program meets an error: in CI of all of them.
func points() int {
	if testsize.Whole() {
		return 1000
	}
	return 3
}

// injected does something while calls that match a pattern of sh's meet an error of the
// kernel: at the nth system call of that name, as strace's -e inject has it. It tells whether
// any call came so far.
func (p programs) injected(t *testing.T, pattern, syscall string, nth int, do func()) (came bool) {
	t.Helper()
	log := filepath.Join(p.dir, "injected")
	script := fmt.Sprintf("exec strace -qq -A -o %s -e trace=%[2]s -e inject=%[2]s:error=EIO:when=%d %s/\"$name\" \"$@\"", log, syscall, nth, p.dir)
	p.faulty(t, pattern, script, do)
	text, err := os.ReadFile(log)
	hosttest.Must(t, err)
	hosttest.Must(t, os.Remove(log))
	return strings.Contains(string(text), "(INJECTED)")
}

// TestErrorsBelowSave has every iptables-save of stop meet an error of the kernel, at each
// message that it sends or gets. Whatever it makes of that: stop says that the rules are out
// only where they are, and else that nothing was changed, where nothing was.
func TestErrorsBelowSave(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		needStrace(t)
		programs := findPrograms(t, variant)
		calls := map[rules.Variant][]string{rules.NFT: {"sendto", "recvmsg"}, rules.Legacy: {"getsockopt"}}
		for _, call := range calls[variant] {
			for nth := 1; nth <= points(); nth++ {
				hosttest.Boot(t, variant)
				host := newHost(t, variant)
				apply(t, host, hosttest.Accepted(hosttest.Article))
				before := state(t, host)
				var err error
				came := programs.injected(t, saveCall, call, nth, func() { _, err = host.Stop(t.Context()) })
				wantStopped(t, host, before, fmt.Sprintf("%s %d", call, nth), err)
				if _, err := host.Stop(t.Context()); err != nil {
					t.Fatalf("%s %d: a second stop: %v", call, nth, err)
				}
				if !came {
					break
				}
			}
		}
	})
}

// wantStopped asks that nothing of natspread's is in the kernel after a stop without an
// error, and everything as before after one that says that nothing was changed.
func wantStopped(t *testing.T, host restore.Host, before, what string, err error) {
	t.Helper()
	if err == nil {
		if left := hosttest.Everything(t, host.Variant); strings.Contains(left, "NATSPREAD") {
			t.Errorf("%s: stop says that the rules are out of the kernel:\n%s", what, left)
		}
		return
	}
	if strings.HasSuffix(err.Error(), "; nothing was changed") {
		wantState(t, host, before)
	}
}

// loadOldRevision loads a transaction with the older revision of the conntrack match that
// iptables-nft-restore takes when the kernel's answer on the first one is lost. Its ports
// are then in the other order of bytes.
func loadOldRevision(t *testing.T, f rules.Family, text string) {
	t.Helper()
	name := hosttest.Programs(rules.NFT, f).Restore
	netnstest.Self().Command(t, text, "strace", "-qq", "-o", "/dev/null", "-e", "inject=recvmsg:error=EIO:when=1", name, "--noflush", "-w", "5")
	if saved := hosttest.SaveFilter(t, rules.NFT, f); !strings.Contains(saved, "--ctorigdstport 20480") {
		t.Fatalf("it is no older revision:\n%s", saved)
	}
}

// TestOldRevision takes a jump out that iptables does not find by its text: one that the
// kernel holds with an older revision of its match. Nobody else's rules go with it.
func TestOldRevision(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		if variant != rules.NFT {
			return // iptables-legacy-restore fails where it is not told the revisions
		}
		needStrace(t)
		for _, verb := range []struct {
			name string
			do   func(host restore.Host) error
		}{
			{"stop", func(host restore.Host) error { _, err := host.Stop(t.Context()); return err }},
			{"apply without it", func(host restore.Host) error {
				_, err := host.Apply(t.Context(), request(t, hosttest.Smaller))
				return err
			}},
		} {
			t.Run(verb.name, func(t *testing.T) {
				hosttest.Boot(t, variant)
				filterPart().putForeign(t, variant)
				before := filterPart().save(t, variant)
				host := newHost(t, variant)
				apply(t, host, hosttest.Article)
				for _, f := range rules.Families() {
					loadOldRevision(t, f, oldForward(t, f))
				}
				hosttest.Must(t, verb.do(host))
				hosttest.WantSame(t, "the filter tables", before, filterPart().save(t, variant))
			})
		}
	})
}

// oldForward returns a transaction that makes natspread's part of a family's filter table.
func oldForward(t *testing.T, f rules.Family) string {
	t.Helper()
	var text strings.Builder
	text.WriteString("*filter\n")
	table := hosttest.Tables(t, hosttest.Accepted(hosttest.Article)).Filter(f)
	for _, chain := range table.Chains {
		fmt.Fprintf(&text, ":%s - [0:0]\n", chain.Name)
	}
	for _, chain := range table.Chains {
		for _, rule := range chain.Rules {
			fmt.Fprintf(&text, "-A %s %s\n", chain.Name, rule.AppendText(nil))
		}
	}
	for _, jump := range table.Jumps(rules.Forward) {
		fmt.Fprintf(&text, "-I %s 1 %s\n", rules.Forward, jump.AppendText(nil))
	}
	return text.String() + "COMMIT\n"
}

// TestErrorsBelowLoad has one load of an apply meet an error of the kernel, at each message
// that iptables-nft-restore sends or gets, and so also load an older revision of a match. The
// apply fails, and reverts all of it, or does what it says.
func TestErrorsBelowLoad(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		needStrace(t)
		programs := findPrograms(t, variant)
		calls := map[rules.Variant][]string{rules.NFT: {"sendto", "recvmsg", "sendmsg"}, rules.Legacy: {"getsockopt", "setsockopt"}}
		for _, call := range calls[variant] {
			for nth := 1; nth <= points(); nth++ {
				hosttest.Boot(t, variant)
				filterPart().putForeign(t, variant)
				host := newHost(t, variant)
				apply(t, host, hosttest.Article)
				before := state(t, host)
				var err error
				came := programs.injectedOnce(t, call, nth, func() { _, err = host.Apply(t.Context(), request(t, hosttest.Accepted(hosttest.Article))) })
				if err == nil {
					hosttest.WantLoaded(t, variant, hosttest.Accepted(hosttest.Article))
				} else {
					wantUnchanged(t, host, before, err, classOf(err))
				}
				if !came {
					break
				}
			}
		}
	})
}

// injectedOnce is injected for the first load of a filter table alone.
func (p programs) injectedOnce(t *testing.T, syscall string, nth int, do func()) (came bool) {
	t.Helper()
	once, log := filepath.Join(p.dir, "once"), filepath.Join(p.dir, "injected")
	script := fmt.Sprintf(`cat > %[1]s/in
if grep -q '^\*filter' %[1]s/in && mkdir %[2]s 2>/dev/null; then
  exec strace -qq -o %[3]s -e trace=%[4]s -e inject=%[4]s:error=EIO:when=%[5]d %[1]s/"$name" "$@" < %[1]s/in
fi
exec %[1]s/"$name" "$@" < %[1]s/in`, p.dir, once, log, syscall, nth)
	p.faulty(t, loadCall, script, do)
	text, err := os.ReadFile(log)
	hosttest.Must(t, err)
	hosttest.Must(t, os.Remove(once))
	return strings.Contains(string(text), "(INJECTED)")
}

// classOf returns which of the errors that callers know an error is.
func classOf(err error) error {
	for _, class := range []error{program.ErrMissing, program.ErrBusy, program.ErrNoRights} {
		if errors.Is(err, class) {
			return class
		}
	}
	return nil
}
