package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"natspread/internal/cmdline"
	"natspread/internal/namespace"
	"natspread/internal/paths"
	"natspread/restore"
	"natspread/units"
)

// uninstallVerb describes uninstall.
func (s *session) uninstallVerb() *cli.Command {
	return cmdline.Verb(&cli.Command{
		Name:  "uninstall",
		Usage: "stop and disable the unit and remove it",
		Description: "Config, generations and the program stay. From an image, which it knows as\n" +
			"install does, only files and links are taken away.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "offline", Usage: "the root is an image: also inside of it, in a chroot or a container"},
		},
	}, "natspread uninstall", readUninstall, s.uninstall)
}

// uninstallOptions are the flags of uninstall.
type uninstallOptions struct{ offline bool }

// readUninstall reads them.
func readUninstall(c *cli.Context) (uninstallOptions, error) {
	return uninstallOptions{offline: c.Bool("offline")}, nil
}

// uninstall uninstalls, live or from an image.
func (s *session) uninstall(ctx context.Context, o uninstallOptions) error {
	if s.image = o.offline; s.offline() {
		done, err := units.UninstallOffline(s.root)
		if err != nil {
			return s.stopHalfway(restore.Result{}, done, err)
		}
		return s.printInstalled(restore.Result{}, done)
	}
	if err := s.needKernel("uninstall"); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, systemdTimeout)
	defer cancel()
	running, err := s.connect(ctx)
	if err != nil {
		return nothingChanged(err)
	}
	defer running.Close()
	done, err := units.Uninstall(ctx, running, s.root)
	if err != nil {
		return s.stopHalfway(restore.Result{}, done, err)
	}
	// The unit's own stop did this, unless the unit was not there or not started.
	result, err := s.changingHost().Stop(ctx)
	if err != nil {
		return s.stopHalfway(result, done, fmt.Errorf("the unit is gone, but its rules are not: %w", err))
	}
	// Only now there is nothing to revert: a failure above leaves the timer running.
	if namespace.Network() != namespace.Another { // else it is that of another trial
		if err := running.CancelRevert(ctx); err != nil {
			result.Notes = append(result.Notes, err.Error()+"; it will find nothing to revert")
		}
	}
	if result.Changed {
		done = append(done, "took the rules out of the kernel")
	}
	done = append(done, fmt.Sprintf("left in place: /%s, /%s, the program", filepath.Dir(paths.Config), paths.State))
	return s.printInstalled(result, done)
}
