package watcher

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"natspread/internal/config"
	"natspread/internal/configfiles"
	"natspread/internal/health"
	"natspread/internal/probe"
	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/test/await"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/restore"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestTarget asks what a config asks for, and fills in what a backend alone can tell.
func TestTarget(t *testing.T) {
	t.Parallel()
	cfg := hosttest.Config(t, `
[[service]]
name     = "web"
listen   = "192.0.2.10:443"
backends = ["10.0.0.1:443"]
check    = { type = "https", path = "/healthz", expect = ["200-299", "304"], port = 8443, source = "10.0.0.254" }
[[service]]
name     = "named"
listen   = "192.0.2.11:443"
backends = ["10.0.0.1:443"]
check    = { type = "https", host = "www.example.net:443", insecure = true }
[[service]]
name     = "dns"
listen   = "[2001:db8::10]:53"
protocol = "udp"
backends = ["[fd00::1]:53"]
check    = { type = "udp", send = "ping", receive = "pong", interval = "5s", timeout = "3s" }
`[1:])
	want := []probe.Target{
		{Kind: probe.HTTPS, Address: netip.MustParseAddrPort("10.0.0.1:8443"), Source: netip.MustParseAddr("10.0.0.254"), Timeout: time.Second, Path: "/healthz", Host: "10.0.0.1:8443", TLSName: "10.0.0.1"},
		{Kind: probe.HTTPS, Address: netip.MustParseAddrPort("10.0.0.1:443"), Timeout: time.Second, Path: "/", Host: "www.example.net:443", TLSName: "www.example.net", Insecure: true},
		{Kind: probe.UDP, Address: netip.MustParseAddrPort("[fd00::1]:53"), Timeout: 3 * time.Second, Send: "ping", Receive: "pong", Host: "[fd00::1]:53", TLSName: "fd00::1"}, // which it does not look at
	}
	for i, check := range health.Checks(cfg) {
		got := Target(check)
		if diff := cmp.Diff(want[i], got, cmpopts.IgnoreFields(probe.Target{}, "Good"), cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{})); diff != "" {
			t.Errorf("want -, got +:\n%s", diff)
		}
		if i == 0 && (!got.Good(204) || !got.Good(304) || got.Good(302) || got.Good(500)) {
			t.Error("it expects other statuses")
		}
	}
}

// TestPrint writes levels for systemd's journal, and leaves out what is not grave enough.
func TestPrint(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		journal bool
		most    Level
		want    string
	}{{false, Info, "down\nstart\n"}, {true, Info, "<4>down\n<6>start\n"}, {true, Error, ""}} {
		var written strings.Builder
		print := Print(&written, c.journal, c.most)
		print(Warning, "down")
		print(Info, "start")
		if written.String() != c.want {
			t.Errorf("%+v: it wrote %q", c, written.String())
		}
	}
}

// watched is a host in the namespaces of a test, with one service of two backends, both at addresses of its own.
const watched = `
[[service]]
name     = "web"
listen   = "192.0.2.10:80"
backends = ["10.0.0.1:80", "10.0.0.2:80"]
check    = { type = "tcp", interval = "500ms", timeout = "300ms" }
[[service]]
name     = "web6"
listen   = "[2001:db8::10]:80"
backends = ["[fd00::1]:80", "[fd00::2]:80"]
check    = { type = "tcp", interval = "500ms", timeout = "300ms" }
`

// newHost applies that config by a variant.
func newHost(t *testing.T, variant rules.Variant) restore.Host {
	t.Helper()
	netnstest.Self().Command(t, "link set lo up\naddr add 10.0.0.1/32 dev lo\naddr add 10.0.0.2/32 dev lo\naddr add fd00::1/128 dev lo nodad\naddr add fd00::2/128 dev lo nodad\n", "ip", "-batch", "-")
	host := restore.Host{Root: hosttest.Root(t), Run: program.Exec(), Variant: variant}
	_, err := host.Apply(t.Context(), restore.Request{
		Tables: hosttest.Tables(t, watched), Services: rules.EncodeServices(hosttest.Services(t, watched)), Config: configfiles.Alone("natspread.toml", []byte(watched)), Command: "apply", Now: hosttest.Day(),
	})
	hosttest.Must(t, err)
	return host
}

