package doctor

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"natspread/internal/config"
	"natspread/internal/doctor/finding"
	"natspread/internal/network"
	"natspread/internal/rules"
	"natspread/internal/test/netnstest"
	"natspread/restore/flows"
)

// wantFindings fails unless findings are those, each as "severity: what" begins.
func wantFindings(t *testing.T, found []Finding, want ...string) {
	t.Helper()
	same := len(found) == len(want)
	for i := range min(len(found), len(want)) {
		same = same && strings.HasPrefix(found[i].Severity.String()+": "+found[i].What, want[i])
	}
	if !same {
		t.Errorf("want %q, found\n%s", want, reported(found))
	}
}

// sysctls are files below a story's proc.
func sysctls(pairs ...string) []txtar.File {
	var files []txtar.File
	for i := 0; i < len(pairs); i += 2 {
		files = append(files, txtar.File{Name: "proc/" + pairs[i], Data: []byte(pairs[i+1] + "\n")})
	}
	return files
}

// TestTableUse begins above 80 %, is broken at the bound, and knows none at all.
func TestTableUse(t *testing.T) {
	const count, most = "net/netfilter/nf_conntrack_count", "net/netfilter/nf_conntrack_max"
	for _, c := range []struct{ count, most, want string }{
		{"80", "100", ""}, {"81", "100", "risk: 81 of at most 100 connections are tracked, 81 %"},
		{"99", "100", "risk: 99 of"}, {"100", "100", "broken: 100 of"}, {"5", "0", ""},
		{"many", "100", "risk: cannot tell how full the table of connections is: "},
	} {
		found := examination{Host: host(t, sysctls(count, c.count, most, c.most))}.tableUse()
		if c.want == "" {
			wantFindings(t, found)
		} else {
			wantFindings(t, found, c.want)
		}
	}
	wantFindings(t, examination{Host: host(t, nil)}.tableUse())
	wantFindings(t, examination{Host: host(t, sysctls(count, "1"))}.tableUse(), "risk: cannot tell how full")
}

// flowsTo are connections to the backend of webService, from one address of ours.
func flowsTo(n int, protocol flows.Protocol, source string) []flows.Entry {
	entries := make([]flows.Entry, n)
	for i := range entries {
		entries[i] = flows.Entry{
			Protocol: protocol, OrigSrc: netip.MustParseAddrPort("203.0.113.9:1"), OrigDst: netip.MustParseAddrPort("192.0.2.10:80"),
			ReplySrc: netip.MustParseAddrPort("10.0.0.1:80"), ReplyDst: netip.AddrPortFrom(netip.MustParseAddr(source), uint16(i)),
		}
	}
	return entries
}

// TestPortSpace counts for each protocol, backend and source, those only whose source
// is ours.
func TestPortSpace(t *testing.T) {
	e := examination{Balancer: Balancer{Services: []config.Service{webService()}}}
	e.flows[rules.IPv4] = flowsTo(51609, flows.TCP, "10.0.0.254") // 80 % of 64512
	wantFindings(t, e.portSpace())
	e.flows[rules.IPv4] = append(e.flows[rules.IPv4], flowsTo(40000, flows.TCP, "10.0.0.253")...)
	e.flows[rules.IPv4] = append(e.flows[rules.IPv4], flowsTo(60000, flows.TCP, "203.0.113.9")...) // the client's own
	wantFindings(t, e.portSpace())
	e.flows[rules.IPv4] = append(e.flows[rules.IPv4], flowsTo(1, flows.TCP, "10.0.0.254")...)
	e.flows[rules.IPv4] = append(e.flows[rules.IPv4], flowsTo(64512, flows.UDP, "10.0.0.254")...)
	found := e.portSpace()
	wantFindings(t, found, "risk: 10.0.0.254 uses 51610 of the 64512 connections that it can have to backend 10.0.0.1:80 over tcp, 0 of them",
		"broken: 10.0.0.254 uses 64512 of the 64512 connections that it can have to backend 10.0.0.1:80 over udp")
	if lost := finding.Lost(found[:1]); !lost.Has("", netip.MustParseAddr("10.0.0.1")) {
		t.Error("a backend is asked to which hardly a port is left: that may get no answer")
	}
	if !strings.Contains(found[1].Fix, "nf_conntrack_udp_timeout=10 ") {
		t.Error(found[1].Fix)
	}
	e.Services[0].Backends[0].Weight = 0
	wantFindings(t, e.portSpace())
}

