package probe

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"natspread/internal/rules"
	"natspread/internal/test/await"
	"natspread/internal/test/netnstest"
	"natspread/restore/flows"

	"github.com/vishvananda/netlink/nl"
)

// TestUnable says nothing of a backend where this host could not ask.
func TestUnable(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	target := Target{Kind: TCP, Address: serve(t, "127.0.0.1", silent), Timeout: 10 * time.Second}
	elsewhere := target
	elsewhere.Source = netip.MustParseAddr("203.0.113.1")
	want(t, elsewhere.Do(t.Context()), "unable: cannot assign requested address")

	stopped, stop := context.WithCancel(t.Context())
	patient := target
	patient.Receive, patient.Timeout = "x", time.Hour
	go stop()
	want(t, patient.Do(stopped), "unable: the check was stopped")

	netnstest.Self().Sysctl(t, "net.ipv4.ip_local_port_range", "40000 40000")
	taken, err := net.Dial("tcp", target.Address.String())
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	want(t, target.Do(t.Context()), "unable: cannot assign requested address")

	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	limit.Cur = 3
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	want(t, target.Do(t.Context()), "unable: too many open files")
}

// TestJudge sorts the errors of system calls.
func TestJudge(t *testing.T) {
	t.Parallel()
	call := func(name string, errno syscall.Errno) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError(name, errno)}
	}
	for _, test := range []struct {
		err  error
		took time.Duration
		want string
	}{
		{nil, 0, ""},
		{call("socket", syscall.EMFILE), 0, "unable: too many open files"},
		{call("socket", syscall.ENFILE), 0, "unable: too many open files in system"},
		{call("socket", syscall.EPERM), 0, "unable: operation not permitted"},
		{call("socket", syscall.EAFNOSUPPORT), 0, "unable: address family not supported by protocol"},
		{call("bind", syscall.EACCES), 0, "unable: permission denied"},
		{call("bind", syscall.EADDRINUSE), 0, "unable: address already in use"},
		{call("connect", syscall.EADDRNOTAVAIL), 0, "unable: cannot assign requested address"},
		{call("connect", syscall.ENOBUFS), 0, "unable: no buffer space available"},
		{call("write", syscall.ENOMEM), 0, "unable: cannot allocate memory"},
		{call("connect", syscall.ENETUNREACH), 0, "network is unreachable"},
		{call("connect", syscall.EHOSTUNREACH), 0, "no route to host"},
		{call("write", syscall.EPERM), 0, "operation not permitted"},
		{call("connect", syscall.ETIMEDOUT), time.Second, "no answer in 1s"},
		{os.ErrDeadlineExceeded, time.Second, "no answer in 1s"},
		{context.DeadlineExceeded, 3 * time.Second, "no answer in 1s"},
		{os.ErrDeadlineExceeded, time.Minute, "unable: this process was held up"},
	} {
		want(t, judge(test.err, time.Second, test.took), test.want)
	}
	if refused := call("connect", syscall.ECONNREFUSED); !errors.Is(judge(refused, time.Second, 0), syscall.ECONNREFUSED) {
		t.Error("who asks cannot tell a refusal from another failure")
	}
	if long := printable(strings.Repeat("n", 1<<16)); len(long) > maxReason+len("…") {
		t.Errorf("a reason of %d bytes", len(long))
	}
}

// TestReset leaves no socket in TIME_WAIT, and an entry of connection tracking that is closed, whatever is asked.
func TestReset(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	netnstest.Self().Command(t, "", netnstest.Programs("nft", 4).Iptables, "-A", "OUTPUT", "-m", "conntrack", "--ctstate", "INVALID", "-j", "DROP")
	checks := []Target{
		{Kind: TCP, Address: serve(t, "127.0.0.1", silent)},
		{Kind: TCP, Address: serve(t, "127.0.0.1", answers("pong")), Send: "ping", Receive: "pong"},
		{Kind: HTTP, Address: serve(t, "127.0.0.1", answers("HTTP/1.1 200 OK\r\n\r\n"+strings.Repeat("x", 1<<20)))},
		{Kind: HTTPS, Address: serve(t, "127.0.0.1", newAuthority(t).server(t, "www.example.net", "", -time.Hour, time.Hour, &names{})), Insecure: true},
	}
	for _, target := range checks {
		target.Timeout, target.Good, target.Path = 10*time.Second, good, "/"
		want(t, target.Do(t.Context()), "")
	}
	await.True(t, "every entry is closed", func() bool {
		closed := 0
		err := flows.Each(t.Context(), rules.IPv4, func(e flows.Entry) {
			if e.Protocol == flows.TCP && e.State == nl.TCP_CONNTRACK_CLOSE {
				closed++
			}
		})
		return err == nil && closed == len(checks)
	})
	sockets, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		t.Fatal(err)
	}
	const timeWait = "06"
	for _, line := range strings.Split(strings.TrimSpace(string(sockets)), "\n")[1:] {
		if strings.Fields(line)[3] == timeWait {
			t.Errorf("a socket waits: %s", line)
		}
	}
}

// TestNoNames asks no resolver, whatever names a check has.
func TestNoNames(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	var asked atomic.Int32
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		asked.Add(1)
		return nil, os.ErrPermission
	}}
	if _, err := net.Dial("tcp", "www.example.net:80"); err == nil || asked.Load() == 0 {
		t.Fatalf("the resolver of this test is not asked: %v", err)
	}
	asked.Store(0)
	for _, kind := range []Kind{TCP, HTTP, HTTPS, UDP} {
		for _, address := range loopbacks() {
			target := Target{Kind: kind, Address: closed(t, address), Timeout: 10 * time.Second, Send: "x", Path: "/", Host: "www.example.net", TLSName: "www.example.net", Good: good}
			want(t, target.Do(t.Context()), "connection refused")
		}
	}
	if asked.Load() != 0 {
		t.Errorf("a resolver was asked %d times", asked.Load())
	}
}
