// Package portuse counts the connections that one address has to one backend: they are bounded by
// the source ports that there are.
package portuse

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"natspread/restore/flows"
)

// Ports is how many connections one address can have to the address and port of one
// backend. For a client's port above 1023 the kernel picks another port above 1023
// (nf_nat_core.c), and that many are from 1024 to 65535.
const Ports = 64512

// pair is a source and a destination between which source ports can run out.
type pair struct {
	protocol flows.Protocol
	Backend  netip.AddrPort
	source   netip.Addr // the address of the host that the backend sees
}

// Use is how many connections there are between two.
type Use struct {
	pair
	Used, waiting int
}

// Count counts those of some connections that lead to backends, always in the same order.
func Count(entries []flows.Entry, backend func(netip.Addr) bool) []Use {
	used, waiting := map[pair]int{}, map[pair]int{}
	for _, f := range entries {
		if backend(f.ReplySrc.Addr()) && f.Translated() && f.OrigSrc.Addr() != f.ReplyDst.Addr() {
			p := pair{f.Protocol, f.ReplySrc, f.ReplyDst.Addr()}
			used[p]++
			if f.Waits() {
				waiting[p]++
			}
		}
	}
	var all []Use
	for _, p := range slices.SortedFunc(maps.Keys(used), func(a, b pair) int {
		return cmp.Or(a.Backend.Compare(b.Backend), cmp.Compare(a.protocol, b.protocol), a.source.Compare(b.source))
	}) {
		all = append(all, Use{p, used[p], waiting[p]})
	}
	return all
}

// String says how many are in use.
func (u Use) String() string {
	return fmt.Sprintf("%v uses %d of the %d connections that it can have to backend %v over %v, %d of them closed and waiting for a timeout: when all are in use, clients time out",
		u.source, u.Used, Ports, u.Backend, u.protocol, u.waiting)
}

// Fix is the line after which there are more. The kernel keeps the port of a closed connection until a
// timeout. A shorter timeout is the fix that needs neither another backend nor another
// address.
func (u Use) Fix() string {
	switch u.protocol {
	case flows.UDP:
		return "sysctl -w net.netfilter.nf_conntrack_udp_timeout=10 net.netfilter.nf_conntrack_udp_timeout_stream=30"
	case flows.SCTP:
		return "sysctl -w net.netfilter.nf_conntrack_sctp_timeout_established=3600"
	}
	return "sysctl -w net.netfilter.nf_conntrack_tcp_timeout_time_wait=10"
}
