package doctor

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strconv"

	"natspread/internal/doctor/finding"
	"natspread/internal/doctor/portuse"
)

// fullAt is how much of something bounded may be in use, in percent: more is found.
const fullAt = 80

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

// portSpace looks for backends to which the host has hardly a source port left.
func (e examination) portSpace() []Finding {
	backends := e.backends(anyService).values
	var found []Finding
	for _, family := range e.families() {
		for _, use := range portuse.Count(e.flows[family], func(addr netip.Addr) bool { return backends[addr] != nil }) {
			severity := Risk
			if use.Used >= portuse.Ports {
				severity = Broken
			}
			if use.Used*100 > portuse.Ports*fullAt {
				found = append(found, Finding{Severity: severity, What: use.String(), Fix: use.Fix(), Loss: finding.Loss{Backends: []netip.Addr{use.Backend.Addr()}, AtRisk: true}})
			}
		}
	}
	return found
}
