package units

import (
	"context"
	"fmt"
	"strings"

	"natspread/internal/paths"
)

// StartEnabled starts natspread.service where it is enabled and not active, and reports whether it is active
// then: a condition of the unit that is not met is no error, and starts nothing. A unit that is missing, masked
// or disabled is left alone, and so is one that has a job already, as at boot. An error is the cause alone.
func (s *Systemd) StartEnabled(ctx context.Context) (started bool, err error) {
	before, err := s.readState(ctx, paths.Unit)
	if err != nil || !before.waits() {
		return false, err
	}
	if err := runJob(ctx, paths.Unit, s.conn.StartUnitContext); err != nil {
		return false, err
	}
	after, err := s.readState(ctx, paths.Unit)
	return after.active == "active", err
}

// Runs tells whether a unit is active, or will be. An error is the cause alone.
func (s *Systemd) Runs(ctx context.Context, unit string) (bool, error) {
	state, err := s.readState(ctx, unit)
	return state.queued || state.active == "active" || state.active == "activating" || state.active == "reloading", err
}

// unitState is what systemd knows of a unit, in its own words.
type unitState struct {
	file   string // UnitFileState; "" for a unit that is missing
	active string // ActiveState
	queued bool   // whether a job waits or runs
}

// waits tells whether the unit should be active, but neither is nor will be.
func (u unitState) waits() bool {
	enabled := strings.HasPrefix(u.file, "enabled") // or enabled-runtime: until the next boot
	return enabled && (u.active == "inactive" || u.active == "failed") && !u.queued
}

// readState asks for the state of a unit; an unknown one has none.
func (s *Systemd) readState(ctx context.Context, unit string) (unitState, error) {
	properties, err := s.conn.GetUnitPropertiesContext(ctx, unit)
	switch {
	case isNoSuchUnit(err):
		return unitState{}, nil
	case err != nil:
		return unitState{}, fmt.Errorf("cannot read its state: %w", err)
	}
	var state unitState
	state.file, _ = properties["UnitFileState"].(string)
	state.active, _ = properties["ActiveState"].(string)
	job, _ := properties["Job"].([]any) // its number, 0 without one, and its path
	state.queued = len(job) > 0 && job[0] != uint32(0)
	return state, nil
}
