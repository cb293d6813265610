package restore_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/test/netnstest"
	"natspread/restore"
	"natspread/restore/iptables"
)

// saying returns a Runner for which every program says the same, and fails the
// test when it may not run.
func saying(t *testing.T, said string, may bool) program.Runner {
	return func(_ context.Context, _ []byte, name string, args ...string) ([]byte, error) {
		if !may || len(args) != 1 || args[0] != "--version" {
			t.Errorf("%s %q was run", name, args)
		}
		return []byte(said), nil
	}
}

func TestDetectVariant(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	// Directories of the test's own in the place of the host's.
	must(t, unix.Mount("none", "/usr/sbin", "tmpfs", 0, ""))
	must(t, unix.Mount("none", "/etc/alternatives", "tmpfs", 0, ""))
	for _, c := range []struct {
		name  string
		links map[string]string
		said  string // by --version, if it has to be asked
		want  rules.Variant
	}{
		{"Debian's default", map[string]string{
			"/usr/sbin/iptables-restore":         "/etc/alternatives/iptables-restore",
			"/etc/alternatives/iptables-restore": "/usr/sbin/iptables-nft-restore",
			"/usr/sbin/iptables-nft-restore":     "xtables-nft-multi",
		}, "", rules.NFT},
		{"the administrator's choice", map[string]string{
			"/usr/sbin/iptables-restore":         "/etc/alternatives/iptables-restore",
			"/etc/alternatives/iptables-restore": "/usr/sbin/iptables-legacy-restore",
		}, "", rules.Legacy},
		{"Fedora", map[string]string{"/usr/sbin/iptables-restore": "xtables-nft-multi"}, "", rules.NFT},
		{"no link", map[string]string{"/usr/sbin/iptables-restore": ""}, "iptables-restore v1.8.9 (nf_tables)\n", rules.NFT},
		{"no link, legacy", map[string]string{"/usr/sbin/iptables-restore": ""}, "iptables-restore v1.8.9 (legacy)\n", rules.Legacy},
		{"before nft", map[string]string{"/usr/sbin/iptables-restore": "xtables-multi"}, "iptables-restore v1.4.21\n", rules.Legacy},
		{"a circle", map[string]string{
			"/usr/sbin/iptables-restore":         "/etc/alternatives/iptables-restore",
			"/etc/alternatives/iptables-restore": "/usr/sbin/iptables-restore",
		}, "v1.8.9 (nf_tables)", rules.NFT},
	} {
		t.Run(c.name, func(t *testing.T) {
			link(t, "/", c.links)
			got, err := iptables.DetectVariant(t.Context(), saying(t, c.said, c.said != ""))
			if got != c.want || err != nil {
				t.Errorf("%q, %v; want %q", got, err, c.want)
			}
		})
	}
	t.Run("none", func(t *testing.T) {
		_, err := iptables.DetectVariant(t.Context(), saying(t, "", false))
		if !errors.Is(err, program.ErrMissing) || !strings.Contains(err.Error(), "install iptables") {
			t.Errorf("%v", err)
		}
	})
}

// link makes links below a root, or with an empty target files, until the test
// ends.
func link(t *testing.T, root string, links map[string]string) {
	t.Helper()
	for path, target := range links {
		path = filepath.Join(root, path)
		must(t, os.MkdirAll(filepath.Dir(path), 0o755))
		if target == "" {
			must(t, os.WriteFile(path, nil, 0o755))
		} else {
			must(t, os.Symlink(target, path))
		}
		t.Cleanup(func() { must(t, os.Remove(path)) })
	}
}

