package rules

import "net/netip"

// VirtualService is one address, protocol and range of ports that clients ask, and the
// backends that their connections may be at: those that get new ones, and the
// drained ones, which no rule of a table leads to any more.
type VirtualService struct {
	Protocol string           // tcp, udp, sctp
	Address  netip.Addr       // the zero Addr is every address of the host
	Ports    Ports            // never the zero value
	Backends []netip.AddrPort // at least one; port 0 keeps the port that the client asked for
	Reset    bool             // connections to a backend that is taken out are cut, not left to end
}
