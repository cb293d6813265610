package main

import (
	"context"
	"fmt"

	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/render"
	"natspread/restore"
	"natspread/restore/generation"
)

// checked is a config that was read and found good, and what it leads to.
type checked struct {
	name   string // where it was read
	text   []byte
	config config.Config
	tables rules.Tables
}

// load reads and checks the config and plans its tables.
func (s *session) load(o options) (checked, error) {
	text, err := config.Read(o.config, s.in)
	if err != nil {
		return checked{}, coded(exitConfig, err)
	}
	name := o.config
	if name == "-" {
		name = "stdin"
	}
	return check(name, text)
}

// loadLocked is load for who makes the config true, and takes the lock of those who edit
// it and apply it before: one that was read earlier would take back what they do. Nobody
// edits standard input, and it may take its time to come, so that is read first.
func (s *session) loadLocked(ctx context.Context, o options) (c checked, unlock func(), err error) {
	if o.config == "-" {
		if c, err = s.load(o); err != nil {
			return checked{}, nil, err
		}
	}
	if unlock, err = s.host(o).LockEdit(ctx); err != nil {
		return checked{}, nil, nothingChanged(err)
	}
	if o.config != "-" {
		if c, err = s.load(o); err != nil {
			unlock()
			return checked{}, nil, err
		}
	}
	return c, unlock, nil
}

// check checks the text of a config and plans its tables.
func check(name string, text []byte) (checked, error) {
	cfg, err := config.Parse(name, text)
	if err != nil {
		return checked{}, coded(exitConfig, err)
	}
	return checked{name: name, text: text, config: cfg, tables: tablesOf(cfg)}, nil
}

// tablesOf hands a plan over to the boot path, which knows nothing of plans.
func tablesOf(cfg config.Config) rules.Tables {
	return render.New(cfg)
}

// summary counts what is in the config: 2 services, 5 backends.
func (c checked) summary() string {
	return plural(len(c.config.Services), "service") + ", " + plural(countBackends(c.config), "backend")
}

// countBackends counts the backends of all services of a config.
func countBackends(cfg config.Config) int {
	n := 0
	for _, service := range cfg.Services {
		n += len(service.Backends)
	}
	return n
}

// store returns the generations of the machine that a run works on.
func (o options) store() generation.Store { return generation.Store{Root: o.root} }

// host returns the machine that a run works on.
func (s *session) host(o options) restore.Host {
	return restore.Host{Root: o.root, Run: s.traced(o), Variant: o.variant, Version: version(), Pools: readPools}
}

// hostFor returns the same for a run that has a checked config.
func (s *session) hostFor(o options, c checked) restore.Host {
	host := s.host(o)
	host.Pools = c.pools
	return host
}

// nothingChanged adds to an error what it left behind.
func nothingChanged(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w; nothing was changed", err)
}
