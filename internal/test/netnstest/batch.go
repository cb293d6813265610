package netnstest

import (
	"fmt"
	"net/netip"
	"strings"
)

// firstIndex begins the numbers of the near ends of cables, so that they differ
// from the far ends', which the kernel numbers from 2. Between equal numbers it
// takes the two for one interface and reports the carrier up to 1 s late.
const firstIndex = 1001

// links lays every cable, in one run of ip.
func (l Layout) links() string {
	cables := []string{
		fmt.Sprintf("name %s type veth peer name eth0 netns client", Front),
		fmt.Sprintf("name %s type veth peer name eth0 netns backends", Back),
	}
	if l.Separate {
		cables[1] = fmt.Sprintf("name %s type veth peer name port0 netns switch", Back)
		for i := 1; i <= l.Backends; i++ {
			cables = append(cables, fmt.Sprintf("name port%d netns switch type veth peer name eth0 netns backend%d", i, i))
		}
	}
	var b strings.Builder
	for i, cable := range cables {
		fmt.Fprintf(&b, "link add index %d %s\n", firstIndex+i, cable)
	}
	return b.String()
}

// balancerBatch gives the balancer its addresses.
func balancerBatch() string {
	var b strings.Builder
	for _, family := range []int{4, 6} {
		b.WriteString(addrLine(VIP(family), Front))
		b.WriteString(addrLine(Gateway(family), Back))
	}
	fmt.Fprintf(&b, "link set %s up\nlink set %s up\n", Front, Back)
	return b.String()
}

// clientBatch gives the client its addresses.
func clientBatch(l Layout) string {
	var b strings.Builder
	for i := range l.Clients {
		b.WriteString(addrLine(ClientAddr(4, i), "eth0"))
		b.WriteString(addrLine(ClientAddr(6, i), "eth0"))
	}
	b.WriteString("link set eth0 up\n")
	return b.String()
}

// bridgeBatch plugs the ports into a bridge. With snooping it would drop
// neighbour solicitations for which it saw no listener report.
func bridgeBatch(l Layout) string {
	var b strings.Builder
	b.WriteString("link add bridge type bridge mcast_snooping 0\nlink set bridge up\n")
	for i := 0; i <= l.Backends; i++ {
		fmt.Fprintf(&b, "link set port%d master bridge up\n", i)
	}
	return b.String()
}

// addrLine adds an address; nodad makes an IPv6 one usable at once.
func addrLine(addr netip.Addr, link string) string {
	if addr.Is6() {
		return fmt.Sprintf("addr add %v/64 dev %s nodad\n", addr, link)
	}
	return fmt.Sprintf("addr add %v/24 dev %s\n", addr, link)
}
