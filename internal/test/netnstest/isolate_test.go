package netnstest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"natspread/internal/test/testsize"
)

// requireNamespaces keeps tests that start TestHelper from failing where the
// machine refuses namespaces.
func requireNamespaces(t *testing.T) {
	t.Helper()
	if out, code := runHelper(t, "pass", nil); code == 0 && strings.Contains(out, "--- SKIP") {
		t.Skip(out)
	}
}

func TestChildResultIsTheTests(t *testing.T) {
	t.Parallel()
	requireNamespaces(t)
	for _, c := range []struct {
		behaviour string
		code      int
		want      []string // in the output
		never     string
	}{
		{behaviour: "pass", want: []string{"--- PASS: TestHelper (", "inside net:["}},
		{behaviour: "subtests", want: []string{"inside TestHelper/a_b/c\n", "inside TestHelper/a_b/cd\n", "--- PASS: TestHelper/a_b/cd ("}},
		{behaviour: "subtest skips", want: []string{"--- PASS: TestHelper (", "inner reason", "--- SKIP: TestHelper/inner ("}},
		{behaviour: "fail", code: 1, want: []string{"--- FAIL: TestHelper (", "deliberate failure"}},
		{behaviour: "panic", code: 1, want: []string{"--- FAIL: TestHelper (", "deliberate panic", "exit status 2"}},
		{behaviour: "skip", want: []string{"--- SKIP: TestHelper (", "deliberate skip"}},
		{behaviour: "no test", code: 1, want: []string{"--- FAIL: TestHelper (", "did not run it"}},
		{behaviour: "bad end", code: 1, want: []string{"--- FAIL: TestHelper (", "exit status 7"}},
		{behaviour: "exit 0", code: 1, want: []string{"--- FAIL: TestHelper (", "unexpected call to os.Exit(0)"}},
		{behaviour: "twice", code: 1, want: []string{"--- FAIL: TestHelper (", "already in the namespaces of TestHelper"}},
		{behaviour: "host outside", code: 1, want: []string{"--- FAIL: TestHelper (", "cannot make host a: Isolate was not called"}},
		{behaviour: "fail in host", code: 1, want: []string{"--- FAIL: TestHelper (", "deliberate failure"}, never: "not reached"},
		{behaviour: "skip in host", want: []string{"--- SKIP: TestHelper (", "deliberate skip"}, never: "not reached"},
	} {
		t.Run(c.behaviour, func(t *testing.T) {
			t.Parallel()
			out, code := runHelper(t, c.behaviour, nil)
			if code != c.code || c.never != "" && strings.Contains(out, c.never) {
				t.Errorf("exit code %d, want %d, and no %q in\n%s", code, c.code, c.never, out)
			}
			for _, want := range c.want {
				if strings.Count(out, want) != 1 {
					t.Errorf("want %q once in\n%s", want, out)
				}
			}
		})
	}
}

