package doctor

import (
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"natspread/internal/config"
	"natspread/internal/test/netnstest"
)

// TestUplinks answers clients that come in by a second and a third uplink only after the lines
// that doctor names, which leave what comes in by the first one as it is.
func TestUplinks(t *testing.T) {
	onEach(t, "uplinks", true, func(t *testing.T, variant string) {
		p := newPatient(t, variant, netnstest.Layout{}, config.SNAT{})
		provider := netnstest.NewHost(t, "provider")
		provider.Command(t, "link set lo up\naddr add 198.51.100.2/32 dev lo\n", "ip", "-batch", "-")
		p.sh(t, "ip route add default via 192.0.2.99; for all in all default; do echo 0 > /proc/sys/net/ipv4/conf/$all/rp_filter; done")
		uplinks := [][2]string{{"second", "203.0.113"}, {"third.7", "198.18.0"}}
		for _, up := range uplinks {
			link, subnet := up[0], up[1]
			p.sh(t, strings.NewReplacer("LINK", link, "SUBNET", subnet, "IPTABLES", netnstest.Programs(variant, 4).Iptables).Replace(`ip link add LINK type veth peer name LINK netns provider
ip link set LINK up; ip address add SUBNET.20/24 dev LINK
echo 1 > /proc/sys/net/ipv4/conf/LINK/rp_filter
IPTABLES -t nat -A NATSPREAD-PRE -d SUBNET.20 -p tcp --dport 80 -j DNAT --to-destination 10.0.0.1:80`))
			provider.Command(t, "link set "+link+" up\naddr add "+subnet+".2/24 dev "+link+"\n", "ip", "-batch", "-")
		}
		p.sh(t, netnstest.Programs(variant, 4).Iptables+" -t nat -A POSTROUTING -o back -j MASQUERADE")
		far := provider.At(netip.MustParseAddr("198.51.100.2"))
		answered := func(subnet string, bound time.Duration) bool {
			_, _, err := netnstest.Ask(t, far, "tcp", subnet+".20:80", bound)
			return err == nil
		}
		if before := p.examine(t); len(before) > 0 {
			t.Fatalf("%s", reported(before))
		}
		for _, up := range uplinks {
			link, subnet := up[0], up[1]
			listensToo(subnet+".20")(t, p)
			if answered(subnet, patience) {
				t.Errorf("a client of %s is answered", link)
			}
			found := p.examine(t)
			want := "^" + subnet + ".20 is on " + link + ", and answers to clients that are not beside it leave by front$"
			if len(found) != 1 || found[0].Severity != Risk || !regexp.MustCompile(want).MatchString(found[0].What) || !strings.HasSuffix(found[0].Fix, "sysctl -w net.ipv4.conf."+strings.ReplaceAll(link, ".", "/")+".rp_filter=2") {
				t.Fatalf("%s", reported(found))
			}
			p.sh(t, strings.ReplaceAll(found[0].Fix, "GATEWAY", subnet+".2"))
			flush(t)
		}
		for _, up := range uplinks {
			link, subnet := up[0], up[1]
			if !answered(subnet, hurry) {
				t.Errorf("a client of %s is not answered", link)
			}
		}
		if !p.answers(t, hurry) {
			t.Error("a client of the first uplink is not answered")
		}
		if left := p.examine(t); len(left) > 0 {
			t.Errorf("%s", reported(left))
		}
	})
}

// TestOutside finds that clients outside get no answer without a default route, unless there are none.
func TestOutside(t *testing.T) {
	onEach(t, "no default route", false, func(t *testing.T, variant string) {
		p := newPatient(t, variant, netnstest.Layout{}, config.SNAT{})
		var found []Finding
		look := func() { p.Network.Balancer.Do(t, func() { found = p.Live.Outside(p.Balancer.Services) }) }
		look()
		wantFindings(t, found, "risk: ipv4: there is no default route: clients of web that no other route leads to get no answer")
		p.sh(t, strings.Replace(found[0].Fix, "GATEWAY", "192.0.2.99", 1))
		look()
		wantFindings(t, found)
		p.sh(t, "ip route del default")
		p.Balancer.Services[0].Allow = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
		look()
		wantFindings(t, found)
	})
}
