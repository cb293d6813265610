package doctor

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"slices"
	"strconv"

	"natspread/restore/flows"
)

const (
	// fullAt is how much of something bounded may be in use, in percent: more is found.
	fullAt = 80

	// portsOfSource is how many connections one address can have to the address and port
	// of one backend. For a client's port above 1023 the kernel picks another port above
	// 1023 (nf_nat_core.c), and that many are from 1024 to 65535.
	portsOfSource = 64512
)

// tableUse looks at how full the connection tracking table is. When it has as many
// entries as it may have, the kernel drops the packets of new connections.
func (e examination) tableUse() []Finding {
	count, err := e.number("net/netfilter/nf_conntrack_count")
	if errors.Is(err, fs.ErrNotExist) {
		return nil // nothing tracks connections yet
	}
	most, err2 := e.number("net/netfilter/nf_conntrack_max")
	if err = cmp.Or(err, err2); err != nil {
		return []Finding{cannotTell("how full the table of connections is", err)}
	}
	if most == 0 || count*100 <= most*fullAt { // 0 is no bound
		return nil
	}
	found := Finding{
		Severity: Risk, What: fmt.Sprintf("%d of at most %d connections are tracked, %d %%: new ones are dropped when net.netfilter.nf_conntrack_max is reached", count, most, count*100/most),
		Fix: fmt.Sprintf("sysctl -w net.netfilter.nf_conntrack_max=%d", 2*most),
	}
	if count >= most {
		found.Severity = Broken
	}
	return []Finding{found}
}

// number reads a sysctl that is a number.
func (h Host) number(key string) (int, error) {
	text, err := h.read(key)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(text)
}

// pair is a source and a destination between which source ports can run out.
type pair struct {
	protocol flows.Protocol
	backend  netip.AddrPort
	source   netip.Addr // the address of the host that the backend sees
}

// portSpace looks for backends to which the host has hardly a source port left.
func (e examination) portSpace() []Finding {
	backends := e.backends(anyService).values
	used, waiting := map[pair]int{}, map[pair]int{}
	for _, family := range e.families() {
		for _, f := range e.flows[family] {
			if backends[f.ReplySrc.Addr()] != nil && f.Translated() && f.OrigSrc.Addr() != f.ReplyDst.Addr() {
				p := pair{f.Protocol, f.ReplySrc, f.ReplyDst.Addr()}
				used[p]++
				if f.Waits() {
					waiting[p]++
				}
			}
		}
	}
	var found []Finding
	for _, p := range slices.SortedFunc(maps.Keys(used), func(a, b pair) int { // always in the same order
		return cmp.Or(a.backend.Compare(b.backend), cmp.Compare(a.protocol, b.protocol), a.source.Compare(b.source))
	}) {
		if used[p]*100 > portsOfSource*fullAt {
			found = append(found, p.full(used[p], waiting[p]))
		}
	}
	return found
}

// full is the finding of a pair. The kernel keeps the port of a closed connection until a
// timeout. A shorter timeout is the fix that needs neither another backend nor another
// address.
func (p pair) full(used, waiting int) Finding {
	found := Finding{
		Severity: Risk, What: fmt.Sprintf("%v uses %d of the %d connections that it can have to backend %v over %v, %d of them closed and waiting for a timeout: when all are in use, clients time out",
			p.source, used, portsOfSource, p.backend, p.protocol, waiting),
		Fix: "sysctl -w net.netfilter.nf_conntrack_tcp_timeout_time_wait=10",
	}
	switch {
	case p.protocol == flows.UDP:
		found.Fix = "sysctl -w net.netfilter.nf_conntrack_udp_timeout=10 net.netfilter.nf_conntrack_udp_timeout_stream=30"
	case p.protocol == flows.SCTP:
		found.Fix = "sysctl -w net.netfilter.nf_conntrack_sctp_timeout_established=3600"
	}
	if used >= portsOfSource {
		found.Severity = Broken
	}
	return found
}
