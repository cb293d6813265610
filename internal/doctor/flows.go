package doctor

import (
	"context"
	"net/netip"
	"slices"

	"natspread/internal/rules"
	"natspread/restore/flows"
)

// readFlows returns the tracked connections of a family that are to be kept.
func readFlows(family rules.Family, keep func(flows.Entry) bool) (kept []flows.Entry, err error) {
	err = flows.Each(context.Background(), family, func(f flows.Entry) {
		if keep(f) {
			kept = append(kept, f)
		}
	})
	return kept, err
}

// concerns returns a function that tells whether a connection has to do with the
// balancer.
func (b Balancer) concerns() func(flows.Entry) bool {
	ours := map[netip.Addr]bool{}
	for _, service := range b.Services {
		for _, listen := range service.Listen {
			ours[listen.Addr] = true
		}
		for _, backend := range service.Active() {
			ours[backend.Addr] = true
		}
		for _, addr := range service.SNAT.Addresses() {
			ours[addr] = true
		}
	}
	return func(f flows.Entry) bool {
		return ours[f.OrigDst.Addr()] || ours[f.ReplySrc.Addr()] || ours[f.ReplyDst.Addr()]
	}
}

// repliedHere tells whether a backend has replied to a balanced connection in which it
// sees the client's own address, or began one in its place: then its route to that client leads
// through this host.
func (e examination) repliedHere(backend netip.Addr) bool {
	return slices.ContainsFunc(e.flows[rules.FamilyOf(backend)], func(f flows.Entry) bool {
		return f.SeenReply && f.ReplySrc.Addr() == backend && f.Translated() && f.ReplyDst == f.OrigSrc ||
			f.OrigSrc.Addr() == backend && f.ReplySrc == f.OrigDst && f.ReplyDst.Addr() != backend
	})
}