// TestShiftedPorts is a range that goes to another one: nothing arrives at one port of all.
func TestShiftedPorts(t *testing.T) {
	service := webService()
	service.Listen[0].Ports.Last, service.Backends[0].Last = 90, 90
	e := examination{Balancer: Balancer{Services: []config.Service{service}}}
	wantFindings(t, e.ports())
	service.Backends[0].Last = 0
	wantFindings(t, e.ports(), "risk: service web listens on several ports, and all arrive at port 80 of backend 10.0.0.1")
}

// twoLinks is a host between two subnets.
func twoLinks() network.Network {
	front, back := network.Link{Index: 1, Name: "front", Up: true, MTU: 1500}, network.Link{Index: 2, Name: "back", Up: true, MTU: 1500}
	return network.New([]network.Link{front, back}, []network.Address{
		{Addr: netip.MustParseAddr("192.0.2.10"), Subnet: netip.MustParsePrefix("192.0.2.0/24"), Link: front},
		{Addr: netip.MustParseAddr("10.0.0.254"), Subnet: netip.MustParsePrefix("10.0.0.0/24"), Link: back},
	})
}

// TestReversePath tells what is sure from what is not, and from what cannot be read.
func TestReversePath(t *testing.T) {
	backend := netip.MustParseAddr("10.0.0.1")
	for _, c := range []struct {
		all, back string
		source    config.SNAT
		want      string
	}{
		{"0", "0", config.SNAT{}, ""}, {"2", "1", config.SNAT{}, ""}, {"0", "2", config.SNAT{}, ""}, {"1", "2", config.SNAT{}, ""},
		{"1", "0", config.SNAT{}, "risk: packets to backend 10.0.0.1 of web go out by front"},
		{"0", "1", config.SNAT{Mode: config.None}, "risk: packets"},
		{"0", "1", config.SNAT{Mode: config.Address, Addr: netip.MustParseAddr("192.0.2.10")}, "risk: packets"},
		{"0", "1", config.SNAT{Mode: config.Address, Addr: netip.MustParseAddr("10.0.0.254")}, "broken: packets"},
		{"0", "strict", config.SNAT{}, "risk: cannot tell whether rp_filter is strict on back: "},
	} {
		e := examination{Host: host(t, sysctls("net/ipv4/conf/all/rp_filter", c.all, "net/ipv4/conf/back/rp_filter", c.back))}
		e.Services, e.network = []config.Service{webService()}, twoLinks()
		e.Services[0].SNAT = c.source
		e.network.Known[backend] = network.Lookup{Route: network.Route{Link: "front", Source: netip.MustParseAddr("192.0.2.10")}}
		if c.want == "" {
			wantFindings(t, e.reversePath())
		} else {
			wantFindings(t, e.reversePath(), c.want)
		}
		e.network.Known[backend] = network.Lookup{Route: network.Route{Link: "back", Source: netip.MustParseAddr("10.0.0.254")}}
		wantFindings(t, e.reversePath())
	}
}

// TestReturnAdvice says at an apply what backends have to be told that see their clients.
func TestReturnAdvice(t *testing.T) {
	onEach(t, "advice", false, func(t *testing.T, variant string) {
		p := newPatient(t, variant, netnstest.Layout{Gateway: true}, config.SNAT{Mode: config.None})
		var found []Finding
		look := func() { p.Network.Balancer.Do(t, func() { found = p.Live.Advice(p.Balancer.Services) }) }
		if look(); len(found) != 1 || found[0].Fix != "ip route replace default via 10.0.0.254 # on each of them" {
			t.Errorf("%s", reported(found))
		}
		p.hold(t)
		look()
		wantFindings(t, found)
		p.Balancer.Services[0].SNAT.Mode = config.Masquerade
		flush(t)
		look()
		wantFindings(t, found)
	})
}

