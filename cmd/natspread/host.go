package main

import (
	"context"
	"fmt"
	"io/fs"
	"time"

	"natspread/internal/change"
	"natspread/internal/config"
	"natspread/internal/configfiles"
	"natspread/internal/report"
	"natspread/restore"
	"natspread/restore/generation"
)

// store returns the generations of the machine that a run works on.
func (s *session) store() generation.Store { return s.host().Store() }

// host returns the machine that a run works on.
func (s *session) host() restore.Host {
	return restore.Host{Root: s.root, Run: s.traced(), Locks: s.locks, Variant: s.variant, Version: version()}
}

// changingHost returns the same for a verb that replaces rules: it knows what generations
// of natspread 0.1 balance, which do not say so themselves. When the verb is done, old
// generations are removed.
func (s *session) changingHost() restore.Host {
	s.changes = true
	host := s.host()
	host.Services = change.KnownServices(s.store())
	return host
}

// prune removes old generations after a verb that may have made one, when it has given back all
// locks and has said what it did.
func (s *session) prune(ctx context.Context) {
	if !s.changes {
		return
	}
	s.Doing("removing old generations")
	if err := s.store().Prune(ctx); err != nil {
		s.Printf("%v", err)
	}
}

// reportHost returns the machine to read a report of.
func (s *session) reportHost() report.Host {
	s.Doing("reading what this host holds")
	host := report.New(s.host())
	host.Config = s.readConfig
	host.ByHand = !s.ownsUnits()
	if !s.offline() { // the units of another root are not the running systemd's
		host.Systemd = s.unitState
	}
	return host
}

// readConfig reads the files of the config again, to compare them. Standard input, which is
// read once, is no file.
func (s *session) readConfig() (configfiles.Set, error) {
	if s.config == "-" {
		return nil, fs.ErrNotExist
	}
	return change.Read(s.config, nil)
}

// takesLogin says that a config takes the port of the ssh connection over which natspread was
// started; "" where it does not, or where yes says that it may.
func (s *session) takesLogin(ctx context.Context, yes bool, cfg config.Config) (taken string, err error) {
	if !yes {
		taken, err = s.reportHost().TakesLogin(ctx, cfg)
	}
	return taken, nothingChanged(err)
}

// stateTimeout bounds how long a report waits for systemd, which answers at once.
const stateTimeout = 2 * time.Second

// unitState asks the running systemd for the state of a unit.
func (s *session) unitState(ctx context.Context, unit string) (string, error) {
	return askSystemd(ctx, s, stateTimeout, func(ctx context.Context, running systemd) (string, error) { return running.State(ctx, unit) })
}

// load reads and checks the config and plans its tables.
func (s *session) load() (change.Plan, error) {
	s.Doing("reading %s", s.config)
	return change.Load(s.config, s.In)
}

// loadLocked is load for a verb that applies the config, and takes the lock of those who
// edit it and apply it before: one that was read earlier would revert what they do. Nobody
// edits standard input, and it may take its time to come, so that is read first.
func (s *session) loadLocked(ctx context.Context) (plan change.Plan, unlock func(), err error) {
	if s.config == "-" {
		if plan, err = s.load(); err != nil {
			return change.Plan{}, nil, err
		}
	}
	if unlock, err = s.host().LockEdit(ctx); err != nil {
		return change.Plan{}, nil, nothingChanged(err)
	}
	if s.config != "-" {
		if plan, err = s.load(); err != nil {
			unlock()
			return change.Plan{}, nil, err
		}
	}
	return plan, unlock, nil
}

// nothingChanged adds to an error what it left behind.
func nothingChanged(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w; nothing was changed", err)
}
