package restore_test

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
)

// bulk is more than a connection can have under way at once, in packets of full size.
const bulk = 200_000

// road is a client, a balancer, and a backend behind a link that takes 1,300 bytes, while all else takes
// 1,500. Nobody hears of it: ICMP about it is dropped at both ends.
type road struct {
	*netnstest.Network
	family  int
	server  *netnstest.Host
	backend netip.Addr
}

// narrowLink makes the balancer's own link to the backend the narrow one.
func narrowLink(t *testing.T, n *netnstest.Network, family int) road {
	t.Helper()
	n.Balancer.Command(t, "", "ip", "link", "set", netnstest.Back, "mtu", "1300")
	return road{n, family, n.Backends[0].Host, n.Backends[0].Addr(family)}
}

// narrowBeyond makes the narrow one a link between a router, in the place of the backends, and the backend.
func narrowBeyond(t *testing.T, n *netnstest.Network, family int) road {
	t.Helper()
	far := netnstest.NewHost(t, "far")
	router := n.Backends[0].Host
	router.Command(t, `link add index 1011 name beyond mtu 1300 type veth peer name eth0 mtu 1500 netns far
addr add 10.0.9.254/24 dev beyond
addr add fd00:9::254/64 dev beyond nodad
link set beyond up
`, "ip", "-batch", "-")
	router.Sysctl(t, "net.ipv4.ip_forward", "1")
	router.Sysctl(t, "net.ipv6.conf.all.forwarding", "1")
	far.Command(t, `addr add 10.0.9.1/24 dev eth0
addr add fd00:9::1/64 dev eth0 nodad
link set eth0 up
route add default via 10.0.9.254
route add default via fd00:9::254
`, "ip", "-batch", "-")
	n.Balancer.Command(t, "route add 10.0.9.0/24 via 10.0.0.1\nroute add fd00:9::/64 via fd00::1\n", "ip", "-batch", "-")
	at := netip.MustParseAddr("10.0.9.1")
	if family == 6 {
		at = netip.MustParseAddr("fd00:9::1")
	}
	return road{n, family, far, at}
}

// deafen drops ICMP about packets that are too long on hosts, and has their kernels make each packet
// by itself, as it goes over a wire: a larger one would pass between network namespaces.
func (r road) deafen(t *testing.T, variant rules.Variant, hosts map[*netnstest.Host]string) {
	t.Helper()
	tool := hosttest.Programs(variant, families[r.family]).Iptables
	which := "-p icmp -m icmp --icmp-type fragmentation-needed"
	if r.family == 6 {
		which = "-p ipv6-icmp -m icmp6 --icmpv6-type packet-too-big"
	}
	for host, link := range hosts {
		host.Command(t, "", "ip", "link", "set", link, "gso_max_segs", "1")
		host.Command(t, "", tool, strings.Fields("-w 5 -A INPUT "+which+" -j DROP")...)
	}
}

// config is a service to the backend with one more line.
func (r road) config(line string) string {
	return fmt.Sprintf("[[service]]\nname = \"web\"\nlisten = %q\nbackends = [%q]\n%s\n", at(netnstest.VIP(r.family), 80), at(r.backend, 80), line)
}

// transfer is what becomes of bulk bytes each way, with the segments that their senders took.
type transfer struct {
	down, up             bool // all of them arrived
	downBytes, upBytes   int
	downLength, upLength int
}

// transfer connects twice from a host, and sends bulk bytes each way.
func (r road) transfer(t *testing.T, from *netnstest.Host, want transfer) (got transfer) {
	t.Helper()
	listener := listenOn(t, r.server, netip.AddrPortFrom(r.backend, 80))
	defer listener.Close()
	for _, way := range []struct {
		whole  bool
		isUp   bool
		bytes  *int
		length *int
	}{{want.down, false, &got.downBytes, &got.downLength}, {want.up, true, &got.upBytes, &got.upLength}} {
		asked := dialFrom(t, from, netip.AddrPortFrom(netnstest.VIP(r.family), 80))
		answered := acceptOne(t, listener)
		sender, receiver := answered, asked
		if way.isUp {
			sender, receiver = asked, answered
		}
		wait := patience
		if way.whole {
			wait = 10 * time.Second
		}
		*way.bytes = moved(sender, receiver, wait)
		*way.length = segmentOf(t, sender)
		hosttest.Must(t, asked.Close())
		hosttest.Must(t, answered.Close())
	}
	got.down, got.up = got.downBytes == bulk, got.upBytes == bulk
	return got
}

// moved sends bulk bytes, and returns how many came until nothing did for a while.
func moved(sender, receiver net.Conn, wait time.Duration) (n int) {
	go func() { // ends with its connection
		_ = sender.SetWriteDeadline(time.Now().Add(wait))
		_, _ = sender.Write(make([]byte, bulk))
	}()
	buffer := make([]byte, bulk)
	for n < bulk {
		if err := receiver.SetReadDeadline(time.Now().Add(wait)); err != nil {
			return n
		}
		read, err := receiver.Read(buffer)
		n += read
		if err != nil {
			return n
		}
	}
	return n
}