// TestReturnPath groups backends by their subnet, and takes a reply as proof.
func TestReturnPath(t *testing.T) {
	e := examination{network: twoLinks()}
	e.Services = []config.Service{webService()}
	e.Services[0].SNAT.Mode = config.None
	for _, addr := range []string{"10.0.0.2", "203.0.113.5"} {
		e.Services[0].Backends = append(e.Services[0].Backends, backendOf(netip.MustParseAddr(addr), 80))
	}
	found := e.returnPath()
	wantFindings(t, found, `risk: with snat = "none" the answers of 10.0.0.1, 10.0.0.2 must`, `risk: with snat = "none" the answers of 203.0.113.5 must be routed through this host; this host cannot see whether they are: these backends are on no subnet`)
	if !strings.Contains(found[0].Fix, "via 10.0.0.254 ") || found[1].Fix != `natspread edit # in service web: snat = "masquerade"` {
		t.Errorf("%s", reported(found))
	}
	e.Services[0].Takeover = true
	wantFindings(t, e.returnPath(), "risk: with takeover the answers of 10.0.0.1, 10.0.0.2, 203.0.113.5 must be routed through the balancer that the client asked; this host")
	e.Services[0].Takeover = false
	e.flows[rules.IPv4] = flowsTo(1, flows.TCP, "203.0.113.9")
	f := &e.flows[rules.IPv4][0]
	f.ReplyDst = f.OrigSrc
	if wantFindings(t, e.returnPath(), `risk: with snat = "none" the answers of 10.0.0.1, `, "risk"); t.Failed() {
		return
	}
	f.SeenReply = true
	wantFindings(t, e.returnPath(), `risk: with snat = "none" the answers of 10.0.0.2 must`, "risk")
}

// TestHairpin leaves out what is covered, and names all in the line for the config.
func TestHairpin(t *testing.T) {
	e := examination{network: twoLinks()}
	e.Services = []config.Service{webService()}
	service := &e.Services[0]
	wantFindings(t, e.hairpin()) // backends see an address of the host's
	service.SNAT.Mode = config.None
	for hairpin, want := range map[string]string{
		"10.0.0.0/24":    "",
		"10.0.0.0/8":     "",
		"10.0.0.0/25":    `natspread edit # in service web: hairpin = ["10.0.0.0/25", "10.0.0.0/24"]`,
		"203.0.113.0/24": `natspread edit # in service web: hairpin = ["203.0.113.0/24", "10.0.0.0/24"]`,
	} {
		service.Hairpin = []netip.Prefix{netip.MustParsePrefix(hairpin)}
		found := e.hairpin()
		if len(found) > 1 || len(found) == 1 && found[0].Fix != want || (len(found) == 1) != (want != "") {
			t.Errorf("%s: %s", hairpin, reported(found))
		}
	}
	service.Allow = []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
	wantFindings(t, e.hairpin()) // clients beside the backends are refused
}

// TestWithoutAddress keeps the other listen addresses of a service.
func TestWithoutAddress(t *testing.T) {
	const edit, behind = "natspread edit # in service web: ", `snat = "masquerade"`
	service := webService()
	lost := service.Listen[0].Addr
	for want, more := range map[string][]config.Listen{
		`listen = "*:80" and `:                             nil,
		`listen = ["*:80", "*:443"] and `:                  {listenOf(lost, 443, 443)},
		`listen = ["*:80", "198.51.100.7:8000-8010"] and `: {listenOf(netip.MustParseAddr("198.51.100.7"), 8000, 8010)},
	} {
		one := service
		one.Listen = slices.Concat(service.Listen, more)
		e := examination{Balancer: Balancer{Services: []config.Service{one}}}
		if got := e.withoutAddress(lost, "web"); got != edit+want+behind {
			t.Errorf("%s", got)
		}
	}
	other := service
	other.Name = "other"
	e := examination{Balancer: Balancer{Services: []config.Service{service, other}}}
	if got := e.withoutAddress(lost, "web"); got != edit+behind {
		t.Errorf("%s", got)
	}
}

