package restore

import (
	"context"
	"errors"
	"fmt"

	"natspread/nat"
)

// settlement decides which entries of connection tracking a change has made false.
// Rules meet the first packet of a connection only; all others follow its entry,
// wherever that leads.
type settlement struct {
	before, after pools
	tables        Tables
	local         [2]locals
}

// stale tells whether an entry keeps packets from where the rules now lead.
func (s settlement) stale(e entry) bool {
	return s.removed(e) || e.protocol == "udp" && s.missed(e)
}

// removed tells whether an entry goes to a backend that was taken out of what it
// asked for, and is not to go on. UDP never is: a flow would stick to the backend
// for as long as its client keeps talking.
func (s settlement) removed(e entry) bool {
	local := s.local[nat.FamilyOf(e.asked.Addr())]
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
	return reset || e.protocol == "udp"
}

// missed tells whether the rules would translate an entry that began without them,
// or while every backend was drained: then it was sent to port 0, see REDIRECT in
// package nat. Its packets would go there for as long as its client keeps talking.
func (s settlement) missed(e entry) bool {
	if e.translated() && e.answers.Port() != 0 {
		return false
	}
	family := nat.FamilyOf(e.asked.Addr())
	builtIn := nat.Prerouting
	if s.local[family].contain(e.client) {
		builtIn = nat.Output
	}
	return s.tables.Of(family).Translates(builtIn, nat.Packet{
		Protocol: e.protocol, Source: e.client,
		Destination: e.asked.Addr(), Port: e.asked.Port(),
		Local: s.local[family].contain(e.asked.Addr()),
	})
}

// settle deletes the entries that a load has made false, and returns how many. All
// packets that met the rules before have made their entries by now: the load was
// read back meanwhile.
func (s settlement) settle(ctx context.Context) (ended int, err error) {
	var failures []error
	for _, family := range nat.Families() {
		n, err := s.settleFamily(ctx, family)
		ended += n
		failures = append(failures, err)
	}
	return ended, errors.Join(failures...)
}

// settleFamily is settle for one family: one dump, whatever there is to delete.
func (s settlement) settleFamily(ctx context.Context, family nat.Family) (ended int, err error) {
	if s.local[family], err = localAddresses(family); err != nil {
		return 0, err
	}
	var stale []entry
	err = eachEntry(ctx, family, func(e entry) {
		if s.stale(e) {
			stale = append(stale, e)
		}
	})
	if err != nil {
		return 0, err
	}
	return deleteEntries(ctx, family, stale)
}

// settlement returns what a request changes against the generation that was loaded
// before it. Without one nothing is taken out.
func (s Store) settlement(request Request) (settlement, error) {
	change := settlement{tables: request.Tables}
	loaded, _, err := s.newestGood()
	if errors.Is(err, ErrNone) || request.Pools == nil {
		return change, nil
	}
	if err != nil {
		return change, err
	}
	before, err := request.Pools(loaded.Config)
	if err != nil {
		return change, err
	}
	after, err := request.Pools(request.Config)
	change.before, change.after = indexPools(before), indexPools(after)
	return change, err
}

// settled does what a settlement says, as far as it could be made out, and adds to
// a result what became of connections. The change stands already, so a failure is
// told and undoes nothing.
func (r *Result) settled(ctx context.Context, s settlement, unread error) {
	ended, err := s.settle(ctx)
	r.Ended = ended
	if err = errors.Join(unread, err); err != nil {
		r.Notes = append(r.Notes, fmt.Sprintf("%v: UDP goes on to a backend that was taken out, until its client pauses", err))
	}
}