// TestImageVariant reads links that are absolute, and meant below the image's root.
func TestImageVariant(t *testing.T) {
	for _, c := range []struct {
		name  string
		links map[string]string
		want  rules.Variant
	}{
		{"legacy", map[string]string{
			"/usr/sbin/iptables-restore":         "/etc/alternatives/iptables-restore",
			"/etc/alternatives/iptables-restore": "/usr/sbin/iptables-legacy-restore",
		}, rules.Legacy},
		{"nft", map[string]string{
			"/sbin/iptables-restore":             "/etc/alternatives/iptables-restore",
			"/etc/alternatives/iptables-restore": "/usr/sbin/iptables-nft-restore",
		}, rules.NFT},
		{"relative", map[string]string{
			"/usr/sbin/iptables-restore":         "../../etc/alternatives/iptables-restore",
			"/etc/alternatives/iptables-restore": "../../usr/sbin/iptables-legacy-restore",
		}, rules.Legacy},
		{"nothing", nil, rules.NFT},
		{"no link", map[string]string{"/usr/sbin/iptables-restore": ""}, rules.NFT},
		{"a dangling link", map[string]string{"/usr/sbin/iptables-restore": "/etc/alternatives/iptables-restore"}, rules.NFT},
	} {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			link(t, root, c.links)
			if got := iptables.ImageVariant(root); got != c.want {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// TestOtherVariant has a generation of one variant restored by a host that has
// changed to the other: it is proven again, loaded there, and taken out here.
func TestOtherVariant(t *testing.T) {
	if len(netnstest.Variants(t)) < 2 {
		t.Skip("one variant is missing here")
	}
	eachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		apply(t, host, article)
		changed := host
		changed.Variant = variant.Other()
		proofs := 0
		changed.Run = func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
			if strings.HasSuffix(name, "-restore") && strings.Join(args, " ") == "-w 5" {
				proofs++
			}
			return host.Run(ctx, stdin, name, args...)
		}
		status, err := changed.Status(t.Context())
		if err != nil || status.State != restore.NotLoaded || len(status.Drifts()) != 2 {
			t.Errorf("status: %v, %q, %v", status.State, status.Drifts(), err)
		}
		result, err := changed.Restore(t.Context())
		if err != nil || !result.Loaded || !result.Cleared || proofs != 2 ||
			len(result.Notes) != 1 || !strings.Contains(result.Notes[0], "was made for the "+string(variant)+" variant") {
			t.Errorf("%d proofs: %+v, %v", proofs, result, err)
		}
		wantLoaded(t, changed.Variant, article)
		if left := save(t, variant, rules.IPv4) + save(t, variant, rules.IPv6); strings.Contains(left, rules.Prefix) {
			t.Errorf("left in %s:\n%s", variant, left)
		}
		// An apply records the new variant, though neither config nor kernel changed.
		if result := apply(t, changed, article); result.Generation != 2 || result.Loaded {
			t.Errorf("apply: %+v", result)
		}
		// And back again: apply clears too.
		if result := apply(t, host, article); result.Generation != 3 || !result.Cleared {
			t.Errorf("apply: %+v", result)
		}
		if left := save(t, changed.Variant, rules.IPv4); strings.Contains(left, rules.Prefix) {
			t.Errorf("left in %s:\n%s", changed.Variant, left)
		}
	})
}

// TestOtherVariantIsKept when the rules do not load by the one in use.
func TestOtherVariantIsKept(t *testing.T) {
	if len(netnstest.Variants(t)) < 2 {
		t.Skip("one variant is missing here")
	}
	eachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		apply(t, host, article)
		before := state(t, host)
		changed := host
		changed.Variant = variant.Other()
		for _, run := range []program.Runner{failOn(rules.IPv4)(host.Run), failOn(rules.IPv6)(host.Run), lieInProof(host.Run)} {
			changed.Run = run
			_, err := changed.Restore(t.Context())
			wantUnchanged(t, host, before, err, nil)
		}
	})
}

// TestStopClearsBothVariants whatever loaded them.
func TestStopClearsBothVariants(t *testing.T) {
	if len(netnstest.Variants(t)) < 2 {
		t.Skip("one variant is missing here")
	}
	eachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		for _, f := range rules.Families() {
			put(t, variant.Other(), f, string(tables(t, article).Of(f).Text()))
		}
		result, err := host.Stop(t.Context())
		if err != nil || !result.Changed || !result.Cleared || result.Loaded {
			t.Errorf("%+v, %v", result, err)
		}
		if left := save(t, variant.Other(), rules.IPv4) + save(t, variant.Other(), rules.IPv6); strings.Contains(left, rules.Prefix) {
			t.Errorf("left:\n%s", left)
		}
	})
}

