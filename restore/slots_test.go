package restore_test

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"natspread/internal/rules"
	"natspread/internal/slots"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/internal/test/testsize"
)

// crowd is how many clients ask.
func crowd() int { return testsize.Of(200, 1000) }

// answers asks a balancer once from each client, by a port that it did not ask from before,
// and returns who answered, by the clients' numbers.
func answers(t *testing.T, n *netnstest.Network, network, to string) []string {
	t.Helper()
	answered := make([]string, crowd())
	failed := make([]error, crowd())
	family := 4
	if strings.HasPrefix(to, "[") {
		family = 6
	}
	const workers = 8
	var asked sync.WaitGroup
	for w := range workers {
		asked.Go(func() {
			for i := w; i < len(answered); i += workers {
				answered[i], failed[i] = n.Client.At(netnstest.CrowdAddr(family, i)).Once(network, to, 5*time.Second)
			}
		})
	}
	asked.Wait()
	hosttest.Must(t, errors.Join(failed...))
	return answered
}

// predicted returns who is to answer each client, by the owners of slots.
func predicted(t *testing.T, toml string, family, port int) []string {
	t.Helper()
	service := hosttest.Config(t, toml).Services[0]
	owners := service.Owners()
	who := make([]string, crowd())
	for i := range who {
		slot := slots.Of(netnstest.CrowdAddr(family, i), service.SourcePrefix, service.Slots)
		who[i] = at(service.Backends[owners[slot]].Addr, port)
	}
	return who
}

// movedClients returns how many of the clients that were not at a backend are at another one
// than before, and how many of those that were.
func movedClients(before, after []string, at string) (others, its int) {
	for i := range before {
		switch {
		case before[i] == after[i]:
		case before[i] == at:
			its++
		default:
			others++
		}
	}
	return others, its
}

// TestSameBackend asks from many clients: each gets the backend that its slot says, also
// after the rules were loaded anew and no connection is known any more, as after a boot. A
// backend that is drained gives away its own clients, and gets them back; one that is taken
// out of the file, or comes into it, moves a few others.
func TestSameBackend(t *testing.T) {
	eachFamily(t, sameBackend)
}

// sameBackend is TestSameBackend for one variant and family.
func sameBackend(t *testing.T, variant rules.Variant, family int) {
	n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 11})
	n.Crowd(t)
	n.Serve(t, "udp", family, 80)
	host := newHost(t, variant)
	vip := at(netnstest.VIP(family), 80)
	config := func(backends int, drained ...int) string {
		var list []string
		for i := range backends {
			list = append(list, fmt.Sprintf("{ address = %q, drain = %v }", at(backend(family, i), 80), slices.Contains(drained, i)))
		}
		return service("web", family, 80, 0, `algorithm = "source"`, "backends = ["+strings.Join(list, ", ")+"]")
	}
	ask := func(what, toml string) []string {
		t.Helper()
		apply(t, host, toml)
		got := answers(t, n, "udp", vip)
		if want := predicted(t, toml, family, 80); !slices.Equal(got, want) {
			others, _ := movedClients(want, got, "")
			t.Errorf("%s: %d of %d clients get another backend than their slot says", what, others, len(got))
		}
		return got
	}
	ten := ask("ten backends", config(10))

	hosttest.Boot(t, variant)
	netnstest.ForgetConnections(t)
	if _, err := host.Restore(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again := answers(t, n, "udp", vip); !slices.Equal(again, ten) {
		t.Error("after a flush and a restore clients get others")
	}

	fourth := at(backend(family, 3), 80)
	drained := ask("the fourth is drained", config(10, 3))
	if others, its := movedClients(ten, drained, fourth); others != 0 || its == 0 || slices.Contains(drained, fourth) {
		t.Errorf("a drain moved %d of its clients and %d others", its, others)
	}
	two := ask("two are drained", config(10, 3, 7))
	for i, who := range ten {
		if who != fourth && who != at(backend(family, 7), 80) && two[i] != who {
			t.Errorf("two drains moved client %d from %s, which is in service, to %s", i, who, two[i])
		}
	}
	if back := ask("all are back", config(10)); !slices.Equal(back, ten) {
		t.Error("clients are not where they were")
	}

	nine := ask("the last is gone", config(9))
	tenth := at(backend(family, 9), 80)
	if others, its := movedClients(ten, nine, tenth); others*100 > len(ten)*6 || its == 0 {
		t.Errorf("taking one out moved %d of its clients and %d others", its, others)
	}
	eleven := ask("one more", config(11))
	came := 0
	for i := range eleven {
		if eleven[i] != ten[i] && eleven[i] != at(backend(family, 10), 80) {
			came++
		}
	}
	if came*100 > len(ten)*6 {
		t.Errorf("one more moved %d clients to others than itself", came)
	}
}

