package doctor

import (
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"natspread/internal/config"
	"natspread/internal/doctor/finding"
	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/test/netnstest"
	"natspread/restore/iptables"
	"natspread/units"
)

// loaded is what apply loads for webService, in the words of iptables-restore.
const loaded = `*nat
:NATSPREAD-PRE - [0:0]
-A PREROUTING -j NATSPREAD-PRE
-A NATSPREAD-PRE -d 192.0.2.10/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.1:80
-A POSTROUTING -p tcp -m conntrack --ctstate DNAT --ctorigdst 192.0.2.10 --ctorigdstport 80 -j SOURCE
COMMIT
`

// accepts are what apply loads for webService where FORWARD is to let it through.
const accepts = `*filter
:NATSPREAD-FORWARD - [0:0]
-I FORWARD -m conntrack --ctstate DNAT -j NATSPREAD-FORWARD
-A NATSPREAD-FORWARD -m conntrack --ctproto 6 --ctorigdst 192.0.2.10 --ctorigdstport 80 -j ACCEPT
COMMIT
`

// webService is the service that faults are made for.
func webService() config.Service {
	return config.Service{
		Name: "web", Protocols: []config.Protocol{config.TCP},
		Listen:   []config.Listen{listenOf(netnstest.VIP(4), 80, 80)},
		Backends: []config.Backend{backendOf(netip.MustParseAddr("10.0.0.1"), 80)},
	}
}

// patient is a healthy balancer that a fault is made in.
type patient struct {
	*netnstest.Network
	Balancer Balancer
	Live     Host
	variant  string
	asks     string    // what clients connect to
	listener *exec.Cmd // a process of the host's, nil for none
}

// newPatient builds a balancer that works: a network, rules in it, and a root with a
// systemd that loads them at boot.
func newPatient(t *testing.T, variant string, layout netnstest.Layout, source config.SNAT) *patient {
	t.Helper()
	layout.Backends, layout.Forward = 1, true
	p := &patient{Network: netnstest.NewNetwork(t, layout), variant: variant, asks: "192.0.2.10:80"}
	p.Serve(t, "tcp", 4, 80)
	p.Live = Host{Root: t.TempDir(), Sysctls: "/proc/sys", Proc: "/proc", Asks: true}
	text, err := units.Text("/usr/sbin/natspread")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"usr/lib/systemd/systemd":                                      "",
		"usr/lib/systemd/system/natspread.service":                     string(text),
		"etc/systemd/system/multi-user.target.wants/natspread.service": "-> /usr/lib/systemd/system/natspread.service",
		"var/lib/natspread/generations/1/manifest":                     "{}",
		"etc/natspread/natspread.toml":                                 "",
	} {
		write(t, filepath.Join(p.Live.Root, name), text)
	}
	service := webService()
	service.SNAT = source
	if source.Mode == config.None {
		service.Hairpin = hairpins()
	}
	p.Balancer = Balancer{
		Services: []config.Service{service}, Applied: 1, Variant: rules.Variant(variant),
		Config: []string{"etc/natspread/natspread.toml"},
	}
	p.load(t, netnstest.VIP(4).String()+"/32", source)
	return p
}

// load loads what apply does for a listen address, as -d has it, and a source.
func (p *patient) load(t *testing.T, listen string, source config.SNAT) {
	t.Helper()
	target := "MASQUERADE"
	switch {
	case source.Mode == config.None:
		target = "ACCEPT"
	case source.Addr.IsValid():
		target = "SNAT --to-source " + source.Addr.String()
	}
	text := strings.NewReplacer("SOURCE", target, "-d 192.0.2.10/32", "-d "+listen, "--ctorigdst 192.0.2.10 ", "--ctorigdst "+listen+" ").Replace(loaded)
	p.sh(t, netnstest.Programs(p.variant, 4).Restore+" <<'END'\n"+text+"END")
}

// sh types lines on the balancer, as root of it and of the files below its root.
func (p *patient) sh(t *testing.T, lines string) string {
	t.Helper()
	return p.Network.Balancer.Command(t, lines, "sh", "-e")
}

// answers tells whether the client gets through to the backend.
func (p *patient) answers(t *testing.T, bound time.Duration) bool {
	t.Helper()
	_, _, err := netnstest.Ask(t, p.Client, "tcp", p.asks, bound)
	return err == nil
}

