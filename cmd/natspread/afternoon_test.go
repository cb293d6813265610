package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"natspread/internal/paths"
	"natspread/internal/test/netnstest"
)

// afternoonConfig is where the config is.
const afternoonConfig = "/" + paths.Config

// What the client asks for.
const (
	webAddr = "192.0.2.10:80"
	dnsAddr = "192.0.2.10:53"
)

// One administrator's afternoon, start to end, as on a machine: with the program and
// without any flag of where and how. Meanwhile a client asks without a pause, and none
// of its connections may fail, whatever the administrator does.
func TestAfternoon(t *testing.T) {
	t.Parallel()
	for _, variant := range netnstest.Variants(t) {
		t.Run(variant, func(t *testing.T) {
			if netnstest.Isolate(t) {
				newAfternoon(t, variant).passes()
			}
		})
	}
}

// afternoon is what there is to see in it.
type afternoon struct {
	*testing.T
	iptables string   // of the machine's variant
	web, dns []string // the backends, by their places
	network  *netnstest.Network
	client   *client
	talks    []talk        // a long conversation with each backend of web
	flow     func() string // who answers the client's datagrams
}

// newAfternoon builds the network, in which the balancer has a rule of somebody else's
// and does not forward.
func newAfternoon(t *testing.T, variant string) *afternoon {
	if err := ownMachine(variant); err != nil {
		t.Fatal(err)
	}
	a := &afternoon{T: t, iptables: "iptables-" + variant, network: netnstest.NewNetwork(t, netnstest.Layout{Backends: 4, Gateway: true})}
	a.web, a.dns = a.network.Serve(t, "tcp", 4, 80), a.network.Serve(t, "udp", 4, 53)
	a.network.Balancer.Sysctl(t, "net.ipv4.ip_forward", "0")
	a.byHand("-A", "POSTROUTING", "-s", "172.17.0.0/16", "-j", "MASQUERADE")
	a.client = &client{Load: netnstest.NewLoad(t), host: a.network.Client}
	return a
}

// passes is what happens, in this order.
func (a *afternoon) passes() {
	found := a.kernel()
	a.begins()
	a.grows()
	a.tries()
	a.mends()
	out, busy := a.drains()
	a.shrinks(out, busy)
	a.regrets(out)

	a.client.WantGood(a.T, 500)
	a.natspread(exitDone, "stop").says("^stopped: natspread's rules are out of the kernel$")
	if left := a.kernel(); left != found {
		a.Errorf("found, and left:\n%s\n%s", found, left)
	}
	a.natspread(exitNotLoaded, "status")
}

// begins makes the first config and applies it.
func (a *afternoon) begins() {
	before := a.kernel()
	a.natspread(exitDone, "init", "--listen", webAddr, "--backend", a.web[0], "--backend", a.web[1], "--backend", a.web[2], "--snat", "192.0.2.10").
		says("^wrote /etc/natspread/natspread.toml: ")
	a.natspread(exitDone, "check").says("^/etc/natspread/natspread.toml: 1 service, 3 backends, good; proven ")
	a.natspread(exitDone, "doctor").says("^risk: nothing was applied yet, ").says("natspread apply$")
	if after := a.kernel(); after != before {
		a.Errorf("something changed: before\n%s\nafter\n%s", before, after)
	}
	a.natspread(exitDone, "apply").says("^applied generation 1: 1 service, 3 backends, ")
	a.inStep(1)
	a.leads("web", a.web[:3]...)
	a.shares(1, 1, 1, 0)
	for _, backend := range a.web[:3] {
		a.talks = append(a.talks, a.client.converse(a.T, webAddr, backend))
	}
	a.client.Connect(a.network.Client, webAddr)
	a.client.Connect(a.network.Client, webAddr)
}

// grows adds a backend, after a slip, and a service.
func (a *afternoon) grows() {
	a.edit("  \"10.0.0.3:80\",\n", "  \"10.0.0.3:80\",\n  { address = \"10.0.0.4:80\", wieght = 1 },\n")
	before := a.everything()
	for _, verb := range []string{"check", "apply"} {
		said := a.natspread(exitConfig, verb)
		said.says(`^/etc/natspread/natspread.toml:\d+:30: .*wieght`)
		said.says("^fix: did you mean weight")
		a.same(before)
	}
	a.edit("{ address = \"10.0.0.4:80\", wieght = 1 }", `"10.0.0.4:80"`)
	a.edit("", "\n[[service]]\nname = \"dns\"\nlisten = \"192.0.2.10:53\"\nprotocol = \"udp\"\nbackends = [\n"+
		"  \"10.0.0.1:53\",\n  \"10.0.0.2:53\",\n  \"10.0.0.3:53\",\n  \"10.0.0.4:53\",\n]\n")
	before = a.everything()
	a.natspread(exitDone, "apply", "--dry-run").says("nothing was changed")
	a.same(before)
	a.leads("web", a.web[:3]...)
	a.natspread(exitDone, "apply").says("^applied generation 2: 2 services, 8 backends, ")
	a.inStep(2)
	a.leads("web", a.web...)
	a.leads("dns", a.dns...)
	a.shares(1, 1, 1, 1)
	a.talks = append(a.talks, a.client.converse(a.T, webAddr, a.web[3]))
	a.flow = a.client.flow(a.T, dnsAddr)
}

