package trace

import (
	"fmt"
	"math/big"
	"net/netip"
	"slices"

	"natspread/internal/rules"
	"natspread/internal/slots"
)

// Slot is the slot of one client, and the backend that owns it: the client gets it always.
type Slot struct {
	Number  int
	Of      int          // how many slots there are
	Backend rules.Target // as its rule has it: without a port it keeps the packet's
	Owned   int          // how many slots the backend owns
}

// slotOf returns the slot of the packet's client; nil where the client is not known, where not
// it alone decides, or where all are refused.
func slotOf(table rules.Table, incoming *Path, packet rules.Packet) (*Slot, error) {
	hashed := incoming.hash()
	targets := incoming.Targets()
	if hashed == nil || hashed.Hash.Target.SourcePort || !packet.Source.IsValid() || len(targets) != 1 || targets[0].Kind == rules.Refuse {
		return nil, nil
	}
	hash := hashed.Hash.Target
	of := int(hash.Slots)
	slot := &Slot{Number: slots.Of(packet.Source, int(hash.Prefix), of), Of: of, Backend: targets[0]}
	packet.Source = netip.Addr{} // all clients, and so behind the gate, which may be for some only
	chain, _ := table.Chain(hashed.Chain)
	path, err := traceFrom(table, chain, packet)
	if err != nil {
		return nil, err
	}
	owned := path.share(slot.Backend)
	owned.Mul(owned, big.NewRat(int64(of), 1))
	slot.Owned = int(owned.Num().Int64())
	if slot.Backend.Address == packet.Destination && slot.Backend.Port == 0 { // it stays there
		slot.Backend.Port = packet.Port
	}
	return slot, nil
}

// backend names the slot's backend as the config does.
func (s Slot) backend() string {
	if s.Backend.Port == 0 {
		return s.Backend.Address.String()
	}
	name := netip.AddrPortFrom(s.Backend.Address, s.Backend.Port).String()
	if last := s.Backend.Shift.Last; last != 0 {
		name += fmt.Sprintf("-%d", last)
	}
	return name
}

// slotText says which backend a client always gets, or what decides in its place; nothing
// where connections have no slots, or all are refused.
func (q Question) slotText(explained Explanation) string {
	hashed := explained.Incoming.hash()
	goes := func(t rules.Target) bool { return t.Kind != rules.Refuse }
	switch slot := explained.Slot; {
	case slot != nil:
		return fmt.Sprintf("%v is slot %d of %d: %s, always; %d of %d clients\n", q.Packet.Source, slot.Number, slot.Of, slot.backend(), slot.Owned, slot.Of)
	case hashed == nil || !slices.ContainsFunc(explained.Incoming.Targets(), goes):
		return ""
	case hashed.Hash.Target.SourcePort:
		return fmt.Sprintf("A connection is one of %d slots by its client's address and port: which backend it gets is not said here.\n", hashed.Hash.Target.Slots)
	}
	return fmt.Sprintf("A client is one of %d slots, and keeps its backend: --from says which one.\n", hashed.Hash.Target.Slots)
}