// listen serves a backend until it is closed.
func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	hosttest.Must(t, err)
	t.Cleanup(func() { listener.Close() })
	return listener
}

// chain returns a service's chain as the kernel has it.
func chain(t *testing.T, variant rules.Variant, f rules.Family, name string) string {
	t.Helper()
	var lines []string
	for line := range strings.Lines(hosttest.SaveNAT(t, variant, f)) {
		if strings.HasPrefix(line, "-A NATSPREAD-"+name+" ") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// TestHost watches real backends by real rules: who refuses is taken out in both families, and put back, also by
// the next watcher after one that ended; whatever ends, the rules stay.
func TestHost(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		for _, address := range []string{"10.0.0.1:80", "[fd00::1]:80"} {
			listen(t, address)
		}
		back := []net.Listener{listen(t, "10.0.0.2:80"), listen(t, "[fd00::2]:80")}
		watch := func() (end func()) {
			seams, past, err := On(t.Context(), host, func(level Level, line string) { t.Log(level, line) })
			hosttest.Must(t, err)
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- Run(ctx, seams, past) }()
			return func() {
				stop()
				hosttest.Must(t, <-done)
			}
		}
		out := func(of int) func() bool {
			return func() bool {
				return strings.Count(chain(t, variant, rules.IPv4, "web"), "DNAT") == of && strings.Count(chain(t, variant, rules.IPv6, "web6"), "DNAT") == of
			}
		}
		end := watch()
		await.True(t, "health.json is there", func() bool { _, err := host.HealthRecord(); return err == nil })
		for _, listener := range back {
			hosttest.Must(t, listener.Close())
		}
		await.True(t, "both are out", out(1))
		end()
		if !out(1)() || !strings.Contains(chain(t, variant, rules.IPv6, "web6"), "[fd00::1]:80") {
			t.Error("the rules did not stay")
		}
		status, err := host.Status(t.Context())
		hosttest.Must(t, err)
		if status.Differs() {
			t.Errorf("status: %+v", status.Rules)
		}
		end = watch()
		listen(t, "10.0.0.2:80")
		listen(t, "[fd00::2]:80")
		await.True(t, "both are back", out(2))
		end()
		hosttest.WantLoaded(t, variant, watched)
	})
}

// TestSigns changes with all that changes what is to be held.
func TestSigns(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		kernel, err := host.Kernel(t.Context())
		hosttest.Must(t, err)
		store := host.Store()
		before := signsOf(store, kernel)
		for _, change := range []struct {
			name string
			do   func() error
		}{
			{"nothing", func() error { return nil }},
			{"an overlay", func() error {
				smaller := hosttest.Tables(t, strings.Replace(watched, `, "10.0.0.2:80"`, "", 1))
				_, err := host.LoadOverlay(t.Context(), restore.Overlay{Base: 1, Tables: smaller, Note: []byte("{}")}, restore.Freed{})
				return err
			}},
			{"a file of it", func() error {
				file, err := os.OpenFile(store.Path("run/natspread/overlay/rules.v4"), os.O_APPEND|os.O_WRONLY, 0)
				if err == nil {
					_, err = file.WriteString("\n")
					err = errors.Join(err, file.Close())
				}
				return err
			}},
			{"no overlay", func() error { return os.RemoveAll(store.Path("run/natspread/overlay")) }},
			{"another generation", func() error {
				_, err := host.Apply(t.Context(), restore.Request{Tables: hosttest.Tables(t, hosttest.Article), Services: rules.EncodeServices(hosttest.Services(t, hosttest.Article)), Config: configfiles.Alone("natspread.toml", []byte(hosttest.Article)), Command: "apply", Now: hosttest.Day()})
				return err
			}},
		} {
			hosttest.Must(t, change.do())
			after := signsOf(store, kernel)
			if (after != before) != (change.name != "nothing") {
				t.Errorf("%s: %+v, and then %+v", change.name, before, after)
			}
			before = after
		}
		standing, err := read(store)
		if err != nil || standing.Generation != 2 || len(standing.Config.Services) != 2 || standing.Config.Services[0].Check != (config.Check{}) {
			t.Errorf("it reads %+v, %v", standing, err)
		}
	})
}
