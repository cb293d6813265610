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

// lifecycleConfig is where the config is.
const lifecycleConfig = "/" + paths.Config

// What the client asks for.
const (
	webAddr = "192.0.2.10:80"
	dnsAddr = "192.0.2.10:53"
)

// The life of a balancer, from the first config to stop, as on a machine: with the program
// and without any flag of where and how. Meanwhile a client asks without a pause, and none
// of its connections may fail, whatever the administrator does.
func TestLifecycle(t *testing.T) {
	t.Parallel()
	for _, variant := range netnstest.VariantsFor(t, t.Name()) {
		t.Run(variant, func(t *testing.T) {
			if isolate(t) {
				newLifecycle(t, variant).passes()
			}
		})
	}
}

// lifecycle is the machine, and all around it.
type lifecycle struct {
	*testing.T
	iptables string   // of the machine's variant
	web, dns []string // the backends, by their places
	network  *netnstest.Network
	client   *client
	open     []conversation // with each backend of web
	flow     func() string  // who answers the client's datagrams
}

// newLifecycle builds the network, in which the balancer has a rule of somebody else's
// and does not forward.
func newLifecycle(t *testing.T, variant string) *lifecycle {
	if err := ownMachine(variant); err != nil {
		t.Fatal(err)
	}
	l := &lifecycle{T: t, iptables: "iptables-" + variant, network: netnstest.NewNetwork(t, netnstest.Layout{Backends: 4, Gateway: true})}
	l.web, l.dns = l.network.Serve(t, "tcp", 4, 80), l.network.Serve(t, "udp", 4, 53)
	l.network.Balancer.Sysctl(t, "net.ipv4.ip_forward", "0")
	l.byHand("-A", "POSTROUTING", "-s", "172.17.0.0/16", "-j", "MASQUERADE")
	l.client = &client{Load: netnstest.NewLoad(t), host: l.network.Client}
	return l
}

// passes is what happens, in this order.
func (l *lifecycle) passes() {
	found := l.kernel()
	l.begins()
	l.grows()
	l.tries()
	l.repairs()
	out, busy := l.drains()
	l.shrinks(out, busy)
	l.rollsBack(out)

	l.client.WantGood(l.T, 500)
	l.natspread(exitDone, "stop").says("^stopped: the rules of natspread are out of the kernel$")
	if left := l.kernel(); left != found {
		l.Errorf("found, and left:\n%s\n%s", found, left)
	}
	l.natspread(exitNotLoaded, "status")
}

// begins makes the first config and applies it.
func (l *lifecycle) begins() {
	before := l.kernel()
	l.natspread(exitDone, "init", "--listen", webAddr, "--backend", l.web[0], "--backend", l.web[1], "--backend", l.web[2], "--snat", "192.0.2.10").
		says("^wrote /etc/natspread/natspread.toml: ")
	l.natspread(exitDone, "check").says("^/etc/natspread/natspread.toml: 1 service, 3 backends, good; proven ")
	l.natspread(exitDone, "doctor").says("^risk: nothing was applied yet, ").says("natspread apply$")
	if after := l.kernel(); after != before {
		l.Errorf("something changed: before\n%s\nafter\n%s", before, after)
	}
	l.natspread(exitDone, "apply").says("^applied generation 1: 1 service, 3 backends, ")
	l.inSync(1)
	l.leads("web", l.web[:3]...)
	l.shares(1, 1, 1, 0)
	for _, backend := range l.web[:3] {
		l.open = append(l.open, l.client.converse(l.T, webAddr, backend))
	}
	l.client.Connect(l.network.Client, webAddr)
	l.client.Connect(l.network.Client, webAddr)
}

// grows adds a backend, after a slip, and a service.
func (l *lifecycle) grows() {
	l.edit("  \"10.0.0.3:80\",\n", "  \"10.0.0.3:80\",\n  { address = \"10.0.0.4:80\", wieght = 1 },\n")
	before := l.everything()
	for _, verb := range []string{"check", "apply"} {
		said := l.natspread(exitConfig, verb)
		said.says(`^/etc/natspread/natspread.toml:\d+:30: .*wieght`)
		said.says("^fix: did you mean weight")
		l.same(before)
	}
	l.edit("{ address = \"10.0.0.4:80\", wieght = 1 }", `"10.0.0.4:80"`)
	l.edit("", "\n[[service]]\nname = \"dns\"\nlisten = \"192.0.2.10:53\"\nprotocol = \"udp\"\nbackends = [\n"+
		"  \"10.0.0.1:53\",\n  \"10.0.0.2:53\",\n  \"10.0.0.3:53\",\n  \"10.0.0.4:53\",\n]\n")
	before = l.everything()
	l.natspread(exitDone, "apply", "--dry-run").says("nothing was changed")
	l.same(before)
	l.leads("web", l.web[:3]...)
	l.natspread(exitDone, "apply").says("^applied generation 2: 2 services, 8 backends [(]1 service added, 1 changed[)], ")
	l.inSync(2)
	l.leads("web", l.web...)
	l.leads("dns", l.dns...)
	l.shares(1, 1, 1, 1)
	l.open = append(l.open, l.client.converse(l.T, webAddr, l.web[3]))
	l.flow = l.client.flow(l.T, dnsAddr)
}

