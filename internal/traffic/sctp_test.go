package traffic_test

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"natspread/internal/test/netnstest"
	"natspread/internal/traffic"
)

func TestSCTP(t *testing.T) {
	netnstest.NeedSCTP(t)
	if !netnstest.Isolate(t) {
		return
	}
	n := netnstest.NewNetwork(t, netnstest.Layout{})
	for _, family := range []int{4, 6} {
		for _, addr := range n.Serve(t, "sctp", family, 80) {
			server, seen, err := netnstest.Ask(t, n.Balancer, "sctp", addr, 2*time.Second)
			if err != nil || server != addr || seen != netnstest.Gateway(family).String() {
				t.Errorf("%s answered as %q to %q, %v", addr, server, seen, err)
			}
		}
	}
}

// TestStreamSocket tries the SCTP code with TCP, which every kernel has.
func TestStreamSocket(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	for _, c := range []struct{ listen, source string }{
		{"127.0.0.1:0", ""},
		{"127.0.0.1:0", "127.0.0.9"},
		{"[::1]:0", ""},
		{"[::1]:0", "::1"},
	} {
		listener, err := traffic.ListenStream(unix.IPPROTO_TCP, c.listen)
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		var source netip.Addr
		if c.source != "" {
			source = netip.MustParseAddr(c.source)
		}
		asker, err := traffic.DialStream(unix.IPPROTO_TCP, source, listener.Addr().String(), time.Second)
		if err != nil {
			t.Fatal(err)
		}
		defer asker.Close()
		server, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		if server.RemoteAddr().String() != asker.LocalAddr().String() || server.LocalAddr().String() != listener.Addr().String() {
			t.Errorf("%v: server sees %v and is %v", c, server.RemoteAddr(), server.LocalAddr())
		}
		if host, _, _ := net.SplitHostPort(asker.LocalAddr().String()); c.source != "" && host != c.source {
			t.Errorf("%v: asked from %s", c, host)
		}
	}
}

func TestStreamSocketErrors(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	n := netnstest.NewNetwork(t, netnstest.Layout{})
	n.Client.Command(t, "", "ip", "route", "add", "10.0.0.0/24", "via", "192.0.2.10") // not forwarded
	var refused, timedOut error
	n.Client.Do(t, func() {
		_, refused = traffic.DialStream(unix.IPPROTO_TCP, netip.Addr{}, "192.0.2.10:81", time.Second)
		_, timedOut = traffic.DialStream(unix.IPPROTO_TCP, netip.Addr{}, "10.0.0.1:81", 50*time.Millisecond)
	})
	for _, c := range []struct{ got, want error }{{refused, unix.ECONNREFUSED}, {timedOut, os.ErrDeadlineExceeded}} {
		if !errors.Is(c.got, c.want) {
			t.Errorf("got %v, want %v", c.got, c.want)
		}
	}
	if _, err := traffic.ListenStream(unix.IPPROTO_TCP, "localhost:80"); err == nil {
		t.Error("a name was taken for an address")
	}
}
