package watcher

import (
	"context"
	"net/netip"
	"time"

	"natspread/internal/config"
	"natspread/internal/health"
	"natspread/internal/rules"
	"natspread/restore"
	"natspread/restore/flows"
)

// Seams are what the watcher asks of its host. Each may be called by any goroutine.
type Seams struct {
	Now    func() time.Duration // of a clock that never jumps, and counts suspensions
	Random func() float64       // from 0 to 1

	// Ask asks a backend once. Nil is a good answer, *probe.Unable none, all else a bad one.
	Ask func(context.Context, health.Check) error
	// Addresses are this host's own.
	Addresses func() ([]netip.Addr, error)

	// Signs says, at little cost, what changes when something else is to be held.
	Signs func() Signs
	// Read reads what is to be held.
	Read func() (Standing, error)
	// Present tells whether packets meet rules of natspread's.
	Present func(context.Context) (bool, error)
	// Load is restore.Host.LoadOverlay.
	Load func(context.Context, restore.Overlay, restore.Freed) (restore.Result, error)
	// Busy tells since when a load has waited for one and the same thing.
	Busy func() time.Duration

	// Write keeps what is known of all checks.
	Write func(health.Record) error
	// Connections looks at connection tracking.
	Connections func(context.Context, flows.Watched) (flows.Seen, error)
	// Metrics writes what Prometheus reads, and says whether a watcher lives; nil writes none.
	Metrics func(ctx context.Context, alive bool) error

	Notify func(state string) // the service manager
	Log    func(Level, string)
}

// Signs changes when what is to be held changes, or somebody changes rules. An empty Overlay is
// no record.
type Signs struct {
	Current, Pending, Overlay, Files string
	Ruleset                          uint32 // of nftables; 0 where that tells nothing
}

// differ tells whether something else is to be held. The number of nftables' ruleset also changes
// where others load rules of their own.
func (s Signs) differ(from Signs) bool {
	s.Ruleset, from.Ruleset = 0, 0
	return s != from
}

// Standing is what the kernel is to hold: a generation, and what its overlay says. The zero
// Standing says that nothing is to be held.
type Standing struct {
	Generation int
	Config     config.Config
	Tables     rules.Tables // with the overlay
	Overlay    string       // the sum of its record; "" where there is none
	Note       health.Note  // of the overlay
	Unsure     bool         // a load of it began, and nobody knows how it ended
}