// tries a weight that is wrong, for 5 s, and does nothing more about it.
func (l *lifecycle) tries() {
	before := l.kernel()
	l.edit("  \"10.0.0.1:80\",\n", "  { address = \"10.0.0.1:80\", weight = 1000 },\n")
	said := l.natspread(exitDone, "apply", "--confirm", "5s")
	said.says("^loaded generation 3 for 5s: 2 services, 8 backends [(]1 service changed[)], ")
	said.says("natspread confirm$")
	l.natspread(exitDone, "status").says("^in sync: boot loads generation 2, ").says("^  note: generation 3 waits to be confirmed")
	l.natspread(exitFailed, "apply").says("generation 3 waits to be confirmed")
	if l.kernel() == before {
		l.Error("apply --confirm loaded nothing")
	}
	eventually(l.T, "the old rules", func() bool { return l.kernel() == before && revertTimers(l.T) == 0 })
	l.edit("{ address = \"10.0.0.1:80\", weight = 1000 }", `"10.0.0.1:80"`)
	l.natspread(exitDone, "apply").says("^no change: generation 2 is loaded already$")
	l.inSync(2)
	l.shares(1, 1, 1, 1)
}

// repairs what somebody did by hand: a rule is gone, and a jump is there twice.
func (l *lifecycle) repairs() {
	before := l.kernel()
	l.byHand("-D", "NATSPREAD-web", "1")
	l.byHand("-A", "PREROUTING", "-j", "NATSPREAD-PRE")
	l.leads("web", l.web[1:]...)
	l.natspread(exitFailed, "status").says("^drift: ").says("^  broken: .*NATSPREAD-web").says("^  broken: .*PREROUTING is doubled").says("^    fix: natspread restore$")
	l.shares(0, 1, 1, 1)
	l.natspread(exitDone, "apply").says("^applied generation 2: ")
	l.inSync(2)
	if after := l.kernel(); after != before {
		l.Errorf("before, and repaired:\n%s\n%s", before, after)
	}
	l.shares(1, 1, 1, 1)
}

// drains the backend that has the client's datagrams, and waits for the end of the
// conversation with it; it returns its place, and that of another one.
func (l *lifecycle) drains() (out, busy int) {
	out = slices.Index(l.dns, l.flow())
	said, err := os.Create(filepath.Join(l.TempDir(), "said"))
	if err != nil {
		l.Fatal(err)
	}
	defer said.Close()
	drain := natspreadCommand(l.T, "natspread", "drain", "web", l.web[out], "--wait", "5m")
	drain.Stderr = said
	if err := drain.Start(); err != nil {
		l.Fatal(err)
	}
	hasSaid := func(line string) bool {
		text, err := os.ReadFile(said.Name())
		return err == nil && strings.Contains(string(text), line)
	}
	eventually(l.T, "the wait", func() bool { return hasSaid("\n1 connection is still open\n") })
	l.leads("web", others(l.web, out)...)
	l.leads("dns", l.dns...)
	l.shares(without(out)...)
	l.open[out].ends(l.T)
	if err := drain.Wait(); err != nil || !hasSaid("\nno connection there is open\n") {
		l.Fatalf("drain: %v", err)
	}
	l.inSync(4) // 3 was tried, and reverted
	return out, (out + 1) % 4
}

// shrinks takes a drained backend out, and one that is busy. The client's datagrams go
// elsewhere, and its conversation goes on.
func (l *lifecycle) shrinks(out, busy int) {
	l.edit(fmt.Sprintf("  { address = %q, drain = true },\n", l.web[out]), "")
	l.edit(fmt.Sprintf("  %q,\n", l.dns[out]), "")
	l.edit(fmt.Sprintf("  %q,\n", l.web[busy]), "")
	l.client.mayLose(1) // the datagram that is on its way when its entry is deleted
	l.natspread(exitDone, "apply").says("^applied generation 5: 2 services, 5 backends [(]2 services changed[)], ").says("^deleted 1 connection tracking entry; ")
	l.inSync(5)
	l.leads("web", others(l.web, out, busy)...)
	l.leads("dns", others(l.dns, out)...)
	eventually(l.T, "another backend's answer", func() bool { return l.flow() != l.dns[out] })
	l.client.mayLose(0)
	l.shares(without(out, busy)...)
	l.open[busy].ends(l.T) // until now it had no other answers but this backend's
}

// rollsBack reads what was done, and rolls the last change back.
func (l *lifecycle) rollsBack(out int) {
	l.wantHistory("apply", "drain web "+l.web[out], "apply", "apply")
	l.natspread(exitDone, "history").says(`^ +5 .* 2 +5  apply: 2 services changed  \(current\)$`)
	said := l.natspread(exitDone, "rollback").says("^rolled back to generation 4 [(]2 services changed[)], which is generation 6 now$")
	l.inSync(6)
	l.leads("web", others(l.web, out)...)
	l.leads("dns", l.dns...)
	l.shares(without(out)...)
	l.wantHistory("rollback 4", "apply", "drain web "+l.web[out], "apply", "apply")

	advice := regexp.MustCompile("(?m)that of generation 6: natspread (.*)$").FindStringSubmatch(said.err)
	if advice == nil {
		l.Fatalf("no word of the config, which is another one, in\n%s", said.err)
	}
	l.natspread(exitDone, strings.Fields(advice[1])...)
	l.natspread(exitDone, "apply").says("^no change: generation 6 is loaded already$")
}
