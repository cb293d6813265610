package flows

import (
	"context"
	"errors"

	"natspread/internal/rules"
)

// Change is what a load changed. It decides which entries of connection tracking are
// stale: rules meet the first packet of a connection only; all later packets follow its
// entry, wherever that leads.
type Change struct {
	Before, After Index
	// Unknown are the tables that were loaded before, where Before could not be read. UDP
	// entries that they can have made are stale then: a flow would stick to a backend for
	// as long as its client keeps talking.
	Unknown rules.Tables
	Tables  rules.Tables // the tables that are loaded now
	Spare   bool         // TCP and SCTP connections stay, whatever their service says: the load may be reverted

	local [2]locals
	gated [2]bool // services of the family are for some clients only
}

// stale tells whether an entry keeps packets from where the rules now lead.
func (c Change) stale(e Entry) bool {
	return c.removed(e) || e.Protocol == UDP && (c.missed(e) || c.unknown(e)) || c.turnedAway(e)
}

// turnedAway tells whether an entry is of a client that its service does not serve, and leads
// elsewhere than the rules lead such a client: to a backend, or to a refusal where the host itself is
// to answer now. A UDP entry would stay for as long as its client keeps sending. A TCP connection goes
// on, unless its service resets what is taken out.
func (c Change) turnedAway(e Entry) bool {
	e = c.After.begunByClient(e)
	family := rules.FamilyOf(e.OrigDst.Addr())
	if !c.gated[family] || c.local[family].contain(e.OrigSrc.Addr()) {
		return false
	}
	service, leads := backendOf(c.After.of(e, c.local[family]), e)
	if !c.Tables.Of(family).TurnsAway(rules.Prerouting, c.firstPacket(e), service.Service) {
		return false
	}
	if !e.Translated() && (!leads || !c.translates(c.Tables, e)) {
		return false // it is where the rules leave it
	}
	if e.Protocol == UDP {
		return e.ReplySrc.Port() != 0 || !c.translates(c.Tables, e)
	}
	return leads && service.Reset && !c.Spare
}

// firstPacket returns what an entry's first packet looked like in PREROUTING.
func (c Change) firstPacket(e Entry) rules.Packet {
	return rules.Packet{
		Protocol: e.Protocol.String(), Source: e.OrigSrc.Addr(),
		Destination: e.OrigDst.Addr(), Port: e.OrigDst.Port(),
		Local: c.local[rules.FamilyOf(e.OrigDst.Addr())].contain(e.OrigDst.Addr()),
	}
}

// removed tells whether an entry goes to a backend that was taken out of what it
// asked for, and is not to go on. UDP never goes on: a flow would stick to the backend
// for as long as its client keeps talking. Neither does a TCP connection that was never
// answered: the next SYN of its client then begins a new one, to another backend if the
// service still has one. If it has none, the connection stays while Spare asks for that.
func (c Change) removed(e Entry) bool {
	e = c.Before.begunByClient(e)
	local := c.local[rules.FamilyOf(e.OrigDst.Addr())]
	old, led := backendOf(c.Before.of(e, local), e)
	if !led {
		return false // somebody else's
	}
	reset := old.Reset
	now := c.After.of(e, local)
	if _, leads := backendOf(now, e); leads {
		return false
	}
	stays := len(now) > 0
	if stays {
		reset = named(now, old.Service).Reset
	}
	switch {
	case e.Protocol == UDP:
		return true
	case e.unanswered():
		return stays || !c.Spare
	}
	return reset && !c.Spare
}

// atBackend tells whether an entry goes to a backend of what it asked for.
func (c Change) atBackend(e Entry) bool {
	_, found := backendOf(c.After.of(e, c.local[rules.FamilyOf(e.OrigDst.Addr())]), e)
	return found
}

// missed tells whether the rules would translate an entry that began without them,
// or while every backend was drained: then it was sent to port 0, see Refuse in
// package rules. Its packets would go there for as long as its client keeps talking. And packets
// that a backend began to send would leave untranslated for as long as it keeps sending. What is at the
// listen address itself has missed nothing where that is a backend, drained or not.
func (c Change) missed(e Entry) bool {
	if e.Translated() && e.ReplySrc.Port() != 0 || c.atBackend(e) || c.leads(c.Tables, e, rules.Table.CanStay) {
		return false
	}
	return c.translates(c.Tables, e) || e.ReplyDst == e.OrigSrc && answers(c.Tables, e)
}

// unknown tells whether an entry may go to a backend that was taken out, as far as the
// rules of before tell.
func (c Change) unknown(e Entry) bool {
	if _, ok := e.inverted(); ok {
		return answers(c.Unknown, e)
	}
	return e.Translated() && c.translates(c.Unknown, e)
}

// answers tells whether tables take an entry's first packet for one from a backend to a client,
// and can rewrite its source.
func answers(tables rules.Tables, e Entry) bool {
	return tables.Of(rules.FamilyOf(e.OrigSrc.Addr())).CanTranslate(rules.Postrouting, rules.Packet{
		Protocol: e.Protocol.String(), Source: e.OrigSrc.Addr(), SourcePort: e.OrigSrc.Port(), Destination: e.OrigDst.Addr(), Port: e.OrigDst.Port(),
	})
}

// translates tells whether tables can rewrite the destination of an entry's first packet.
func (c Change) translates(tables rules.Tables, e Entry) bool {
	return c.leads(tables, e, rules.Table.CanTranslate)
}

// leads asks the table of an entry about its first packet.
func (c Change) leads(tables rules.Tables, e Entry, can func(rules.Table, string, rules.Packet) bool) bool {
	family := rules.FamilyOf(e.OrigDst.Addr())
	builtIn := rules.Prerouting
	if c.local[family].contain(e.OrigSrc.Addr()) {
		builtIn = rules.Output
	}
	return can(tables.Of(family), builtIn, c.firstPacket(e))
}

// DeleteStale deletes the entries that a load has made stale, and returns how many. All
// packets that met the rules before have made their entries by now: the load was
// read back meanwhile.
func (c Change) DeleteStale(ctx context.Context) (deleted int, err error) {
	var failures []error
	for _, family := range rules.Families() {
		n, err := c.deleteStale(ctx, family)
		deleted += n
		failures = append(failures, err)
	}
	return deleted, errors.Join(failures...)
}

// deleteStale is DeleteStale for one family: one dump, whatever there is to delete.
func (c Change) deleteStale(ctx context.Context, family rules.Family) (deleted int, err error) {
	if c.Tables.Of(family).Empty() && c.Unknown.Of(family).Empty() && !c.Before.have(family) {
		return 0, nil
	}
	c.gated[family] = c.Tables.Of(family).Gated()
	if c.local[family], err = localAddresses(family); err != nil {
		return 0, err
	}
	deleted, err = deleteEntries(ctx, family, c.stale)
	return deleted, conntrackError(err)
}
