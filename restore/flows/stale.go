package restore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"natspread/internal/conntrack"
	"natspread/internal/rules"
)

// settlement decides which entries of connection tracking a change has made false.
// Rules meet the first packet of a connection only; all others follow its entry,
// wherever that leads.
type settlement struct {
	before, after pools
	unread        error // why there are no pools, although there should be
	tables        rules.Tables
	spares        bool // TCP and SCTP go on, whatever their services say: it may be for some time only
	local         [2]locals
}

// stale tells whether an entry keeps packets from where the rules now lead.
func (s settlement) stale(e conntrack.Entry) bool {
	return s.removed(e) || e.Protocol == conntrack.UDP && s.missed(e)
}

// removed tells whether an entry goes to a backend that was taken out of what it
// asked for, and is not to go on. UDP never is: a flow would stick to the backend
// for as long as its client keeps talking.
func (s settlement) removed(e conntrack.Entry) bool {
	local := s.local[rules.FamilyOf(e.OrigDst.Addr())]
	old, found := s.before.of(e, local)
	if !found {
		return false
	}
	if _, led := old.backend(e); !led {
		return false // somebody else's
	}
	reset := old.Reset
	if now, found := s.after.of(e, local); found {
		if _, leads := now.backend(e); leads {
			return false
		}
		reset = now.Reset
	}
	return e.Protocol == conntrack.UDP || reset && !s.spares
}

// missed tells whether the rules would translate an entry that began without them,
// or while every backend was drained: then it was sent to port 0, see REDIRECT in
// package nat. Its packets would go there for as long as its client keeps talking.
func (s settlement) missed(e conntrack.Entry) bool {
	if e.Translated() && e.ReplySrc.Port() != 0 {
		return false
	}
	family := rules.FamilyOf(e.OrigDst.Addr())
	builtIn := rules.Prerouting
	if s.local[family].contain(e.OrigSrc.Addr()) {
		builtIn = rules.Output
	}
	return s.tables.Of(family).CanTranslate(builtIn, rules.Packet{
		Protocol: e.Protocol.String(), Source: e.OrigSrc.Addr(),
		Destination: e.OrigDst.Addr(), Port: e.OrigDst.Port(),
		Local: s.local[family].contain(e.OrigDst.Addr()),
	})
}

// settle deletes the entries that a load has made false, and returns how many. All
// packets that met the rules before have made their entries by now: the load was
// read back meanwhile.
func (s settlement) settle(ctx context.Context) (deleted int, err error) {
	var failures []error
	for _, family := range rules.Families() {
		n, err := s.settleFamily(ctx, family)
		deleted += n
		failures = append(failures, err)
	}
	return deleted, errors.Join(failures...)
}

// settleFamily is settle for one family: one dump, whatever there is to delete.
func (s settlement) settleFamily(ctx context.Context, family rules.Family) (deleted int, err error) {
	if s.tables.Of(family).Empty() && !s.before.have(family) {
		return 0, nil
	}
	if s.local[family], err = localAddresses(family); err != nil {
		return 0, err
	}
	deleted, err = conntrack.Delete(ctx, family, s.stale)
	return deleted, conntrackError(err)
}

// settlementLater finds out at once, beside what is done meanwhile, what a change takes
// out, and returns what waits for it: the configs of thousands of services take a while.
func (h Host) settlementLater(from, to Generation) func() settlement {
	found := make(chan settlement, 1)
	go func() { found <- h.settlement(from, to) }()
	return sync.OnceValue(func() settlement { return <-found })
}

// settlement returns what a change from one generation to another takes out. A zero
// generation spreads nothing; of one that cannot be read nothing is known, and
// nothing is taken out.
func (h Host) settlement(from, to Generation) settlement {
	change := settlement{tables: to.Tables}
	if h.Pools == nil || from.Generation == 0 || bytes.Equal(from.Config, to.Config) {
		return change // nothing is taken out
	}
	before, err := h.pools(from)
	after, errAfter := h.pools(to)
	if change.unread = errors.Join(err, errAfter); change.unread == nil {
		change.before, change.after = indexPools(before), indexPools(after)
	}
	return change
}

// pools returns what a generation spreads.
func (h Host) pools(g Generation) ([]rules.VirtualService, error) {
	if g.Config == nil {
		return nil, nil
	}
	return h.Pools(g.Config)
}

// settle settles, and adds to a result what became of connections. The change
// stands already, so a failure is told and undoes nothing.
func (r *Result) settle(ctx context.Context, s settlement) {
	forgotten, err := s.settle(ctx)
	r.Forgotten = forgotten
	if err = errors.Join(s.unread, err); err != nil {
		r.Notes = append(r.Notes, fmt.Sprintf("%v: UDP may go on to a backend that was taken out, until its client pauses", err))
	}
}
