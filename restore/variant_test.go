package restore_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
)

// TestOtherVariant has a generation of one variant restored by a host that has
// changed to the other: it is proven again, loaded there, and taken out here.
func TestOtherVariant(t *testing.T) {
	if len(netnstest.Variants(t)) < 2 {
		t.Skip("one variant is missing here")
	}
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		apply(t, host, hosttest.Article)
		changed := host
		changed.Variant = variant.Other()
		var proofs atomic.Int32 // at the same time
		changed.Run = func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
			if strings.HasSuffix(name, "-restore") && strings.Join(args, " ") == "-w 5" {
				proofs.Add(1)
			}
			return host.Run(ctx, stdin, name, args...)
		}
		if s := status(t, changed); s.Loaded || len(s.OtherVariant) != 2 || len(lines(s)) != 2 {
			t.Errorf("loaded %v, and these differ: %q", s.Loaded, lines(s))
		}
		result, err := changed.Restore(t.Context())
		if err != nil || !result.Loaded || !result.Cleared || proofs.Load() != 2 ||
			len(result.Notes) != 1 || !strings.Contains(result.Notes[0], "was made for the "+string(variant)+" variant") {
			t.Errorf("%d proofs: %+v, %v", proofs.Load(), result, err)
		}
		hosttest.WantLoaded(t, changed.Variant, hosttest.Article)
		if left := hosttest.SaveNAT(t, variant, rules.IPv4) + hosttest.SaveNAT(t, variant, rules.IPv6); strings.Contains(left, rules.Prefix) {
			t.Errorf("left in %s:\n%s", variant, left)
		}
		// An apply records the new variant, though neither config nor kernel changed.
		if result := apply(t, changed, hosttest.Article); result.Generation != 2 || result.Loaded {
			t.Errorf("apply: %+v", result)
		}
		// And back again: apply clears too.
		if result := apply(t, host, hosttest.Article); result.Generation != 3 || !result.Cleared {
			t.Errorf("apply: %+v", result)
		}
		if left := hosttest.SaveNAT(t, changed.Variant, rules.IPv4); strings.Contains(left, rules.Prefix) {
			t.Errorf("left in %s:\n%s", changed.Variant, left)
		}
	})
}

// TestOtherVariantIsKept when the rules do not load by the one in use.
func TestOtherVariantIsKept(t *testing.T) {
	if len(netnstest.Variants(t)) < 2 {
		t.Skip("one variant is missing here")
	}
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		apply(t, host, hosttest.Article)
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
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		for _, f := range rules.Families() {
			hosttest.Put(t, variant.Other(), f, string(hosttest.Tables(t, hosttest.Article).Of(f).Text()))
		}
		result, err := host.Stop(t.Context())
		if err != nil || !result.Changed || !result.Cleared || result.Loaded {
			t.Errorf("%+v, %v", result, err)
		}
		if left := hosttest.SaveNAT(t, variant.Other(), rules.IPv4) + hosttest.SaveNAT(t, variant.Other(), rules.IPv6); strings.Contains(left, rules.Prefix) {
			t.Errorf("left:\n%s", left)
		}
	})
}

// TestImage is written without a kernel, and proven when it boots.
func TestImage(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		host.Run = noProgram(t)
		for _, changed := range []bool{true, false} { // the same again is no new generation
			if written, err := host.WriteOffline(t.Context(), request(t, hosttest.Article), variant); written.Number != 1 || written.Changed != changed || written.Notes != nil || err != nil {
				t.Errorf("%+v, %v", written, err)
			}
		}
		var proofs atomic.Int32 // at the same time
		host.Run = func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
			if strings.HasSuffix(name, "-restore") && strings.Join(args, " ") == "-w 5" {
				proofs.Add(1)
			}
			return program.Exec()(ctx, stdin, name, args...)
		}
		if result, err := host.Restore(t.Context()); err != nil || result.Generation != 1 || proofs.Load() != 2 || len(result.Notes) != len(result.Opened) {
			t.Errorf("%d proofs: %+v, %v", proofs.Load(), result, err)
		}
		hosttest.WantLoaded(t, variant, hosttest.Article)
	})
}

// TestImageInUse writes below a root where an apply runs, or waits to be confirmed: an
// image is in the way of nobody there.
func TestImageInUse(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		apply(t, host, hosttest.Article)
		try(t, host, hosttest.Smaller)
		before := state(t, host)
		_, err := host.WriteOffline(t.Context(), request(t, hosttest.Alone), variant)
		wantUnchanged(t, host, before, err, nil)
		if err == nil || !strings.HasPrefix(err.Error(), "generation 2 waits to be confirmed") {
			t.Errorf("%v", err)
		}
		_, err = host.Confirm(t.Context())
		hosttest.Must(t, err)
		before = state(t, host)
		locked, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		hold(t, filepath.Join(host.Root, "run/natspread/lock"))
		_, err = host.WriteOffline(locked, request(t, hosttest.Alone), variant)
		wantUnchanged(t, host, before, err, program.ErrBusy)
	})
}

// TestImageOfAnybody is baked below a directory that is not root's: what boots from it is,
// once it is packed.
func TestImageOfAnybody(t *testing.T) {
	if !netnstest.IsolateAsRoot(t) {
		return
	}
	host := newHost(t, rules.NFT)
	host.Run = noProgram(t)
	hosttest.Must(t, os.Chown(host.Root, 65534, 65534))
	written, err := host.WriteOffline(t.Context(), request(t, hosttest.Article), rules.NFT)
	hosttest.Must(t, err)
	wanted := []string{"boot would refuse it, unless the image is packed as root's: " + host.Root + " belongs to user 65534, not to root; fix: chown -R root " + host.Root}
	if written.Number != 1 || !slices.Equal(written.Notes, wanted) {
		t.Errorf("%+v", written)
	}
	if _, err := program.Exec()(t.Context(), nil, "/bin/chown", "-R", "root", host.Root); err != nil {
		t.Fatal(err)
	}
	if written, err = host.WriteOffline(t.Context(), request(t, hosttest.Article), rules.NFT); written.Changed || written.Notes != nil || err != nil {
		t.Errorf("after the fix: %+v, %v", written, err)
	}
}