// TestFixOfBoth writes for a service of both families what stands once in the file, with the keys that it has.
func TestFixOfBoth(t *testing.T) {
	e := examination{}
	for text, want := range map[string]string{
		`listen = ["192.0.2.10", "192.0.2.11", "2001:db8::10"]
ports = { 80 = 8080, 443 = 8443 }
snat = ["192.0.2.10", "192.0.2.11", "2001:db8::10"]`: `listen = "*" and snat = ["192.0.2.11", "2001:db8::10"]`,
		`listen = ["192.0.2.10:80", "192.0.2.10:443", "[2001:db8::10]:80"]
snat = ["192.0.2.10", "2001:db8::10"]`: `listen = ["*:80", "*:443"] and snat = "masquerade"`,
	} {
		cfg, err := config.Parse("f.toml", []byte("[[service]]\nname = \"web\"\nbackends = [\"10.0.0.1\", \"fd00::1\"]\n"+text))
		if err != nil {
			t.Fatal(err)
		}
		e.Services = cfg.Services
		for _, name := range []string{"web", "web.6"} {
			if got := e.withoutAddress(netip.MustParseAddr("192.0.2.10"), name); got != "natspread edit # in service web: "+want {
				t.Errorf("%s:\n%s", name, got)
			}
		}
	}
	e.Services[0].Hairpin = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")}
	want := `natspread edit # in service web: hairpin = ["10.0.0.0/24", "fd00::/64"]`
	if got := e.noHairpin(e.Services[1], []netip.Prefix{netip.MustParsePrefix("fd00::/64")}).Fix; got != want {
		t.Error(got)
	}
}

// TestInterfaceOfAnother offers no interface that another service at the same address and port has.
func TestInterfaceOfAnother(t *testing.T) {
	inside, outside := webService(), webService()
	inside.Interfaces, outside.Name = []string{"eth9"}, "outside"
	e := examination{network: twoLinks()}
	for _, c := range []struct {
		links []string
		fix   bool
	}{{[]string{"eth7"}, true}, {[]string{"front"}, false}, {[]string{"fr+"}, false}} {
		outside.Interfaces = c.links
		e.Services = []config.Service{inside, outside}
		if got := e.noInterface(inside, "eth9").Fix; (got != "") != c.fix {
			t.Errorf("%v: %q", c.links, got)
		}
	}
}

// TestOwners finds files of another user, and directories above a file.
func TestOwners(t *testing.T) {
	if !netnstest.IsolateAsRoot(t) {
		return
	}
	h := host(t, []txtar.File{{Name: "var/lib/natspread/generations/1/manifest"}, {Name: "etc/natspread/natspread.toml"}, {Name: "etc/natspread/conf.d/web.toml"}})
	state := []string{"var/lib/natspread/generations/1/manifest", "var/lib/missing"}
	e := examination{Host: h, Balancer: Balancer{Config: []string{"etc/natspread/natspread.toml", "etc/natspread/conf.d", "etc/natspread/conf.d/web.toml"}}}
	both := func() []Finding { return append(h.Refused(state), e.modes()...) }
	wantFindings(t, both())
	for _, path := range []string{"var/lib", "etc/natspread/natspread.toml", "etc/natspread/conf.d"} {
		if err := os.Chown(filepath.Join(h.Root, path), 1234, 0); err != nil {
			t.Fatal(err)
		}
	}
	found := both()
	wantFindings(t, found, fmt.Sprintf("at boot: %s/var/lib belongs to user 1234: boot will not load it", h.Root),
		fmt.Sprintf("risk: %s/etc/natspread/natspread.toml belongs to user 1234: what it says is applied next", h.Root),
		fmt.Sprintf("risk: %s/etc/natspread/conf.d belongs to user 1234: what it says is applied next", h.Root))
	for _, f := range found {
		netnstest.Self().Command(t, f.Fix, "sh", "-e")
	}
	wantFindings(t, both())
}

// TestWithoutSystemd cannot tell what boot does.
func TestWithoutSystemd(t *testing.T) {
	e := examination{Host: host(t, nil), Balancer: Balancer{Applied: 1}}
	wantFindings(t, e.firewalls(), "risk: cannot tell what loads the rules at boot: there is no systemd")
	e.Applied = 0
	wantFindings(t, e.firewalls())
}

// TestUnread tells once that rules could not be read.
func TestUnread(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	found := host(t, nil).Examine(Balancer{Unread: errors.New("cannot read the rules of nftables: gone")})
	wantFindings(t, found, "risk: cannot tell which rules others have: cannot read the rules of nftables: gone")
}