// TestFlowSpreads sends one client's connections to every backend, by source and port.
func TestFlowSpreads(t *testing.T) {
	eachConnection(t, func(t *testing.T, variant rules.Variant, family int, network string) {
		n := netnstest.NewNetwork(t, netnstest.Layout{})
		servers := n.Serve(t, network, family, 80)
		apply(t, newHost(t, variant), service("web", family, 80, 3, `algorithm = "flow"`))
		counts := netnstest.AskMany(t, n.Client, network, at(netnstest.VIP(family), 80), 300, 4).Of(servers)
		if len(counts) != 3 || slices.Min(counts) < 50 {
			t.Errorf("the backends answered %v", counts)
		}
	})
}

// TestProtocolsAgree has a service of TCP and UDP, as HTTP/2 and QUIC, and one on another
// port: a client gets one address for all of it, also made on the balancer itself.
func TestProtocolsAgree(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 5})
		n.Crowd(t)
		for _, family := range []int{4, 6} {
			for _, network := range transports {
				n.Serve(t, network, family, 443)
			}
			n.Serve(t, "tcp", family, 80)
			apply(t, newHost(t, variant), service("https", family, 443, 5, `algorithm = "source"`)+service("http", family, 80, 5, `algorithm = "source"`))
			met := map[netip.Addr]bool{}
			for i := range 20 {
				client := n.Client.At(netnstest.CrowdAddr(family, i))
				var got []netip.Addr
				for _, ask := range []struct {
					network string
					port    int
				}{{"tcp", 443}, {"udp", 443}, {"udp", 443}, {"tcp", 80}} {
					answered, err := client.Once(ask.network, at(netnstest.VIP(family), ask.port), 5*time.Second)
					hosttest.Must(t, err)
					got = append(got, netip.MustParseAddrPort(answered).Addr())
				}
				if len(slices.Compact(got)) != 1 {
					t.Errorf("client %d gets %v", i, got)
				}
				met[got[0]] = true
			}
			if len(met) < 3 {
				t.Errorf("20 clients meet %d backends", len(met))
			}
			answered, err := n.Balancer.Once("udp", at(netnstest.VIP(family), 443), 5*time.Second)
			again, err2 := n.Balancer.Once("udp", at(netnstest.VIP(family), 443), 5*time.Second)
			if err = errors.Join(err, err2); err != nil || answered != again {
				t.Errorf("the balancer itself gets %s and %s: %v", answered, again, err)
			}
		}
	})
}

// marksOfOthers marks the first packet of each connection, and keeps the mark with it; at the
// end of FORWARD it counts the SYNs that have it.
const marksOfOthers = `*mangle
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
-A PREROUTING -p tcp -m tcp --dport 80 -j MARK --set-xmark 0x7/0xffffffff
-A PREROUTING -p tcp -m tcp --dport 80 -j CONNMARK --save-mark --nfmask 0xffffffff --ctmask 0xffffffff
-A FORWARD -p tcp --syn -m mark --mark 0x7
COMMIT
`

// TestMarksComeBack has somebody mark connections in mangle: the first packet of each still has
// that mark behind natspread's rules. Without the rule that gives it back, none has.
func TestMarksComeBack(t *testing.T) {
	counted := regexp.MustCompile(`\[(\d+):\d+\] -A FORWARD -p tcp .*--mark 0x7`)
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		n := netnstest.NewNetwork(t, netnstest.Layout{})
		host := newHost(t, variant)
		for _, family := range rules.Families() {
			number := hosttest.Family(family)
			n.Serve(t, "tcp", number, 80)
			toml := service("web", number, 80, 3, `algorithm = "source"`, "slots = 16")
			syns := func() string {
				hosttest.Put(t, variant, family, marksOfOthers)
				netnstest.AskMany(t, n.Client, "tcp", at(netnstest.VIP(number), 80), 10, 1)
				found := counted.FindStringSubmatch(hosttest.Save(t, variant, family, "-t", "mangle", "-c"))
				if found == nil {
					t.Fatal("there is no counter")
				}
				return found[1]
			}
			apply(t, host, toml)
			if got := syns(); got != "10" {
				t.Errorf("%v: %s of 10 SYNs have their mark", family, got)
			}
			without := hosttest.Tables(t, toml).Of(family)
			for i := range without.Chains {
				chain := &without.Chains[i]
				chain.Rules = slices.DeleteFunc(slices.Clone(chain.Rules), func(r rules.Rule) bool { return r.Target.Kind == rules.RestoreMark })
			}
			hosttest.Put(t, variant, family, string(without.Text()))
			if got := syns(); got != "0" {
				t.Errorf("%v: without the rule %s of 10 SYNs have their mark", family, got)
			}
		}
	})
}
