package slots_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"natspread/internal/rules"
	"natspread/internal/slots"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
)

// clients is how many addresses each slot is compared of.
const clients = 200

// counting returns a nat table that puts what comes in over UDP into 256 slots, and counts
// the connections of each. Without a rule that translates, nft would hook no nat table at all.
func counting(hash rules.Target) string {
	var b strings.Builder
	b.WriteString("*nat\n:PREROUTING ACCEPT [0:0]\n:SLOTS - [0:0]\n-A PREROUTING -p udp -j SLOTS\n-A PREROUTING -p sctp -j DNAT --to-destination :9\n")
	fmt.Fprintf(&b, "-A SLOTS %s\n", rules.Rule{Target: hash}.AppendText(nil))
	for slot := range hash.Slots {
		fmt.Fprintf(&b, "-A SLOTS -m mark --mark 0x%x -j ACCEPT\n", slot)
	}
	b.WriteString("COMMIT\n")
	return b.String()
}

// counter finds the counter of a slot in what iptables-save -c prints.
var counter = regexp.MustCompile(`(?m)^\[(\d+):\d+\] -A SLOTS -m mark --mark 0x([0-9a-f]+) -j ACCEPT$`)

// counters reads how many connections each slot had.
func counters(t *testing.T, variant rules.Variant, family rules.Family) (counts [slots.Default]int) {
	t.Helper()
	for _, found := range counter.FindAllStringSubmatch(hosttest.SaveNAT(t, variant, family, "-c"), -1) {
		count, err := strconv.Atoi(found[1])
		hosttest.Must(t, err)
		slot, err := strconv.ParseUint(found[2], 16, 16)
		hosttest.Must(t, err)
		counts[slot] = count
	}
	return counts
}

// send sends a datagram from an address and port of the client's.
func send(t *testing.T, network *netnstest.Network, from netip.AddrPort) {
	t.Helper()
	to := netip.AddrPortFrom(netnstest.VIP(familyNumber(from)), 9)
	var err error
	network.Client.Do(t, func() {
		var socket *net.UDPConn
		if socket, err = net.DialUDP("udp", net.UDPAddrFromAddrPort(from), net.UDPAddrFromAddrPort(to)); err == nil {
			_, err = socket.Write([]byte("?"))
			err = errors.Join(err, socket.Close())
		}
	})
	hosttest.Must(t, err)
}

// familyNumber returns 4 or 6.
func familyNumber(of netip.AddrPort) int {
	if of.Addr().Is4() {
		return 4
	}
	return 6
}

// TestKernelAgrees compares the slots of 200 clients with those that the kernel's counters
// say, by whole addresses and by networks.
func TestKernelAgrees(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		network := netnstest.NewNetwork(t, netnstest.Layout{})
		network.Crowd(t)
		port := uint16(20000)
		for _, family := range rules.Families() {
			for _, prefix := range map[rules.Family][]int{rules.IPv4: {32, 24, 19}, rules.IPv6: {128, 64, 51}}[family] {
				hosttest.Put(t, variant, family, counting(rules.Target{Kind: rules.Hash, Prefix: uint8(prefix), Slots: slots.Default}))
				port++ // a connection that the kernel knows already meets no rule
				var want [slots.Default]int
				for n := range clients {
					from := netnstest.CrowdAddr(hosttest.Family(family), n)
					want[slots.Of(from, prefix, slots.Default)]++
					send(t, network, netip.AddrPortFrom(from, port))
				}
				if got := counters(t, variant, family); got != want {
					t.Errorf("%v/%d: the kernel counted\n%v, not\n%v", family, prefix, got, want)
				}
			}
		}
	})
}

// TestKernelFlows has the port tell, too: one client's connections are in many slots, each
// always in its own one.
func TestKernelFlows(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		network := netnstest.NewNetwork(t, netnstest.Layout{})
		for _, family := range rules.Families() {
			from := netnstest.ClientAddr(hosttest.Family(family), 0)
			text := counting(rules.Target{Kind: rules.Hash, Prefix: uint8(from.BitLen()), SourcePort: true, Slots: slots.Default})
			var rounds [2][slots.Default]int
			for i := range rounds {
				hosttest.Put(t, variant, family, text)
				netnstest.ForgetConnections(t)
				for n := range clients {
					send(t, network, netip.AddrPortFrom(from, uint16(20000+n)))
				}
				rounds[i] = counters(t, variant, family)
			}
			used := 0
			for _, count := range rounds[0] {
				used += min(count, 1)
			}
			if rounds[0] != rounds[1] || used < clients/3 {
				t.Errorf("%v: %d slots are used; %v, and then %v", family, used, rounds[0], rounds[1])
			}
		}
	})
}
