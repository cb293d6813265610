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

// TestUplinks answers a client that comes in by a second uplink only after the line that
// doctor names, which leaves what comes in by the first one as it is.
func TestUplinks(t *testing.T) {
	onEach(t, "uplinks", true, func(t *testing.T, variant string) {
		p := newPatient(t, variant, netnstest.Layout{}, config.SNAT{})
		provider := netnstest.NewHost(t, "provider")
		p.sh(t, strings.ReplaceAll(`ip route add default via 192.0.2.99
ip link add second type veth peer name eth0 netns provider
ip link set second up; ip address add 203.0.113.20/24 dev second
for all in all default second; do echo 0 > /proc/sys/net/ipv4/conf/$all/rp_filter; done
echo 1 > /proc/sys/net/ipv4/conf/second/rp_filter
IPTABLES -t nat -A NATSPREAD-PRE -d 203.0.113.20 -p tcp --dport 80 -j DNAT --to-destination 10.0.0.1:80
IPTABLES -t nat -A POSTROUTING -o back -j MASQUERADE`, "IPTABLES", netnstest.Programs(variant, 4).Iptables))
		provider.Command(t, "link set eth0 up\nlink set lo up\naddr add 203.0.113.2/24 dev eth0\naddr add 198.51.100.2/32 dev lo\n", "ip", "-batch", "-")
		far := provider.At(netip.MustParseAddr("198.51.100.2"))
		answered := func(bound time.Duration) bool {
			_, _, err := netnstest.Ask(t, far, "tcp", "203.0.113.20:80", bound)
			return err == nil
		}
		if before := p.examine(t); len(before) > 0 {
			t.Fatalf("%s", reported(before))
		}
		listensToo("203.0.113.20")(t, p)
		if answered(patience) {
			t.Error("a client of the second uplink is answered")
		}
		found := p.examine(t)
		want := "^203.0.113.20 is on second, and answers to clients that are not beside it leave by front$"
		if len(found) != 1 || found[0].Severity != Risk || !regexp.MustCompile(want).MatchString(found[0].What) || !strings.HasSuffix(found[0].Fix, "sysctl -w net.ipv4.conf.second.rp_filter=2") {
			t.Fatalf("%s", reported(found))
		}
		p.sh(t, strings.ReplaceAll(found[0].Fix, "GATEWAY", "203.0.113.2"))
		flush(t)
		if !answered(hurry) {
			t.Error("a client of the second uplink is not answered")
		}
		if !p.answers(t, hurry) {
			t.Error("a client of the first uplink is not answered")
		}
		if left := p.examine(t); len(left) > 0 {
			t.Errorf("%s", reported(left))
		}
	})
}
