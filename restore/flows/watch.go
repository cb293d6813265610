package flows

import (
	"context"
	"hash/maphash"
	"net/netip"
	"slices"

	"natspread/internal/rules"
)

// Watched is what a Watch looks at.
type Watched struct {
	Backends map[netip.AddrPort]bool // of services; port 0 is every port
	Down     map[netip.AddrPort]bool // to which this host connects over TCP, and nobody answers
}

// Connections are the TCP connections to a backend that rules sent there. One that conntrack
// picked up in the middle is neither answered nor unanswered until the backend sends something.
type Connections struct {
	Answered   int // since the look before
	Unanswered int // now
}

// Seen is what a look saw.
type Seen struct {
	Entries  int                            // of every kind, in the families that were looked at
	Deleted  int                            // those of this host's own connections to Watched.Down that were never answered
	Backends map[netip.AddrPort]Connections // by the keys of Watched.Backends; none that has no connection
}

// Watch looks at connection tracking again and again. It remembers which connections were
// answered at the look before: an old one that is still open does not show that answers take
// their way now.
type Watch struct {
	seed     maphash.Seed
	answered []uint64 // hashes of their entries, in order
}

// Look counts the connections to backends. It deletes the entries of this host's own
// connections to what is down: one that nobody answers would stay for 120 s
// (net.netfilter.nf_conntrack_tcp_timeout_syn_sent), and checks of many silent backends, every
// 2 s, would fill the table.
//
// Errors are those of CountConnections. After an error the next look counts the answers since
// the last look without one.
func (w *Watch) Look(ctx context.Context, of Watched) (Seen, error) {
	if w.seed == (maphash.Seed{}) {
		w.seed = maphash.MakeSeed()
	}
	l := look{Watched: of, before: w, seen: Seen{Backends: map[netip.AddrPort]Connections{}}}
	for _, family := range rules.Families() {
		if err := l.family(ctx, family); err != nil {
			return Seen{}, conntrackError(err)
		}
	}
	slices.Sort(l.answered)
	w.answered = l.answered
	return l.seen, nil
}

// look is one look that is under way.
type look struct {
	Watched
	before   *Watch
	answered []uint64
	seen     Seen
}

// family looks at the entries of a family, if any of them can matter.
func (l *look) family(ctx context.Context, family rules.Family) error {
	if !has(l.Backends, family) && !has(l.Down, family) {
		return nil
	}
	local, err := localAddresses(family)
	if err != nil {
		return err
	}
	deleted, err := deleteEntries(ctx, family, func(e Entry) bool {
		l.seen.Entries++
		if e.Protocol != TCP {
			return false
		}
		if inverted, ok := e.inverted(); ok && l.Backends[e.OrigSrc] { // without a port it may be anything of the backend's own
			l.count(inverted)
			return false
		}
		if e.Translated() {
			l.count(e)
			return false
		}
		return !e.SeenReply && l.Down[e.OrigDst] && local.contain(e.OrigSrc.Addr())
	})
	l.seen.Deleted += deleted
	return err
}

// has tells whether any of addresses is of a family.
func has(addresses map[netip.AddrPort]bool, family rules.Family) bool {
	for address := range addresses {
		if rules.FamilyOf(address.Addr()) == family {
			return true
		}
	}
	return false
}

// count counts a connection, if it leads to a backend.
func (l *look) count(e Entry) {
	backend := e.ReplySrc
	if !l.Backends[backend] {
		if backend = netip.AddrPortFrom(backend.Addr(), 0); !l.Backends[backend] {
			return
		}
	}
	counted := l.seen.Backends[backend]
	switch {
	case e.unanswered():
		counted.Unanswered++
	case e.SeenReply:
		hash := maphash.Comparable(l.before.seed, [3]netip.AddrPort{e.OrigSrc, e.OrigDst, e.ReplySrc})
		l.answered = append(l.answered, hash)
		if _, known := slices.BinarySearch(l.before.answered, hash); !known {
			counted.Answered++
		}
	}
	l.seen.Backends[backend] = counted
}