// TestImage is written without a kernel, and proven when it boots.
func TestImage(t *testing.T) {
	eachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		host.Run = saying(t, "", false)
		for want := 1; want <= 2; want++ {
			if number, err := host.WriteOffline(t.Context(), request(t, article), variant); number != want || err != nil {
				t.Errorf("generation %d, %v", number, err)
			}
		}
		proofs := 0
		host.Run = func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
			if strings.HasSuffix(name, "-restore") && strings.Join(args, " ") == "-w 5" {
				proofs++
			}
			return program.Exec()(ctx, stdin, name, args...)
		}
		if result, err := host.Restore(t.Context()); err != nil || result.Generation != 2 || proofs != 2 || len(result.Notes) != 0 {
			t.Errorf("%d proofs: %+v, %v", proofs, result, err)
		}
		wantLoaded(t, variant, article)
	})
}

// TestImageInUse writes below a root where an apply runs, or waits to be confirmed: an
// image is in the way of nobody there.
func TestImageInUse(t *testing.T) {
	t.Parallel()
	eachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		apply(t, host, article)
		try(t, host, smaller)
		before := state(t, host)
		_, err := host.WriteOffline(t.Context(), request(t, alone), variant)
		wantUnchanged(t, host, before, err, nil)
		if err == nil || !strings.HasPrefix(err.Error(), "generation 2 waits to be confirmed") {
			t.Errorf("%v", err)
		}
		_, err = host.Confirm(t.Context())
		must(t, err)
		before = state(t, host)
		locked, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		hold(t, filepath.Join(host.Root, "run/natspread/lock"))
		_, err = host.WriteOffline(locked, request(t, alone), variant)
		wantUnchanged(t, host, before, err, program.ErrBusy)
	})
}

// TestStatus walks through the states.
func TestStatus(t *testing.T) {
	eachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		want := func(state restore.State, drift string) {
			t.Helper()
			status, err := host.Status(t.Context())
			must(t, err)
			drifts := strings.Join(status.Drifts(), "\n")
			if status.State != state || drift == "" && drifts != "" || !strings.Contains(drifts, drift) {
				t.Errorf("%v, %q; want %v, %q", status.State, status.Drifts(), state, drift)
			}
		}
		want(restore.NotLoaded, "")
		apply(t, host, article)
		want(restore.InStep, "")
		for _, c := range []struct{ line, drift string }{
			{"-A PREROUTING -j NATSPREAD-PRE", "ipv4: the jump in PREROUTING is doubled: rules 1 and 2"},
			{"-A NATSPREAD-web -j RETURN", "ipv4: chain NATSPREAD-web has rule 4, which should not be there: -j RETURN"},
			{"-N NATSPREAD-more", "ipv4: chain NATSPREAD-more is left over"},
			{"-D OUTPUT 1", "ipv4: the jump in OUTPUT is missing"},
			{"-R POSTROUTING 1 -s 10.0.0.0/8 -j NATSPREAD-POST", "ipv4: the jump in POSTROUTING is changed: it is -s 10.0.0.0/8 -j NATSPREAD-POST"},
		} {
			apply(t, host, article)
			want(restore.InStep, "")
			iptables(t, variant, rules.IPv4, c.line)
			want(restore.Drift, c.drift)
		}
		for _, f := range rules.Families() {
			put(t, variant, f, string(rules.Table{Family: f}.Text()))
		}
		want(restore.NotLoaded, "")
		apply(t, host, article)
		want(restore.InStep, "")
	})
}

// TestImageOfAnybody is baked below a directory that is not root's: what boots from it is,
// once it is packed.
func TestImageOfAnybody(t *testing.T) {
	if !netnstest.IsolateAsRoot(t) {
		return
	}
	host := newHost(t, rules.NFT)
	host.Run = saying(t, "", false)
	must(t, os.Chown(host.Root, 65534, 65534))
	if number, err := host.WriteOffline(t.Context(), request(t, article), rules.NFT); number != 1 || err != nil {
		t.Errorf("generation %d, %v", number, err)
	}
}
