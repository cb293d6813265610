package health

import (
	"net/netip"
	"time"

	"natspread/internal/config"
)

// Check is a check of one backend. Equal ones of several services are one: it is the key of a
// State.
type Check struct {
	Target netip.AddrPort // where it goes, with the port of the check
	config.Check
}

// State is what is known of a checked backend.
type State string

// The states. A new backend counts as up.
const (
	New  State = "new"
	Up   State = "up"
	Down State = "down"
)

// Record is what the watcher writes to /run/natspread/health.json, for those who report, and
// for the watcher that comes after it.
type Record struct {
	Namespace  string        `json:"namespace"`  // the network namespace of one boot: namespace.ID
	Generation int           `json:"generation"` // whose checks these are; 0 where nothing is loaded
	Beat       time.Duration `json:"beat"`       // when it was written: ns of CLOCK_BOOTTIME, as all times here
	Checks     []CheckRecord `json:"checks"`

	LoadsOK      uint64        `json:"loads_ok"` // loads of an overlay
	LoadsFailed  uint64        `json:"loads_failed"`
	LoadDuration time.Duration `json:"load_duration"` // of the last load
	Late         uint64        `json:"late"`          // checks that began over 100 ms late
}

// CheckRecord is the state of one check.
type CheckRecord struct {
	Check      Check           `json:"check"`
	State      State           `json:"state"`
	Since      time.Duration   `json:"since"`           // when it became that
	Reason     string          `json:"reason,omitzero"` // of the last failure: "connection refused"
	Falls      []time.Duration `json:"falls,omitzero"`  // when it went down: the last 5 times of the last 10 minutes
	OK         uint64          `json:"ok,omitzero"`     // outcomes, counted
	Failed     uint64          `json:"failed,omitzero"`
	Unable     uint64          `json:"unable,omitzero"`
	Changes    uint64          `json:"changes,omitzero"`    // ups and downs
	Duration   time.Duration   `json:"duration,omitzero"`   // of the last check
	Unanswered int             `json:"unanswered,omitzero"` // connections that it has not answered, at the last look at conntrack
	Answered   int             `json:"answered,omitzero"`   // connections that it has answered since the look before
}

// Note is what an overlay says of itself: it fits the rules of that overlay.
type Note struct {
	Services []ServiceNote `json:"services"` // those that differ from the generation, and those that fail open
}

// ServiceNote says who of a service's backends gets no new connections, and who gets some,
// other than the config says.
type ServiceNote struct {
	Name   string    `json:"name"`
	Mode   Mode      `json:"mode"`
	Out    []OutNote `json:"out"`
	Joined []string  `json:"joined"` // backups, as config.Backend.String writes them
}

// OutNote is a backend that is out.
type OutNote struct {
	Backend string        `json:"backend"` // as config.Backend.String writes it
	Since   time.Duration `json:"since"`   // ns of CLOCK_BOOTTIME
	Reason  string        `json:"reason"`  // "connection refused", or "drained" by hand
}

// Mode is by which rule a service chooses its backends.
type Mode string

// The modes, of health.Choose.
const (
	Normal   Mode = "normal"
	Backup   Mode = "backup"    // fewer primaries than min_up: backups join
	FailOpen Mode = "fail_open" // too few are up, and no backup: all get connections
	Drained  Mode = "drained"   // no primary is in service
)
