package units

import (
	"context"
	"slices"
	"strings"

	"natspread/internal/paths"
)

// Manager is the part of a running systemd that install and uninstall need.
type Manager interface {
	// Enable makes the symlinks that the unit's [Install] names and reports whether any was missing.
	Enable(ctx context.Context, unit string) (changed bool, err error)
	// Disable removes the symlinks that enable the unit and reports whether there were any; an unknown
	// unit has none.
	Disable(ctx context.Context, unit string) (changed bool, err error)
	// Reload makes systemd read all unit files and symlinks anew.
	Reload(ctx context.Context) error
	// Start returns when the unit's start has ended, with an error unless it is active.
	Start(ctx context.Context, unit string) error
	// Restart is Start for a unit that may be active already.
	Restart(ctx context.Context, unit string) error
	// Stop returns when the unit's stop has ended; an unknown unit is stopped.
	Stop(ctx context.Context, unit string) error
	// ResetFailed makes systemd forget that the unit failed; an unknown unit never did.
	ResetFailed(ctx context.Context, unit string) error
}

// What is done each time, or is no more than said.
const (
	reloaded = "reloaded systemd"
	started  = "started "
	stopped  = "stopped "
	kept     = "kept "
	left     = "left "
)

// Changed tells whether anything of what was done changed a file, a link or what is enabled.
func Changed(done []string) bool {
	return slices.ContainsFunc(done, func(line string) bool {
		return !slices.ContainsFunc([]string{reloaded, started, stopped, kept, left}, func(same string) bool { return strings.HasPrefix(line, same) })
	})
}

// Install writes the units for program unless a package ships them, enables the one of boot and starts it: the
// watcher's is left to InstallHealth. What was done is reported in order, also beside an error; each step can be
// repeated, so a second Install repairs a broken one.
func Install(ctx context.Context, manager Manager, root, program string) (done []string, err error) {
	_, done, err = provideFiles(root, program)
	if err != nil {
		return done, err
	}
	enabled, err := enable(ctx, manager, paths.Unit)
	done = append(done, enabled...)
	if err != nil {
		return done, err
	}
	done = append(done, reloaded)
	if err := manager.Start(ctx, paths.Unit); err != nil {
		return done, err
	}
	return append(done, started+paths.Unit), nil
}

// enable makes the symlinks of a unit, and then reloads systemd: only so the running one learns of new symlinks
// and files. What was done is returned beside an error, too.
func enable(ctx context.Context, manager Manager, unit string) (done []string, err error) {
	changed, err := manager.Enable(ctx, unit)
	if err != nil {
		return nil, err
	}
	if changed {
		done = append(done, "enabled "+unit)
	}
	return done, manager.Reload(ctx)
}

// Uninstall stops and disables the units, the watcher's first, and takes away the files that install wrote; a
// packaged unit, a file changed by hand and drop-ins of others stay. What was done is reported in order, also
// beside an error; when a stop fails nothing is taken away.
func Uninstall(ctx context.Context, manager Manager, root string) (done []string, err error) {
	for _, unit := range switched() {
		if err := manager.Stop(ctx, unit); err != nil {
			return done, err
		}
		done = append(done, stopped+unit)
	}
	for _, unit := range switched() {
		changed, err := manager.Disable(ctx, unit)
		if err != nil {
			return done, err
		}
		if changed {
			done = append(done, "disabled "+unit)
		}
	}
	// Also what Disable cannot see: symlinks to a unit file that is already gone.
	removed, err := UninstallOffline(root)
	done = append(done, removed...)
	if err != nil {
		return done, err
	}
	if err := manager.Reload(ctx); err != nil {
		return done, err
	}
	done = append(done, reloaded)
	for _, unit := range switched() {
		if err := manager.ResetFailed(ctx, unit); err != nil {
			return done, err
		}
	}
	return done, nil
}
