package netnstest

import (
	"net/netip"
	"testing"
)

// Crowd makes the addresses of CrowdAddr the client's own, and routes to them: more clients
// than a layout has.
func (n *Network) Crowd(t testing.TB) {
	t.Helper()
	n.Client.Sysctl(t, "net.ipv6.ip_nonlocal_bind", "1") // to IPv6 a local route is no address to bind to
	n.Client.Command(t, "route add local 198.18.0.0/15 dev lo\nroute add local 2001:db8:51::/48 dev lo\n", "ip", "-batch", "-")
	n.Balancer.Command(t, "route add 198.18.0.0/15 via 192.0.2.99\nroute add 2001:db8:51::/48 via 2001:db8::99\n", "ip", "-batch", "-")
}

// CrowdAddr is the address of a client of a number, from 0. Neighbouring numbers are far
// apart.
func CrowdAddr(family, i int) netip.Addr {
	n := uint32(i+1) * 0x9e3779b1
	a, b, c, d := byte(n>>24), byte(n>>16), byte(n>>8), byte(n)
	if family == 6 {
		return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 0, 0x51, a, b, c, d, 15: byte(i)})
	}
	return netip.AddrFrom4([4]byte{198, 18 + a>>7, b, c})
}
