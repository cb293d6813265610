package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"natspread/internal/paths"
	"natspread/units"
)

// uninstallVerb describes uninstall.
func (s *session) uninstallVerb() *cli.Command {
	return verb(&cli.Command{
		Name:  "uninstall",
		Usage: "the way back: stop, disable, unit away",
		Description: "Config, generations and the program stay. With a --root other than / only files\n" +
			"and links below DIR are taken away.",
	}, "natspread uninstall", s.uninstall)
}

// uninstall uninstalls, live or from an image.
func (s *session) uninstall(ctx context.Context, o options) error {
	if o.offline() {
		done, err := units.UninstallOffline(o.root)
		if err != nil {
			s.tellDone(o, done)
			return err
		}
		return s.printInstalled(o, 0, done)
	}
	if err := needRights("uninstall"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, systemdTimeout)
	defer cancel()
	running, err := s.connect(ctx)
	if err != nil {
		return nothingChanged(err)
	}
	defer running.Close()
	done, err := units.Uninstall(ctx, running, o.root)
	if err != nil {
		s.tellDone(o, done)
		return err
	}
	// The unit's own stop did this, unless the unit was not there or not started.
	result, err := s.host(o).Stop(ctx)
	if err != nil {
		s.tellDone(o, done)
		return fmt.Errorf("the unit is gone, but its rules are not: %w", err)
	}
	// Only now there is nothing to take back: whatever failed above left it armed.
	if err := running.DisarmUndo(ctx); err != nil {
		done = append(done, err.Error()+"; it will find nothing to take back")
	}
	if result.Changed {
		done = append(done, "took the rules out of the kernel")
	}
	done = append(done, fmt.Sprintf("left in place: /%s, /%s, the program", filepath.Dir(paths.Config), paths.State))
	return s.printInstalled(o, 0, done)
}
