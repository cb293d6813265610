package doctor

import (
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"natspread/internal/config"
	"natspread/internal/test/netnstest"
)

// unwatched returns the line that fixes that nobody checks the backends.
func unwatched(h Host, hangs bool) string {
	return h.Unwatched(Watcher{Hangs: hangs, Beat: time.Unix(1000, 0), Now: time.Unix(2000, 0)}).Fix
}

// TestUnwatchedFix starts natspread health as the host does it: by its unit, by one that has to
// be unmasked or installed first, or in the foreground.
func TestUnwatchedFix(t *testing.T) {
	t.Parallel()
	h := Host{Root: t.TempDir(), Proc: "/proc"}
	wants := func(hangs bool, want string) {
		t.Helper()
		if got := unwatched(h, hangs); got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
	wants(false, "natspread health # runs in the foreground")
	write(t, filepath.Join(h.Root, "usr/lib/systemd/systemd"), "")
	wants(false, "natspread install")
	write(t, filepath.Join(h.Root, "usr/lib/systemd/system/natspread-health.service"), "[Service]\n")
	wants(false, "systemctl enable --now natspread-health")
	wants(true, "systemctl restart natspread-health")
	write(t, filepath.Join(h.Root, "etc/systemd/system/natspread-health.service"), "-> /dev/null")
	wants(false, "systemctl unmask natspread-health && systemctl enable --now natspread-health")
	if soon := h.Unwatched(Watcher{Starts: true}); soon.Severity != Risk || soon.Fix != "" { // it is enabled, and waits for the network
		t.Errorf("%+v", soon)
	}
	if stuck := h.Unwatched(Watcher{Starts: true, Hangs: true}); stuck.Severity != Broken {
		t.Errorf("%+v", stuck)
	}
	if line := h.Unwatched(Watcher{ByHand: true}).Fix; line != "natspread health # runs in the foreground" {
		t.Error(line)
	}
}

// TestUnwatchedSince names the day where the time alone could be of another one.
func TestUnwatchedSince(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	for beat, want := range map[time.Time]string{
		now.Add(-11 * time.Hour): "health checks do not run since 01:00",
		now.Add(-13 * time.Hour): "health checks do not run since 2026-01-01 23:00",
	} {
		if found := (Host{Root: t.TempDir()}).Unwatched(Watcher{Beat: beat, Now: now}); found.What != want || found.Severity != Broken {
			t.Errorf("%+v", found)
		}
	}
}

// TestUnwatchedHangs ends a process that does nothing, by the line that doctor gives.
func TestUnwatchedHangs(t *testing.T) {
	t.Parallel()
	hung := exec.CommandContext(t.Context(), "sleep", "1h")
	if err := hung.Start(); err != nil {
		t.Fatal(err)
	}
	fix := (Host{Root: t.TempDir()}).Unwatched(Watcher{Hangs: true, Holder: hung.Process.Pid}).Fix
	line, rest, _ := strings.Cut(fix, "; ")
	if want := "natspread health # runs in the foreground"; rest != want {
		t.Errorf("%q, not %q", rest, want)
	}
	if said, err := exec.CommandContext(t.Context(), "sh", "-c", line).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v, %s", line, err, said)
	}
	if err := hung.Wait(); err == nil {
		t.Errorf("%s did not end it", line)
	}
}

// TestNoneAnswered takes the route back of a backend away: it passes its check, and answers no
// client. The line that fixes it leads its answers here again.
func TestNoneAnswered(t *testing.T) {
	onEach(t, "no route back", true, func(t *testing.T, variant string) {
		p := newPatient(t, variant, netnstest.Layout{Gateway: true}, config.SNAT{Mode: config.None})
		service := p.Balancer.Services[0]
		backend := p.Backends[0].Host
		backend.Command(t, "", "ip", "route", "del", "default")
		flush(t)
		if p.answers(t, patience) {
			t.Fatal("clients are answered")
		}
		p.Network.Balancer.Do(t, func() {
			conn, err := net.DialTimeout("tcp", service.Backends[0].String(), hurry)
			if err != nil {
				t.Fatalf("the check fails: %v", err)
			}
			conn.Close()
		})
		var found Finding
		p.Network.Balancer.Do(t, func() { found = p.Live.NoneAnswered(service, service.Backends[0], 40) })
		const what = "backend 10.0.0.1:80 of service web passes its check, but none of 40 connections to it was answered: does its route back lead through this host?"
		if found.Severity != Risk || found.What != what || found.Fix != "ip route replace default via 10.0.0.254 # on 10.0.0.1" {
			t.Errorf("%+v", found)
		}
		backend.Command(t, found.Fix, "sh")
		if !p.answers(t, hurry) {
			t.Error("clients are not answered")
		}
		far := service.Backends[0]
		far.Addr = netip.MustParseAddr("10.9.0.1")
		p.Network.Balancer.Do(t, func() { found = p.Live.NoneAnswered(service, far, 40) })
		if found.Fix != `natspread edit # in service web: snat = "masquerade"` {
			t.Errorf("%+v", found)
		}
		service.SNAT = config.SNAT{}
		if found = p.Live.NoneAnswered(service, far, 40); found.Fix != "" || strings.Contains(found.What, "route") {
			t.Errorf("the host has its answers come back: %+v", found)
		}
	})
}