// hold keeps a connection open, by which the backend is known to answer.
func (p *patient) hold(t *testing.T) {
	t.Helper()
	var conn net.Conn
	var err error
	p.Client.Do(t, func() { conn, err = net.DialTimeout("tcp", "192.0.2.10:80", hurry) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
}

// examine reads the rulesets anew and returns all that doctor finds.
func (p *patient) examine(t *testing.T) []Finding {
	t.Helper()
	p.Network.Balancer.Do(t, func() { p.Balancer.Hooks, p.Balancer.Unread = iptables.ReadHooks(t.Context(), program.Exec()) })
	return findAll(p.Live, p.Balancer, "var/lib/natspread/generations/1/manifest")
}

// fault is something that is broken, found, and fixed.
type fault struct {
	name     string
	variants bool // with each variant, not only with one
	layout   netnstest.Layout
	source   config.SNAT
	prepare  func(*testing.T, *patient) // what is no fault
	change   func(*testing.T, *patient) // besides, or instead of lines
	lines    string                     // typed on the balancer; IPTABLES is its variant's
	stops    bool                       // clients are no longer answered
	severity Severity
	want     string                                      // regexp of what is found
	fix      string                                      // regexp of the line, as it is to be typed
	again    func(t *testing.T, p *patient, line string) // what fixes it, where typing the line does not
}

// check makes the fault in the namespaces that it is in.
func (f fault) check(t *testing.T, variant string) {
	p := newPatient(t, variant, f.layout, f.source)
	if !p.answers(t, hurry) {
		t.Fatal("the balancer does not work before the fault")
	}
	p.hold(t)
	if f.prepare != nil {
		f.prepare(t, p)
	}
	before := p.examine(t)
	p.sh(t, strings.NewReplacer("IPTABLES", netnstest.Programs(variant, 4).Iptables, "ROOT", p.Live.Root).Replace(f.lines))
	if f.change != nil {
		f.change(t, p)
	}
	bound := hurry
	if f.stops {
		bound = patience
	}
	if p.answers(t, bound) == f.stops {
		t.Errorf("clients are answered: %v", f.stops)
	}
	found := p.examine(t)
	line := f.one(t, before, found)
	if line == "" {
		return
	}
	if f.again != nil {
		f.again(t, p, line)
	} else {
		p.sh(t, strings.NewReplacer(" /etc/", " "+p.Live.Root+"/etc/", "systemctl daemon-reload", "true").Replace(line))
	}
	if p.listener != nil {
		_ = p.listener.Wait() // killed
	}
	if after := p.examine(t); reported(after) != reported(before) {
		t.Errorf("after %s:\n%s", line, reported(after))
	}
	if f.stops && !p.answers(t, hurry) {
		t.Errorf("%s does not fix it", line)
	}
}

// typed is how a line begins that a shell runs: with a program, or with # where a person is to do something else.
var typed = regexp.MustCompile(`^(#|natspread|ip|(ip6?tables|nft)(-nft|-legacy)?(-save)?|sysctl|systemctl|mount|sed|chmod|kill|mkdir|printf|echo|sudo) `)

// one fails unless just one finding is new, the one that is wanted, and returns its line.
func (f fault) one(t *testing.T, before, found []Finding) string {
	t.Helper()
	var fresh []Finding
	for _, one := range found {
		if !strings.Contains(reported(before), reported([]Finding{one})) {
			fresh = append(fresh, one)
		}
	}
	if len(fresh) != 1 || fresh[0].Severity != f.severity || !regexp.MustCompile(f.want).MatchString(fresh[0].What) ||
		!regexp.MustCompile("^"+f.fix+"$").MatchString(fresh[0].Fix) {
		t.Fatalf("want %s %s\n    %s\nfound\n%s", f.severity, f.want, f.fix, reported(found))
	}
	if f.severity == Broken && regexp.MustCompile(`\bweb\b`).MatchString(fresh[0].What) && !finding.Lost(fresh).Has("web", netip.Addr{}) {
		t.Errorf("%s names the service, and its Loss does not", reported(fresh))
	}
	if fix := fresh[0].Fix; fix != "" && !typed.MatchString(fix) {
		t.Errorf("%q is no line for a shell: what to write into the config stands behind natspread edit", fix)
	}
	return fresh[0].Fix
}

// TestFaults makes each fault in a network of its own, finds it, types the line that
// fixes it, and finds it no more.
func TestFaults(t *testing.T) {
	for _, f := range faults() {
		onEach(t, f.name, f.variants, f.check)
	}
}

// onEach runs a test in namespaces of its own, with one variant or with each.
func onEach(t *testing.T, name string, each bool, test func(t *testing.T, variant string)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		t.Parallel()
		variants := netnstest.Variants(t)[:1]
		if each {
			variants = netnstest.VariantsFor(t, name)
		}
		for _, variant := range variants {
			t.Run(variant, func(t *testing.T) {
				if netnstest.Isolate(t) {
					test(t, variant)
				}
			})
		}
	})
}