// TestFlushers knows which service empties what, and who puts it back.
func TestFlushers(t *testing.T) {
	const wants = "etc/systemd/system/multi-user.target.wants/"
	enabled := []txtar.File{{Name: "usr/lib/systemd/systemd"}}
	for _, name := range []string{"natspread", "nftables", "ferm"} {
		file := "usr/lib/systemd/system/" + name + ".service"
		enabled = append(enabled, txtar.File{Name: wants + name + ".service", Data: []byte("-> /" + file)},
			txtar.File{Name: file, Data: []byte("[Unit]\nAfter=nftables.service\n[Service]\nExecStart=/opt/natspread restore\n")})
	}
	e := examination{Host: host(t, enabled), Balancer: Balancer{Applied: 1, Variant: "nft"}}
	found := e.firewalls()
	wantFindings(t, found, "risk: a restart or reload of nftables.service empties", "at boot: ferm.service empties the nat table when it starts, and natspread.service does not wait for it (After= in /usr/lib/systemd/system/natspread.service)")
	if !strings.Contains(found[1].Fix, "ExecStartPost=-/opt/natspread restore") {
		t.Error(found[1].Fix)
	}
	e.Variant = "legacy" // of which nft knows nothing
	wantFindings(t, e.firewalls(), "at boot: ferm.service")
	if err := os.Remove(filepath.Join(e.Root, wants, "ferm.service")); err != nil {
		t.Fatal(err)
	}
	wantFindings(t, e.firewalls())
}

// TestDroppedByTheOther offers no forward = "accept", which adds nothing to the variant
// that natspread does not use.
func TestDroppedByTheOther(t *testing.T) {
	e := examination{network: twoLinks(), Balancer: Balancer{Services: []config.Service{webService()}, Variant: "nft"}}
	e.network.Known[netip.MustParseAddr("10.0.0.1")] = network.Lookup{Route: network.Route{Link: "back"}}
	const text = "*filter\n:FORWARD DROP [0:0]\nCOMMIT\n"
	for variant, want := range map[rules.Variant]string{
		"legacy": "iptables-legacy -I FORWARD -m conntrack --ctstate DNAT -j ACCEPT # until the next boot",
		"nft":    "iptables-nft -I FORWARD -m conntrack --ctstate DNAT -j ACCEPT # until the next boot; for good: forward = \"accept\" in service web, then: natspread apply",
	} {
		e.Rulesets = []rules.Ruleset{rules.ParseRuleset(rules.IPv4, variant, []byte(text))}
		found := e.way().Found
		if wantFindings(t, found, "broken: ipv4: connections of web to 10.0.0.1:80 are dropped by the "+string(variant)); len(found) == 1 && found[0].Fix != want {
			t.Error(found[0].Fix)
		}
	}
}

// TestDrained asks nothing of a backend that gets no new connections, not even a route.
func TestDrained(t *testing.T) {
	e := examination{network: twoLinks(), Balancer: Balancer{Services: []config.Service{webService()}}}
	far := netip.MustParseAddr("203.0.113.5")
	e.network.Known[netip.MustParseAddr("10.0.0.1")] = network.Lookup{Route: network.Route{Link: "back"}}
	e.network.Known[far] = network.Lookup{Err: network.ErrNoRoute}
	e.Services[0].Backends = append(e.Services[0].Backends, backendOf(far, 80))
	wantFindings(t, e.routes(), "broken: no route leads to backend 203.0.113.5 of web")
	other := netip.MustParseAddrPort("198.51.100.1:1")
	flow := flows.Entry{OrigDst: other, ReplySrc: netip.AddrPortFrom(far, 80), ReplyDst: other}
	if !e.concerns()(flow) {
		t.Errorf("%+v is nothing to it", flow)
	}
	e.Services[0].Backends[1].Weight = 0
	wantFindings(t, e.routes())
	if e.concerns()(flow) {
		t.Errorf("%+v is of a drained backend", flow)
	}
	if all := e.travel(rules.IPv4, false); len(all.Passing.List) != 1 || len(all.Returning.List) != 1 || all.Passing.List[0].Destination == far {
		t.Errorf("%+v", all)
	}
}

// TestMappedPort follows packets to the port where a backend answers, and from there.
func TestMappedPort(t *testing.T) {
	e := examination{network: twoLinks(), Balancer: Balancer{Services: []config.Service{webService()}}}
	e.network.Known[netip.MustParseAddr("10.0.0.1")] = network.Lookup{Route: network.Route{Link: "back"}}
	e.Services[0].Backends[0].Port = 0
	for to, want := range map[uint16]uint16{0: 80, 8080: 8080} {
		e.Services[0].Listen[0].To = to
		all := e.travel(rules.IPv4, false)
		if there, back := all.Passing.List[0].DestinationPort, all.Returning.List[0].SourcePort; there != want || back != want {
			t.Errorf("port 80, mapped to %d: there %d, back %d", to, there, back)
		}
	}
}