// tries a weight that is wrong, for 5 s, and does nothing more about it.
func (a *afternoon) tries() {
	before := a.kernel()
	a.edit("  \"10.0.0.1:80\",\n", "  { address = \"10.0.0.1:80\", weight = 1000 },\n")
	said := a.natspread(exitDone, "apply", "--confirm", "5s")
	said.says("^loaded generation 3 for 5s: 2 services, 8 backends, ")
	said.says("natspread confirm$")
	a.natspread(exitFailed, "status").says("boot loads generation 2, ").says("generation 3 waits to be confirmed")
	a.natspread(exitFailed, "apply").says("generation 3 waits to be confirmed")
	if a.kernel() == before {
		a.Error("apply --confirm loaded nothing")
	}
	eventually(a.T, "the old rules", func() bool { return a.kernel() == before && guards(a.T) == 0 })
	a.edit("{ address = \"10.0.0.1:80\", weight = 1000 }", `"10.0.0.1:80"`)
	a.natspread(exitDone, "apply").says("^no change: generation 2 is loaded already$")
	a.inStep(2)
	a.shares(1, 1, 1, 1)
}

// mends what somebody did by hand: a rule is gone, and a jump is there twice.
func (a *afternoon) mends() {
	before := a.kernel()
	a.byHand("-D", "NATSPREAD-web", "1")
	a.byHand("-A", "PREROUTING", "-j", "NATSPREAD-PRE")
	a.leads("web", a.web[1:]...)
	a.natspread(exitFailed, "status").says("^drift: ").says("^  .*NATSPREAD-web").says("^  .*PREROUTING is doubled")
	a.shares(0, 1, 1, 1)
	a.natspread(exitDone, "apply").says("^applied generation 2: ")
	a.inStep(2)
	if after := a.kernel(); after != before {
		a.Errorf("before, and mended:\n%s\n%s", before, after)
	}
	a.shares(1, 1, 1, 1)
}

// drains the backend that has the client's datagrams, and waits for the end of the
// conversation with it; it returns its place, and that of another one.
func (a *afternoon) drains() (out, busy int) {
	out = slices.Index(a.dns, a.flow())
	said, err := os.Create(filepath.Join(a.TempDir(), "said"))
	if err != nil {
		a.Fatal(err)
	}
	defer said.Close()
	drain := natspreadCommand(a.T, "natspread", "drain", "web", a.web[out], "--wait", "5m")
	drain.Stderr = said
	if err := drain.Start(); err != nil {
		a.Fatal(err)
	}
	hasSaid := func(line string) bool {
		text, err := os.ReadFile(said.Name())
		return err == nil && strings.Contains(string(text), line)
	}
	eventually(a.T, "the wait", func() bool { return hasSaid("\n1 connection is still open\n") })
	a.leads("web", others(a.web, out)...)
	a.leads("dns", a.dns...)
	a.shares(without(out)...)
	a.talks[out].ends(a.T)
	if err := drain.Wait(); err != nil || !hasSaid("\nno connection to it is open\n") {
		a.Fatalf("drain: %v", err)
	}
	a.inStep(4) // 3 was tried, and taken back
	return out, (out + 1) % 4
}

// shrinks takes a drained backend out, and one that is busy. The client's datagrams go
// elsewhere, and its conversation goes on.
func (a *afternoon) shrinks(out, busy int) {
	a.edit(fmt.Sprintf("  { address = %q, weight = 0 },\n", a.web[out]), "")
	a.edit(fmt.Sprintf("  %q,\n", a.dns[out]), "")
	a.edit(fmt.Sprintf("  %q,\n", a.web[busy]), "")
	a.client.mayLose(1) // the datagram that is on its way when its entry is deleted
	a.natspread(exitDone, "apply").says("^applied generation 5: 2 services, 5 backends, ").says("^forgot 1 tracked connection: ")
	a.inStep(5)
	a.leads("web", others(a.web, out, busy)...)
	a.leads("dns", others(a.dns, out)...)
	eventually(a.T, "another backend's answer", func() bool { return a.flow() != a.dns[out] })
	a.client.mayLose(0)
	a.shares(without(out, busy)...)
	a.talks[busy].ends(a.T) // until now it had no other answers but this backend's
}

// regrets looks at what was done, and takes the last change back.
func (a *afternoon) regrets(out int) {
	a.wantHistory("apply", "drain web "+a.web[out], "apply", "apply")
	a.natspread(exitDone, "history").says(`^ +5 .* 2 +5  apply  \(current\)$`)
	said := a.natspread(exitDone, "rollback").says("^rolled back to generation 4, which is generation 6 now$")
	a.inStep(6)
	a.leads("web", others(a.web, out)...)
	a.leads("dns", a.dns...)
	a.shares(without(out)...)
	a.wantHistory("rollback 4", "apply", "drain web "+a.web[out], "apply", "apply")

	advice := regexp.MustCompile("(?m): (cp .*)$").FindStringSubmatch(said.err)
	if advice == nil {
		a.Fatalf("no word of the config, which is another one, in\n%s", said.err)
	}
	a.network.Balancer.Command(a.T, "", "sh", "-c", advice[1])
	a.natspread(exitDone, "apply").says("^no change: generation 6 is loaded already$")
}
