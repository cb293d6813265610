package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"natspread/internal/namespace"
	"natspread/internal/paths"
	"natspread/restore"
	"natspread/units"
)

// unitTimeout bounds the start of the unit by a verb that has done its own work already.
const unitTimeout = 20 * time.Second

// startUnit starts the enabled unit where it is not active, so that systemctl tells the truth
// of the rules that are loaded, and can stop them. The unit restores, which takes the lock and
// finds all loaded: the caller holds none. A failure is a note of the result.
func (s *session) startUnit(ctx context.Context, result *restore.Result) {
	if s.root != "/" || namespace.Root() == namespace.Another || namespace.Network() == namespace.Another {
		return // the unit loads other generations, or loads them elsewhere
	}
	started, err := s.askStart(ctx)
	switch {
	case err != nil:
		result.Notes = append(result.Notes, fmt.Sprintf("%s could not be started: %v; fix: systemctl start natspread", paths.Unit, err))
	case started:
		s.printf("started %s", paths.Unit)
	}
}

// askStart asks systemd to start the enabled unit where it is not active; where no systemd
// runs there is none.
func (s *session) askStart(ctx context.Context) (started bool, err error) {
	ctx, done := context.WithTimeout(ctx, unitTimeout)
	defer done()
	running, err := s.connect(ctx)
	switch {
	case errors.Is(err, units.ErrNotRunning):
		return false, nil
	case err != nil:
		return false, err
	}
	defer running.Close()
	return running.StartEnabled(ctx)
}
