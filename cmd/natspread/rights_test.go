package main

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
)

// deprived runs natspread as root without one capability, as a container may have it.
func deprived(t *testing.T, capability string, args ...string) outcome {
	t.Helper()
	path, err := exec.LookPath("natspread")
	hosttest.Must(t, err)
	cmd := exec.CommandContext(t.Context(), "setpriv", append([]string{"--bounding-set", "-" + capability, path}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return outcome{code: cmd.ProcessState.ExitCode(), out: stdout.String(), err: stderr.String()}
}

// refusedWithout asks that a verb ends with no rights, names the capability that is missing,
// and has changed nothing, not even for a while.
func refusedWithout(t *testing.T, root, capability string, args ...string) {
	t.Helper()
	before := everything(t, root)
	got := deprived(t, capability, args...).want(t, exitNoRights)
	got.oneComplaint(t)
	if name, _, _ := strings.Cut(capability, ","); !strings.Contains(got.err, "CAP_"+strings.ToUpper(name)) {
		t.Errorf("%s: it does not name the capability: %s", args, got.err)
	}
	if after := everything(t, root); after != before {
		t.Errorf("%s: something changed: before\n%safter\n%s", args, before, after)
	}
}

// unproven is the note of a load that was its own proof.
const unproven = "note: not proven before the load: no CAP_SYS_ADMIN\n"

// TestWithoutSysAdmin has no scratch namespace to prove in: the load is the proof, and each verb
// that loads says so. What boot does works as ever.
func TestWithoutSysAdmin(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		giveRoutes(t)
		root := rootWith(t, article)
		run := func(args ...string) outcome {
			return deprived(t, "sys_admin", append([]string{"--root", root, "--live", "--variant", string(variant)}, args...)...)
		}
		checked := run("check").want(t, exitDone)
		if !strings.Contains(checked.err, "good; not proven: ") || !strings.Contains(checked.err, "CAP_SYS_ADMIN") {
			t.Errorf("check: %s", checked.err)
		}
		for _, verb := range [][]string{
			{"apply", "--dry-run"}, {"apply"}, {"drain", "web", "10.0.0.1:80"}, {"undrain", "web", "10.0.0.1:80"},
			{"rollback"}, {"apply", "--confirm", "60s"},
		} {
			if got := run(verb...).want(t, exitDone); strings.Count(got.err, unproven) != 1 {
				t.Errorf("%s: %s", verb, got.err)
			}
		}
		run("confirm").want(t, exitDone)
		hosttest.WantLoaded(t, variant, article)
		if got := run("apply").want(t, exitDone); !strings.HasPrefix(got.err, "no change: ") {
			t.Errorf("once more: %s", got.err)
		}
		for _, verb := range []string{"stop", "restore", "status", "stop"} {
			run(verb).want(t, exitDone)
		}
	})
}

// TestWithoutSysAdminAndWrong loads what the kernel does not take, and what it takes for something
// else, without a proof: the old rules are back, and all else is as it was.
func TestWithoutSysAdminAndWrong(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		giveRoutes(t)
		root := rootWith(t, article)
		args := func(args ...string) []string {
			return append([]string{"--root", root, "--live", "--variant", string(variant)}, args...)
		}
		inProcess(args("apply", "-q")...).want(t, exitDone)
		config := root + "/new.toml"
		writeFile(t, config, strings.ReplaceAll(article, "10.0.0.3", "10.0.0.4"))
		before := everything(t, root)
		once := "[ -e DIR/was ] && exec REAL; touch DIR/was; "
		for name, how := range map[string]string{
			"refused":        once + "exit 1",
			"something else": once + "sed s/10.0.0.2:/10.0.0.9:/ | REAL",
		} {
			unmount := stopLoads(t, string(variant), t.TempDir(), how)
			got := deprived(t, "sys_admin", args("apply", "--config", config)...).want(t, exitFailed)
			if !strings.Contains(got.err, "nothing was changed") {
				t.Errorf("%s: %s", name, got.err)
			}
			unmount()
			hosttest.WantSame(t, name, before, everything(t, root))
		}
	})
}

// TestWithoutNetAdmin changes nothing without the right to change rules.
func TestWithoutNetAdmin(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		root := rootWith(t, article)
		args := func(args ...string) []string {
			return append([]string{"--root", root, "--live", "--variant", string(variant)}, args...)
		}
		inProcess(args("apply", "-q")...).want(t, exitDone)
		refusedWithout(t, root, "net_admin", args("drain", "web", "10.0.0.1:80")...)
		writeFile(t, root+"/etc/natspread/natspread.toml", strings.ReplaceAll(article, "10.0.0.", "10.0.1."))
		refusedWithout(t, root, "net_admin", args("apply")...)
		refusedWithout(t, root, "net_admin,-sys_admin", args("apply")...)
	})
}

// TestWithoutNetRaw is refused by the legacy variant, whose programs open a raw socket, at
// the first apply and later; nft does all without that.
func TestWithoutNetRaw(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		giveRoutes(t)
		const capability = "net_raw"
		root := rootWith(t, article)
		args := func(args ...string) []string {
			return append([]string{"--root", root, "--live", "--variant", string(variant)}, args...)
		}
		if variant == rules.NFT {
			for _, verb := range []string{"check", "apply", "restore", "status", "stop"} {
				deprived(t, capability, args(verb)...).want(t, exitDone)
			}
			return
		}
		checked := deprived(t, capability, args("check")...).want(t, exitDone)
		if !strings.Contains(checked.err, "good; not proven: ") || !strings.Contains(checked.err, "CAP_NET_RAW") {
			t.Errorf("check: %s", checked.err)
		}
		refusedWithout(t, root, capability, args("apply")...)
		inProcess(args("apply")...).want(t, exitDone)
		for _, verb := range [][]string{{"restore"}, {"status"}, {"diff"}, {"stop"}, {"drain", "web", "10.0.0.1:80"}} {
			refusedWithout(t, root, capability, args(verb...)...)
		}
		hosttest.Put(t, variant, rules.IPv4, "*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\nCOMMIT\n")
		refusedWithout(t, root, capability, args("restore")...)
	})
}
