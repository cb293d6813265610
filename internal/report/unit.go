package report

import (
	"context"

	"natspread/internal/doctor"
	"natspread/internal/paths"
	"natspread/restore/generation"
)

// failed is what systemd calls a unit whose last start or stop failed.
const failed doctor.Unit = "failed"

// unit returns the state of natspread's unit. The files decide whether boot starts it. Where
// they say so, or systemd says that it failed, systemd's state is returned; where systemd
// does not answer, that of the files.
func (h Host) unit(ctx context.Context, files doctor.Unit) doctor.Unit {
	if h.Systemd == nil {
		return files
	}
	said, err := h.Systemd(ctx, paths.Unit)
	if state := doctor.Unit(said); err == nil && (state == failed || files == doctor.Enabled) {
		return state
	}
	return files
}

// failedUnit says that the unit failed, where it has something to load. systemd does not
// stop or reload a unit that failed, also when an apply has loaded the rules since. To start
// it would end the trial of a generation that waits to be confirmed, and it can be started
// only where the files have one.
func failedUnit(unit, files doctor.Unit, wanted generation.Wanted) []doctor.Finding {
	fix := "systemctl reset-failed " + paths.Unit
	switch {
	case unit != failed, wanted.Boot.Number == 0 && wanted.Pending == nil:
		return nil
	case wanted.Pending == nil && (files == doctor.Enabled || files == doctor.Disabled):
		fix += " && systemctl start " + paths.Unit
	}
	return []doctor.Finding{{Severity: doctor.Broken, What: paths.Unit + " has failed: systemd neither stops nor reloads it; journalctl -b -u " + paths.Unit + " says why", Fix: fix}}
}