// segmentOf returns how many bytes of data a sender puts into a packet.
func segmentOf(t *testing.T, conn net.Conn) int {
	t.Helper()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	hosttest.Must(t, err)
	var info *unix.TCPInfo
	hosttest.Must(t, raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) }))
	hosttest.Must(t, err)
	return int(info.Snd_mss)
}

// eachClamp runs a test in namespaces of its own for each variant and family: outside of CI each family
// has one variant.
func eachClamp(t *testing.T, test func(t *testing.T, variant rules.Variant, family int)) {
	t.Helper()
	for i, family := range []int{4, 6} {
		for _, variant := range netnstest.VariantsAt(t, t.Name(), i) {
			t.Run(fmt.Sprintf("%s/ipv%d", variant, family), func(t *testing.T) {
				if netnstest.Isolate(t) {
					test(t, rules.Variant(variant), family)
				}
			})
		}
	}
}

// clampStep is a row: what the config says, what else is done, and what becomes of a transfer.
type clampStep struct {
	name, line string
	rule       string // what is put in place of the one in NATSPREAD-MSS, behind its conditions on addresses
	run        string // on the balancer; a line of ip
	fromHere   bool   // the connections are made on the balancer itself
	want       transfer
}

// play goes through rows, one after the other.
func (r road) play(t *testing.T, variant rules.Variant, steps []clampStep) {
	t.Helper()
	host := newHost(t, variant)
	for _, step := range steps {
		if step.run != "" {
			r.Balancer.Command(t, step.run+"\n", "ip", "-batch", "-")
		}
		apply(t, host, r.config(step.line))
		hosttest.WantLoaded(t, variant, r.config(step.line))
		if step.rule != "" {
			hosttest.IPTablesOn(t, variant, families[r.family], rules.Mangle, "-R NATSPREAD-MSS 1 -p tcp --tcp-flags SYN,RST SYN -m conntrack --ctorigdstport 80 "+step.rule)
		}
		from := r.Client
		if step.fromHere {
			from = r.Balancer
		}
		got := r.transfer(t, from, step.want)
		if got.down != step.want.down || got.up != step.want.up || step.want.downLength != 0 && (got.downLength != step.want.downLength || got.upLength != step.want.upLength) {
			t.Errorf("%s: %+v, want %+v", step.name, got, step.want)
		}
	}
}

// TestClampOwnLink sends 200,000 bytes each way through the balancer's own narrow link: none arrive
// without clamp_mss, all with it, and with either packet of the handshake alone those of one way.
func TestClampOwnLink(t *testing.T) {
	eachClamp(t, func(t *testing.T, variant rules.Variant, family int) {
		r := narrowLink(t, netnstest.NewNetwork(t, netnstest.Layout{Backends: 1}), family)
		r.deafen(t, variant, map[*netnstest.Host]string{r.Client: "eth0", r.server: "eth0"})
		full, short, number := 1448, 1248, "1260"
		if family == 6 {
			full, short, number = 1428, 1228, "1240"
		}
		whole := transfer{down: true, up: true, downLength: short, upLength: short}
		r.play(t, variant, []clampStep{
			{name: "no key", want: transfer{downLength: full, upLength: full}},
			{name: "true", line: "clamp_mss = true", want: whole},
			{name: "only the client's packet", line: "clamp_mss = true", rule: "--ctdir ORIGINAL -j TCPMSS --clamp-mss-to-pmtu", want: transfer{down: true, downLength: short, upLength: full}},
			{name: "only the answer", line: "clamp_mss = true", rule: "--ctdir REPLY -j TCPMSS --clamp-mss-to-pmtu", want: transfer{up: true, downLength: full, upLength: short}},
			{name: "a number", line: "clamp_mss = " + number, want: whole},
			{name: "false", line: "clamp_mss = false", want: transfer{downLength: full, upLength: full}},
		})
		r.server.Command(t, "", "ip", "link", "set", "eth0", "mtu", "1300")
		r.Client.Command(t, "", "ip", "link", "set", "eth0", "mtu", "1300")
		r.play(t, variant, []clampStep{{name: "a number never raises", line: "clamp_mss = 1460", want: whole}})
	})
}

// TestClampBeyond has the narrow link further on, of which the balancer knows nothing: only a number
// helps, or a route that says so, and only those who come through FORWARD.
func TestClampBeyond(t *testing.T) {
	eachClamp(t, func(t *testing.T, variant rules.Variant, family int) {
		r := narrowBeyond(t, netnstest.NewNetwork(t, netnstest.Layout{Backends: 1, Gateway: true}), family)
		r.deafen(t, variant, map[*netnstest.Host]string{r.Client: "eth0", r.server: "eth0", r.Balancer: netnstest.Back})
		number, short, route := "1260", 1248, "route change 10.0.9.0/24 via 10.0.0.1 mtu 1300"
		if family == 6 {
			number, short, route = "1240", 1228, "route change fd00:9::/64 via fd00::1 mtu 1300"
		}
		whole := transfer{down: true, up: true, downLength: short, upLength: short}
		r.play(t, variant, []clampStep{
			{name: "no key"},
			{name: "true", line: "clamp_mss = true"},
			{name: "a number", line: "clamp_mss = " + number, want: whole},
			{name: "a number, from the balancer itself", line: "clamp_mss = " + number, fromHere: true},
			{name: "true and a route that says it", line: "clamp_mss = true", run: route, want: whole},
		})
	})
}
