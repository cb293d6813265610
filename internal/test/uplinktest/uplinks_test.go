package uplinktest

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
	"natspread/internal/test/pagetest"
)

// The texts of the page, by the files that they are.
const (
	configText = "/etc/natspread/natspread.toml"
	scriptText = "/usr/local/sbin/uplinks"
	unitText   = "/etc/systemd/system/uplinks.service"
)

// patience bounds a question that has no answer, and hurry one that has.
const (
	patience = 300 * time.Millisecond
	hurry    = 10 * time.Second
)

// page returns the texts of docs/uplinks.md.
func page(t testing.TB) map[string]string {
	t.Helper()
	return pagetest.Texts(t, "../../../docs/uplinks.md", "toml", "sh", "ini")
}

// TestPage has no text that the tests here do not know.
func TestPage(t *testing.T) {
	texts := page(t)
	pagetest.WantNames(t, texts, configText, scriptText, unitText)
	if unit := texts[unitText]; !strings.Contains(unit, "\nExecStart="+scriptText+"\n") {
		t.Errorf("the unit does not run the script:\n%s", unit)
	}
}

// balancer is a balancer with two uplinks, whose default route is the first one.
type balancer struct {
	*netnstest.Network
	variant rules.Variant
	far     *netnstest.Host // a client beyond the second provider
	own     string          // a service of the balancer's own, at the address on the second uplink
}

// newBalancer makes a balancer and what is around it.
func newBalancer(t *testing.T, variant rules.Variant) balancer {
	t.Helper()
	n := netnstest.NewNetwork(t, netnstest.Layout{Backends: 2, Forward: true})
	n.Serve(t, "tcp", 4, 80)
	provider := netnstest.NewHost(t, "provider")
	n.Balancer.Command(t, `route add default via 192.0.2.99
link add index 2001 name eth2 type veth peer name eth2 netns provider
link set eth2 up
addr add 203.0.113.20/24 dev eth2
`, "ip", "-batch", "-")
	for _, link := range []string{"all", "default", "eth2", netnstest.Front} {
		n.Balancer.Sysctl(t, "net.ipv4.conf."+link+".rp_filter", "0")
	}
	provider.Command(t, "link set lo up\naddr add 198.51.100.2/32 dev lo\nlink set eth2 up\naddr add 203.0.113.2/24 dev eth2\n", "ip", "-batch", "-")
	b := balancer{n, variant, provider.At(netip.MustParseAddr("198.51.100.2")), netnstest.Serve(t, n.Balancer, "tcp", "203.0.113.20:22")}
	if _, err := provider.Once("tcp", b.own, hurry); err != nil { // beside the uplink, and so a sign that it is up
		t.Fatal(err)
	}
	return b
}

// load puts the rules of the page's config in place, with an algorithm.
func (b balancer) load(t *testing.T, algorithm string) {
	t.Helper()
	toml := page(t)[configText] + fmt.Sprintf("algorithm = %q\n", algorithm)
	hosttest.Put(t, b.variant, rules.IPv4, string(hosttest.Tables(t, toml).IPv4.Text()))
	netnstest.ForgetConnections(t)
}

// script runs the page's script on the balancer, twice, as it may.
func (b balancer) script(t *testing.T) {
	t.Helper()
	text := strings.ReplaceAll(page(t)[scriptText], "iptables -w", hosttest.Programs(b.variant, rules.IPv4).Iptables+" -w")
	for range 2 {
		b.Balancer.Command(t, text, "sh")
	}
}

// answered asks a place so many times, all at once, and returns how often there is an answer.
func answered(from *netnstest.Host, addr string, times int, bound time.Duration) int {
	var answers atomic.Int32
	var wait sync.WaitGroup
	for range times {
		wait.Go(func() {
			if _, err := from.Once("tcp", addr, bound); err == nil {
				answers.Add(1)
			}
		})
	}
	wait.Wait()
	return int(answers.Load())
}

// want asks by both uplinks, and the balancer's own service by the second one, as the page's table does.
func (b balancer) want(t *testing.T, row string, second, own int) {
	t.Helper()
	bound := func(want int) time.Duration {
		if want == 0 {
			return patience
		}
		return hurry
	}
	for _, q := range []struct {
		from  *netnstest.Host
		addr  string
		times int
		want  int
	}{{b.far, "203.0.113.20:80", 8, second}, {b.Client, "192.0.2.10:80", 5, 5}, {b.far, b.own, 3, own}} {
		if got := answered(q.from, q.addr, q.times, bound(q.want)); got != q.want {
			t.Errorf("%s: %d of %d are answered at %s, want %d", row, got, q.times, q.addr, q.want)
		}
	}
	netnstest.ForgetConnections(t)
}

// TestUplinks has each row of the page's table.
func TestUplinks(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		b := newBalancer(t, variant)
		for _, algorithm := range []string{"random", "source"} {
			b.load(t, algorithm)
			b.want(t, algorithm+", without the script", 0, 0)
		}
		b.script(t)
		for _, algorithm := range []string{"random", "source"} {
			b.load(t, algorithm)
			b.want(t, algorithm+", with the script", 8, 3)
		}
		b.Balancer.Sysctl(t, "net.ipv4.conf.eth2.rp_filter", "1")
		b.want(t, "rp_filter=1", 0, 0)
		b.script(t)
		b.want(t, "rp_filter=2 again", 8, 3)
		b.Balancer.Command(t, "", "ip", "rule", "del", "pref", "1204")
		b.want(t, "source, without suppress_prefixlength", 0, 3)
		b.load(t, "random")
		b.want(t, "random, without suppress_prefixlength", 8, 3)
	})
}
