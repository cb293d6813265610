package nethost_test

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"natspread/internal/nethost"
	"natspread/internal/test/netnstest"
	"natspread/internal/traffic"
)

// must ends the test on an error.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestHosts joins two hosts without a name by way of a third one, which is a switch, and has one
// ask the other, at addresses of both families, from one that is on lo.
func TestHosts(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	var hosts []*nethost.Host
	for range 3 {
		host, err := nethost.New()
		must(t, err)
		t.Cleanup(host.Close)
		hosts = append(hosts, host)
	}
	a, b, middle := hosts[0], hosts[1], hosts[2]
	must(t, middle.Connect("left", a, "eth0"))
	must(t, middle.Connect("right", b, "eth0"))
	must(t, middle.Bridge("left", "right"))
	for _, c := range []struct{ near, far, lo string }{
		{"192.0.2.1/24", "192.0.2.2/24", "198.51.100.1/32"},
		{"2001:db8::1/64", "2001:db8::2/64", "2001:db8:1::1/128"},
	} {
		near, far, lo := netip.MustParsePrefix(c.near), netip.MustParsePrefix(c.far), netip.MustParsePrefix(c.lo)
		must(t, a.AddAddresses("eth0", near))
		must(t, a.AddAddresses("lo", lo))
		must(t, b.AddAddresses("eth0", far))
		must(t, b.AddRoutes("eth0", near.Addr(), lo))
		for _, network := range []string{"tcp", "udp"} {
			var at string
			must(t, b.Do(func() (err error) {
				var stop func()
				at, stop, err = traffic.Serve(network, netip.AddrPortFrom(far.Addr(), 0).String())
				t.Cleanup(stop)
				return err
			}))
			must(t, a.Do(func() error {
				server, seen, err := traffic.NewAsker().At(lo.Addr()).Ask(network, at, 5*time.Second)
				if server != at || seen != lo.Addr().String() {
					t.Errorf("%s %s: %s answered to %s", network, at, server, seen)
				}
				return err
			}))
		}
	}
	if links, err := net.Interfaces(); err != nil || slices.ContainsFunc(links, func(l net.Interface) bool { return l.Name == "left" }) {
		t.Errorf("links of the test itself: %v, %v", links, err)
	}
}

// TestErrors says what could not be done to which host.
func TestErrors(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	host, err := nethost.New()
	must(t, err)
	t.Cleanup(host.Close)
	one := netip.MustParsePrefix("192.0.2.1/24")
	for want, err := range map[string]error{
		"cannot find the interface eth9":                      host.AddAddresses("eth9", one),
		"cannot give lo the address 192.0.2.1/24":             errors.Join(host.AddAddresses("lo", one, one)),
		"cannot connect the interface a-name-that-is-far-too": host.Connect("a-name-that-is-far-too-long", host, "eth0"),
		"cannot enter the network namespace /none":            nethost.At("/none").Do(func() error { return nil }),
		"its own": host.Do(func() error { return errors.New("its own") }),
	} {
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%v, not %s", err, want)
		}
	}
}

// TestOnThread leaves the other threads where they are, and ends with a function that ends its
// goroutine.
func TestOnThread(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	here, err := os.Readlink("/proc/self/ns/net")
	must(t, err)
	host, err := nethost.New()
	must(t, err)
	t.Cleanup(host.Close)
	there := ""
	must(t, host.Do(func() (err error) {
		there, err = os.Readlink("/proc/thread-self/ns/net")
		return err
	}))
	_ = nethost.OnThread(func() error { runtime.Goexit(); return nil }) // does not hang
	if now, err := os.Readlink("/proc/self/ns/net"); err != nil || now != here || there == here {
		t.Errorf("from %s to %s, and back in %s, %v", here, there, now, err)
	}
}
