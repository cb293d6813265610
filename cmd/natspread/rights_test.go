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
	if !strings.Contains(got.err, "CAP_"+strings.ToUpper(capability)) {
		t.Errorf("%s: it does not name the capability: %s", args, got.err)
	}
	if after := everything(t, root); after != before {
		t.Errorf("%s: something changed: before\n%safter\n%s", args, before, after)
	}
}

// TestWithoutSysAdmin proves nothing: what needs a proof is refused before anything is
// written, and says why; what boot does works.
func TestWithoutSysAdmin(t *testing.T) {
	t.Parallel()
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		giveRoutes(t)
		const capability = "sys_admin"
		root := rootWith(t, article)
		args := func(args ...string) []string {
			return append([]string{"--root", root, "--live", "--variant", string(variant)}, args...)
		}
		checked := deprived(t, capability, args("check")...).want(t, exitDone)
		if !strings.Contains(checked.err, "good; not proven: ") || !strings.Contains(checked.err, "CAP_SYS_ADMIN") {
			t.Errorf("check: %s", checked.err)
		}
		refusedWithout(t, root, capability, args("apply")...)
		refusedWithout(t, root, capability, args("apply", "--dry-run")...)
		refusedWithout(t, root, capability, args("apply", "--confirm", "60s")...)

		inProcess(args("apply")...).want(t, exitDone)
		refusedWithout(t, root, capability, args("drain", "web", "10.0.0.1:80")...)
		inProcess(args("stop")...).want(t, exitDone)
		deprived(t, capability, args("restore")...).want(t, exitDone)
		deprived(t, capability, args("status")...).want(t, exitDone)
		deprived(t, capability, args("stop")...).want(t, exitDone)
	})
}

// TestWithoutNetRaw is refused by the legacy variant, whose programs open a raw socket, at
// the first apply and later; nft does all without that.
func TestWithoutNetRaw(t *testing.T) {
	t.Parallel()
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
