package main

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
)

// exampleFiles are the configs that users may begin with.
const exampleFiles = "../../examples/*.toml"

// TestExamples applies each example, and has a client ask each of its services: at each address, at both
// ends of a range, for each protocol. The backends that answer are those of the file, and see who the file
// says.
func TestExamples(t *testing.T) {
	paths, err := filepath.Glob(exampleFiles)
	if err != nil || len(paths) != 12 {
		t.Fatalf("%d examples: %v", len(paths), err)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".toml")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, variant := range netnstest.VariantsFor(t, name) {
				t.Run(variant, func(t *testing.T) {
					if netnstest.Isolate(t) {
						tryExample(t, variant, path)
					}
				})
			}
		})
	}
}

// tryExample tries one in the namespaces that it is in.
func tryExample(t *testing.T, variant, path string) {
	text, err := os.ReadFile(path)
	hosttest.Must(t, err)
	cfg, err := config.Parse(path, text)
	hosttest.Must(t, err)
	e := example{Network: netnstest.NewNetwork(t, netnstest.Layout{Backends: 6, Gateway: true}), serves: map[string]bool{}, keeps: map[string]string{}}
	e.Balancer.Command(t, "", "ip", "address", "add", "192.0.2.11/24", "dev", netnstest.Front)
	inProcess("--root", rootWith(t, string(text)), "--live", "--variant", variant, "apply").want(t, exitDone)
	for _, service := range cfg.Services {
		for _, listen := range service.Listen {
			for _, protocol := range service.Protocols {
				for _, port := range slices.Compact([]uint16{listen.Ports.First, listen.Ports.Last}) {
					e.ask(t, service, listen, string(protocol), port)
				}
			}
		}
	}
}

// example is the network of one.
type example struct {
	*netnstest.Network
	serves map[string]bool   // the sockets that are served, by protocol
	keeps  map[string]string // by service with slots: the one backend of our client
}

// ask asks one port of a listen address many times, so that every backend answers, or the one of our client.
func (e *example) ask(t *testing.T, service config.Service, listen config.Listen, protocol string, port uint16) {
	t.Helper()
	family := hosttest.Family(rules.FamilyOf(service.Backends[0].Addr))
	asked := netip.AddrPortFrom(listen.Addr, port)
	if listen.Any() {
		asked = netip.AddrPortFrom(netnstest.VIP(family), port)
	}
	var servers []string
	for _, backend := range service.Active() {
		at := listen.AnswersAt(backend, port)
		e.serve(t, family, protocol, at)
		servers = append(servers, at.String())
	}
	answered := 0
	for i, count := range netnstest.AskMany(t, e.Client, protocol, asked.String(), 60, 4).Of(servers) {
		switch {
		case i == len(servers):
			t.Errorf("%s %v: %d answers are of no backend", protocol, asked, count)
		case count > 0:
			answered++
			e.keep(t, service, netip.MustParseAddrPort(servers[i]).Addr())
		}
	}
	if service.Slots == 0 && answered != len(servers) || answered == 0 {
		t.Errorf("%s %v: %d of %d backends answer", protocol, asked, answered, len(servers))
	}
	by, peer, err := netnstest.Ask(t, e.Client, protocol, asked.String(), 5*time.Second)
	hosttest.Must(t, err)
	if want := e.sees(service, family, netip.MustParseAddrPort(by).Addr()); peer != want.String() {
		t.Errorf("%s %v: %s sees %s, not %v", protocol, asked, by, peer, want)
	}
}

// serve serves at an address, where nothing does so far: on the balancer, or beyond it.
func (e *example) serve(t *testing.T, family int, protocol string, at netip.AddrPort) {
	t.Helper()
	name := protocol + " " + at.String()
	if e.serves[name] {
		return
	}
	e.serves[name] = true
	host := e.Balancer
	if at.Addr() != netnstest.VIP(family) {
		host = e.Backends[0].Host // has the addresses of all
	}
	netnstest.Serve(t, host, protocol, at.String())
}

// keep fails where our client gets another backend of a service that keeps its clients.
func (e *example) keep(t *testing.T, service config.Service, backend netip.Addr) {
	t.Helper()
	name := fmt.Sprint(service.Name, backend.Is6())
	if kept := e.keeps[name]; service.Slots != 0 && kept != "" && kept != backend.String() {
		t.Errorf("service %s: our client has %s and %v", service.Name, kept, backend)
	}
	e.keeps[name] = backend.String()
}

// sees returns whom a backend of a service sees.
func (e *example) sees(service config.Service, family int, backend netip.Addr) netip.Addr {
	switch {
	case service.SNAT.Mode == config.None, backend == netnstest.VIP(family):
		return netnstest.ClientAddr(family, 0)
	case service.SNAT.Mode == config.Address:
		return service.SNAT.Addr
	}
	return netnstest.Gateway(family)
}
