package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"natspread/internal/config"
	"natspread/internal/namespace"
	"natspread/internal/paths"
	"natspread/internal/report"
	"natspread/internal/trial"
	"natspread/restore"
	"natspread/units"
)

// unitTimeout bounds what a verb that has done its own work already asks of systemd.
const unitTimeout = 20 * time.Second

// startUnit starts the enabled unit where it is not active, so that systemctl tells the truth
// of the rules that are loaded, and can stop them. The unit restores, which takes the lock and
// finds all loaded: the caller holds none. A failure is a note of the result, and so is that
// nobody runs the health checks of the config that is loaded.
func (s *session) startUnit(ctx context.Context, cfg config.Config, result *restore.Result) {
	if s.ownsUnits() {
		started, err := askSystemd(ctx, s, unitTimeout, func(ctx context.Context, running systemd) (bool, error) { return running.StartEnabled(ctx) })
		switch {
		case errors.Is(err, units.ErrNotRunning):
		case err != nil:
			result.Notes = append(result.Notes, fmt.Sprintf("%s could not be started: %v; fix: systemctl start natspread", paths.Unit, err))
		case started:
			s.printf("started %s", paths.Unit)
		}
	}
	s.noteWatcher(ctx, cfg, result)
}

// ownsUnits tells whether the units of the running systemd load what this run works on, and
// where it does: not those of another root, or in another namespace.
func (s *session) ownsUnits() bool {
	return s.root == "/" && namespace.Root() != namespace.Another && namespace.Network() != namespace.Another
}

// askSystemd asks the running systemd, and waits for so long at most.
func askSystemd[T any](ctx context.Context, s *session, most time.Duration, ask func(context.Context, systemd) (T, error)) (answer T, err error) {
	ctx, done := context.WithTimeout(ctx, most)
	defer done()
	running, err := s.connect(ctx)
	if err != nil {
		return answer, err
	}
	defer running.Close()
	return ask(ctx, running)
}

// checked tells whether a config has health checks.
func checked(cfg config.Config) bool {
	return slices.ContainsFunc(cfg.Services, config.Service.Checked)
}

// noteWatcher adds to the notes of a result that nobody runs the health checks of a config,
// unless systemd is about to.
func (s *session) noteWatcher(ctx context.Context, cfg config.Config, result *restore.Result) {
	found := s.reportHost().Unwatched(ctx, cfg.Services)
	if len(found) > 0 && s.ownsUnits() {
		starts, _ := askSystemd(ctx, s, unitTimeout, func(ctx context.Context, running systemd) (bool, error) { return running.Runs(ctx, paths.HealthUnit) })
		if starts {
			return
		}
	}
	result.Notes = append(result.Notes, report.NotesOf(found)...)
}

// revertTimer returns what reverts a trial of this run.
func (s *session) revertTimer() *trial.Timer {
	connect := func(ctx context.Context) (trial.Systemd, error) { return s.connect(ctx) }
	return &trial.Timer{Root: s.root, Live: s.live, Connect: connect}
}