func TestHangingChildFailsBeforeTheDeadline(t *testing.T) {
	t.Parallel()
	requireNamespaces(t)
	out, code := runHelper(t, "hang", func(c *exec.Cmd) { c.Args = append(c.Args, "-test.timeout=4s") })
	for _, want := range []string{"--- FAIL: TestHelper (", "test timed out after 1.", "netnstest.hang(", "exit status 2"} {
		if code != 1 || !strings.Contains(out, want) {
			t.Errorf("exit code %d, want 1, and %q in\n%s", code, want, out)
		}
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	requireNamespaces(t)
	profile := filepath.Join(t.TempDir(), "cpu.out")
	out, code := runHelper(t, "pass", func(c *exec.Cmd) {
		c.Args = append(c.Args, "-test.short", "-test.cpuprofile="+profile, "-netnstest.note=own flag", "argument")
	})
	for _, want := range []string{"own flag", "-test.short=true", "-test.run=^TestHelper$ ", " argument]"} {
		if code != 0 || !strings.Contains(out, want) {
			t.Errorf("exit code %d, want 0, and %q in\n%s", code, want, out)
		}
	}
	if strings.Contains(out, "cpuprofile") {
		t.Errorf("the child writes the parent's profile:\n%s", out)
	}
	if info, err := os.Stat(profile); err != nil || info.Size() == 0 {
		t.Errorf("the parent's own profile: %v, %v", info, err)
	}
}

func TestAnchored(t *testing.T) {
	for name, want := range map[string]string{
		"TestA":             "^TestA$",
		"TestA/nft_(v4)/x":  `^TestA$/^nft_\(v4\)$/^x$`,
		"TestA/[2001:db8]":  `^TestA$/^\[2001:db8\]$`,
		"TestA/a|b#01/1.50": `^TestA$/^a\|b#01$/^1\.50$`,
	} {
		if diff := cmp.Diff(want, anchored(name)); diff != "" {
			t.Errorf("anchored(%q) (-want +got):\n%s", name, diff)
		}
	}
}

func TestIsolated(t *testing.T) {
	machine, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	if !Isolate(t) {
		return
	}
	if os.Getuid() != 0 || os.Getpid() != 1 {
		t.Errorf("uid %d and pid %d, want 0 and 1", os.Getuid(), os.Getpid())
	}
	if left := strings.Fields(os.Getenv(markName)); len(left) != 2 || left[0] != entered {
		t.Errorf("mark %q", left)
	}
	if err := checkIsolated(machine); err == nil {
		t.Errorf("the namespace it came from, %s, is taken for its own", machine)
	}
	entries, err := os.ReadDir("/run")
	if err != nil || len(entries) != 1 || entries[0].Name() != "netns" {
		t.Errorf("/run holds %v, %v", entries, err)
	}
	if err := os.Remove(hostsDir); err != nil { // iproute2 makes it when it isn't there
		t.Error(err)
	}
	Self().Command(t, "", "ip", "netns", "add", "by-ip")
	if out := Self().Command(t, "", "ip", "netns", "exec", "by-ip", "ip", "-br", "link"); !strings.HasPrefix(out, "lo ") {
		t.Errorf("ip netns exec ip link: %s", out)
	}
}

// TestMachineIsUntouched plays the machine in one set of namespaces, so that an
// ordinary user's run compares tables as well.
func TestMachineIsUntouched(t *testing.T) {
	if !Isolate(t) {
		return
	}
	look := func() string {
		var seen []string
		for _, variant := range Variants(t) {
			for _, family := range []int{4, 6} {
				seen = append(seen, Self().Command(t, "", Programs(variant, family).Iptables, "-t", "nat", "-S"))
			}
		}
		forward, err := os.ReadFile("/proc/sys/net/ipv4/ip_forward")
		mounts, mountsErr := os.ReadFile("/proc/self/mountinfo")
		if err := errors.Join(err, mountsErr); err != nil {
			t.Fatal(err)
		}
		links := Self().Command(t, "", "ip", "-o", "link")
		return strings.Join(append(seen, links, string(forward), string(mounts)), "\n")
	}
	for _, variant := range Variants(t) {
		Self().Command(t, "", Programs(variant, 4).Iptables, "-t", "nat", "-A", "POSTROUTING", "-j", "MASQUERADE")
	}
	before := look()
	if !strings.Contains(before, "-j MASQUERADE") {
		t.Errorf("the machine's own rule is missing:\n%s", before)
	}
	if out, code := runHelper(t, "change tables", nil); code != 0 || !strings.Contains(out, "--- PASS: TestHelper (") {
		t.Fatalf("exit code %d:\n%s", code, out)
	}
	if diff := cmp.Diff(before, look()); diff != "" {
		t.Errorf("the machine changed (-before +after):\n%s", diff)
	}
}

// TestRefusal takes the right to make user namespaces away, as a hardened
// machine does.
func TestRefusal(t *testing.T) {
	if !Isolate(t) {
		return
	}
	if err := os.WriteFile("/proc/sys/user/max_user_namespaces", []byte("0"), 0); err != nil {
		t.Fatal(err)
	}
	const reason = "cannot start a process in new namespaces"
	out, code := runHelper(t, "pass", nil)
	if code != 0 || !strings.Contains(out, "--- SKIP: TestHelper (") || !strings.Contains(out, reason) {
		t.Errorf("exit code %d, want a skip with its reason:\n%s", code, out)
	}
	out, code = runHelper(t, "pass", func(c *exec.Cmd) { c.Env = append(c.Env, Require+"=1") })
	if code != 1 || !strings.Contains(out, "--- FAIL: TestHelper (") || !strings.Contains(out, reason) {
		t.Errorf("exit code %d, want a failure under %s=1:\n%s", code, Require, out)
	}
}

// TestForgedMark starts a process that only believes to be a child: it shares
// the network namespace of its parent.
func TestForgedMark(t *testing.T) {
	if !Isolate(t) {
		return
	}
	out, code := runHelper(t, "pass", func(c *exec.Cmd) {
		c.Env = append(c.Env, markName+"=net:[1] TestHelper")
		c.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{Size: 1}},
		}
	})
	if code != 1 || !strings.Contains(out, "who owns the network namespace") {
		t.Errorf("exit code %d:\n%s", code, out)
	}
}

func TestVariants(t *testing.T) {
	for _, c := range []struct {
		name    string
		hide    bool
		require string
		code    int
		want    string
	}{
		{name: "all", require: "1", want: "installed: [nft legacy]"},
		{name: "none", hide: true, want: "--- SKIP: TestHelper ("},
		{name: "none-but-required", hide: true, require: "1", code: 1, want: "missing: iptables-nft iptables-nft-save"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if len(Variants(t)) < 2 {
				t.Skip("one variant is missing here")
			}
			if !Isolate(t) {
				return
			}
			if c.hide {
				if err := unix.Mount("none", "/usr/sbin", "tmpfs", 0, ""); err != nil {
					t.Fatal(err)
				}
			}
			out, code := runHelper(t, "variants", func(cmd *exec.Cmd) {
				cmd.Env = append(cmd.Env, Require+"="+c.require, "PATH=/usr/bin:/bin")
			})
			if code != c.code || !strings.Contains(out, c.want) {
				t.Errorf("exit code %d, want %d, and %q in\n%s", code, c.code, c.want, out)
			}
		})
	}
}

// TestVariantsFor takes each variant for a part of many cases, the same one for the same
// case, and both where tests take their largest cases.
func TestVariantsFor(t *testing.T) {
	if len(Variants(t)) < 2 {
		t.Skip("one variant is missing here")
	}
	t.Setenv(testsize.CI, "")
	times := map[string]int{}
	for i := range 100 {
		one := VariantsFor(t, fmt.Sprint(i))
		if len(one) != 1 || one[0] != VariantsFor(t, fmt.Sprint(i))[0] {
			t.Fatalf("case %d is for %v", i, one)
		}
		times[one[0]]++
	}
	if times["nft"] < 20 || times["legacy"] < 20 {
		t.Errorf("of 100 cases they get %v", times)
	}
	t.Setenv(testsize.CI, "true")
	if all := VariantsFor(t, "any"); len(all) != 2 {
		t.Errorf("in CI a case is for %v", all)
	}
}
