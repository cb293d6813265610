package doctor

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"

	"natspread/internal/config"
	"natspread/internal/doctor/finding"
	"natspread/internal/rules"
	"natspread/internal/test/netnstest"
)

// listenOf returns a listen address.
func listenOf(addr netip.Addr, first, last uint16) config.Listen {
	return config.Listen{Addr: addr, Ports: config.Ports{First: first, Last: last}}
}

// everywhere is port 80 of every address.
func everywhere() config.Listen { return listenOf(netip.Addr{}, 80, 80) }

// backendOf returns a backend that gets new connections.
func backendOf(addr netip.Addr, port uint16) config.Backend {
	return config.Backend{Addr: addr, Port: port, Weight: 1}
}

// sixService is webService for IPv6.
func sixService() config.Service {
	six := webService()
	six.Name = "six"
	six.Listen, six.Backends = []config.Listen{listenOf(netnstest.VIP(6), 80, 80)}, []config.Backend{backendOf(netip.MustParseAddr("fd00::1"), 80)}
	return six
}

// serviceOf returns a service of a family.
func serviceOf(family rules.Family) config.Service {
	if family == rules.IPv6 {
		return sixService()
	}
	return webService()
}

// addBackend adds one to the service.
func addBackend(addr string) func(*testing.T, *patient) {
	return func(_ *testing.T, p *patient) {
		service := &p.Balancer.Services[0]
		service.Backends = append(service.Backends, backendOf(netip.MustParseAddr(addr), 80))
	}
}

// serveAlso gives the backend's host another address, and answers there.
func serveAlso(t *testing.T, p *patient, addr string) {
	t.Helper()
	p.Backends[0].Host.Command(t, "", "ip", "address", "add", addr+"/24", "dev", "eth0")
	netnstest.Serve(t, p.Backends[0].Host, "tcp", addr+":80")
}

// addDead adds one whose host is there, and where nobody listens.
func addDead(addr string) func(*testing.T, *patient) {
	return func(t *testing.T, p *patient) {
		t.Helper()
		p.Backends[0].Host.Command(t, "", "ip", "address", "add", addr+"/24", "dev", "eth0")
		addBackend(addr)(t, p)
	}
}

// listenerName is the environment variable that makes this test binary listen.
const listenerName = "DOCTOR_LISTENER"

// TestListener is a process that listens, for other tests.
func TestListener(t *testing.T) {
	at := os.Getenv(listenerName)
	if at == "" {
		return
	}
	network := "tcp4"
	if strings.HasPrefix(at, "[") {
		network = "tcp" // both, where the address is of neither
	}
	listener, err := net.Listen(network, at)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	fmt.Println("listening")
	_, _ = io.Copy(io.Discard, os.Stdin) // until the other test ends
}

// listenOn starts a process that listens.
func listenOn(at string) func(*testing.T, *patient) {
	return func(t *testing.T, p *patient) {
		t.Helper()
		p.listener = exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestListener$")
		p.listener.Env = append(os.Environ(), listenerName+"="+at)
		if _, err := p.listener.StdinPipe(); err != nil {
			t.Fatal(err)
		}
		out, err := p.listener.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := p.listener.Start(); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(out).ReadString('\n'); line != "listening\n" {
			t.Fatalf("%q, %v", line, err)
		}
	}
}

// endListener ends that process, where no line does.
func endListener(t *testing.T, p *patient, _ string) {
	if err := p.listener.Process.Kill(); err != nil {
		t.Fatal(err)
	}
}

// hairpins covers the backends.
func hairpins() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")} }

// flush forgets every connection.
func flush(t *testing.T) {
	t.Helper()
	if err := netlink.ConntrackTableFlush(netlink.ConntrackTable); err != nil {
		t.Fatal(err)
	}
}

// track adds balanced connections that are over to the table.
func track(t *testing.T, n int) {
	t.Helper()
	lines := make([]string, n)
	for i := range lines {
		lines[i] = fmt.Sprintf("tcp 192.0.2.200:%d 192.0.2.10:80 10.0.0.1:80 10.0.0.254:%[1]d", 1024+i)
	}
	netnstest.Track(t, nl.TCP_CONNTRACK_TIME_WAIT, lines...)
}

// findAll returns all that doctor finds of a balancer and of the files that boot loads.
func findAll(h Host, b Balancer, state ...string) []Finding {
	found := slices.Concat(h.Forwarding(b.Services, b.families()...), h.Way(b).Found, h.Refused(state), h.Examine(b))
	found = append(found, h.Unchecked(b.Services, found)...)
	finding.Sort(found)
	return found
}

// chmod changes the mode of a file below the root.
func chmod(mode os.FileMode, path string) func(*testing.T, *patient) {
	return func(t *testing.T, p *patient) {
		t.Helper()
		if err := os.Chmod(filepath.Join(p.Live.Root, path), mode); err != nil {
			t.Fatal(err)
		}
	}
}
