package report

import (
	"fmt"
	"net/netip"

	"natspread/internal/compare"
	"natspread/internal/config"
	"natspread/internal/slots"
)

// ClientsMoved says how many clients of a service get another backend, in slots: each slot is
// as many clients as every other.
type ClientsMoved struct {
	Moved    int  `json:"moved"`
	Needless int  `json:"needless"` // those of Moved that no backend gained or lost a share for
	Of       int  `json:"of"`
	About    bool `json:"about"` // the slots of clients are others, too, so this is what is to be expected
}

// clientsMoved compares the owners of all clients of a service; nil where clients do not keep
// their backends, before or after.
func clientsMoved(before, after *config.Service) *ClientsMoved {
	if before == nil || after == nil {
		return nil
	}
	was, is := ownerAddresses(*before), ownerAddresses(*after)
	if was == nil || is == nil {
		return nil
	}
	moved := ClientsMoved{About: before.Algorithm != after.Algorithm || before.SourcePrefix != after.SourcePrefix}
	moved.Moved, moved.Needless, moved.Of = slots.Moved(was, is)
	if moved.About {
		stay := meetings(was, is) * moved.Of / (len(was) * len(is))
		moved.Needless += moved.Of - stay - moved.Moved
		moved.Moved = moved.Of - stay
	}
	return &moved
}

// ownerAddresses returns the owner of each slot; nil where there is none.
func ownerAddresses(service config.Service) []netip.AddrPort {
	var addresses []netip.AddrPort
	for _, owner := range service.Owners() {
		addresses = append(addresses, service.Backends[owner].AddrPort())
	}
	return addresses
}

// meetings counts the pairs of a slot of before and one of after that have the same owner.
func meetings(was, is []netip.AddrPort) int {
	held := map[netip.AddrPort]int{}
	for _, owner := range was {
		held[owner]++
	}
	met := 0
	for _, owner := range is {
		met += held[owner]
	}
	return met
}

// String says it for people: 26 of 256 clients move, 2 of them needlessly.
func (c ClientsMoved) String() string {
	about, needless := "", "none"
	if c.About {
		about = "about "
	}
	if c.Needless > 0 {
		needless = fmt.Sprint(c.Needless)
	}
	return fmt.Sprintf("%s%d of %d clients get another backend, %s of them needlessly", about, c.Moved, c.Of, needless)
}

// Ahead is what becomes of the services that are loaded, and of their clients, when another config is.
type Ahead struct {
	Changes *Changes // nil where nothing is loaded, or its config cannot be read
	Moves   []string // notes: how many clients of a service get another backend
}

// Ahead compares a config with what is loaded now.
func (h Host) Ahead(cfg config.Config) Ahead {
	loaded := h.Restore.Store().Wanted().Generation
	if loaded.Number == 0 {
		return Ahead{}
	}
	before, err := config.ParseGeneration(loaded.Number, loaded.Config)
	if err != nil {
		return Ahead{} // status says that
	}
	ahead := Ahead{Changes: new(Changes)}
	for _, change := range compare.Configs(before, cfg) {
		ahead.Changes.count(change)
		if moved := clientsMoved(change.Before, change.After); moved != nil && moved.Moved > 0 {
			ahead.Moves = append(ahead.Moves, fmt.Sprintf("service %s: %v", change.Name(), moved))
		}
	}
	return ahead
}

// String says in brackets what changes, as words to put into a line; nothing where that is not known.
func (a Ahead) String() string {
	if a.Changes == nil {
		return ""
	}
	return fmt.Sprintf(" (%v)", a.Changes)
}

// RoughShares says as notes which shares of a config are off by more than a tenth of
// themselves, because slots are whole, with the number of slots that fixes it. While backends
// are drained the others' shares are further off; that is for a time only, and not said.
func RoughShares(cfg config.Config) []string {
	var notes []string
	for _, service := range cfg.Services {
		if service.Slots == 0 {
			continue
		}
		pool := slots.Primaries(service.SlotBackends())
		worst, off := roughest(pool, service.Slots)
		if !isRough(off) {
			continue
		}
		better := service.Slots
		for better < slots.Max && isRough(off) {
			better *= 2
			_, off = roughest(pool, better)
		}
		note := fmt.Sprintf("service %s: backend %v owns %d of %d slots, and is off its share by more than a tenth of it",
			service.Name, service.Backends[worst], slots.Quotas(pool, service.Slots)[worst], service.Slots)
		if !isRough(off) {
			note += fmt.Sprintf("; fix: slots = %d, which moves nearly every client", better)
		}
		notes = append(notes, note)
	}
	return notes
}

// roughest returns the backend whose slots are furthest off its share, and by how much of it.
func roughest(pool []slots.Backend, count int) (worst int, off float64) {
	sum := 0
	for _, backend := range pool {
		sum += backend.Weight
	}
	for i, quota := range slots.Quotas(pool, count) {
		if pool[i].Weight == 0 {
			continue
		}
		ideal := float64(count*pool[i].Weight) / float64(sum)
		if apart := max(float64(quota)-ideal, ideal-float64(quota)) / ideal; apart > off {
			worst, off = i, apart
		}
	}
	return worst, off
}

// isRough tells whether a share that is off by so much of itself is worth a note.
func isRough(off float64) bool { return off > 0.1 }
