package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/urfave/cli/v2"

	"natspread/restore"
	"natspread/units"
)

// systemdTimeout bounds what is asked of the live systemd.
const systemdTimeout = 60 * time.Second

// installVerb describes install.
func (s *session) installVerb() *cli.Command {
	return verb(&cli.Command{
		Name:  "install",
		Usage: "apply, and have it restored at every boot: check, apply, unit, enable",
		Description: "A program that no package owns is copied to /usr/local/sbin first. With a --root\n" +
			"other than / it works on an image: rules, config, program, unit and its enablement\n" +
			"become files below DIR; no kernel and no systemd is asked, and the rules are proven\n" +
			"when the image boots.",
	}, "natspread install\n  natspread --root ./image install --config ./natspread.toml", s.install)
}

// installResult is what install and uninstall print with --json.
type installResult struct {
	Generation int      `json:"generation,omitempty"`
	Done       []string `json:"done"`
}

// install installs, live or into an image.
func (s *session) install(ctx context.Context, o options) error {
	if o.offline() {
		return s.installOffline(ctx, o)
	}
	if err := needRights("install"); err != nil {
		return err
	}
	c, err := s.load(o)
	if err != nil {
		return err
	}
	connecting, cancel := context.WithTimeout(ctx, systemdTimeout)
	defer cancel()
	systemd, err := units.Connect(connecting)
	if err != nil {
		return nothingChanged(err)
	}
	defer systemd.Close()
	result, err := s.host(o).Apply(ctx, c.request("install", false))
	if err != nil {
		return err
	}
	if err := s.applied(o.withoutJSON(), c, result); err != nil {
		return err
	}
	return s.installUnit(connecting, o, c, systemd, result.Generation)
}

// installUnit puts program and unit in place once the rules are.
func (s *session) installUnit(ctx context.Context, o options, c checked, systemd units.Manager, generation int) error {
	program, done, err := s.installProgram(ctx, o)
	if err != nil {
		return applied(err)
	}
	kept, err := keepConfig(o, c)
	if err != nil {
		return applied(err)
	}
	changed, err := units.Install(ctx, systemd, o.root, program)
	if err != nil {
		return applied(err)
	}
	return s.printInstalled(o, generation, append(append(done, kept...), changed...))
}

// applied adds to an error of install that the rules are in place already.
func applied(err error) error {
	return fmt.Errorf("the rules are applied, but not yet restored at boot: %w", err)
}

// installOffline installs into an image.
func (s *session) installOffline(ctx context.Context, o options) error {
	c, err := s.load(o)
	if err != nil {
		return err
	}
	variant := o.variant
	if variant == restore.Auto {
		variant = restore.ImageVariant(o.root)
	}
	generation, err := s.host(o).WriteOffline(c.request("install", false), variant)
	if err != nil {
		return err
	}
	done := []string{fmt.Sprintf("wrote generation %d for the %s variant of iptables, to be proven at boot", generation, variant)}
	program, copied, err := s.installProgram(ctx, o)
	if err != nil {
		return err
	}
	kept, err := keepConfig(o, c)
	if err != nil {
		return err
	}
	changed, err := units.InstallOffline(o.root, program)
	if err != nil {
		return err
	}
	done = append(append(append(done, copied...), kept...), changed...)
	return s.printInstalled(o, generation, done)
}

// installProgram returns the path that the unit is to run, after copying the
// running program there when no package owns it.
func (s *session) installProgram(ctx context.Context, o options) (path string, done []string, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", nil, fmt.Errorf("cannot find the running program: %w", err)
	}
	if self, err = filepath.EvalSymlinks(self); err != nil {
		return "", nil, fmt.Errorf("cannot find the running program: %w", err)
	}
	if !o.offline() && units.Owned(ctx, units.Runner(s.run), self) {
		return self, nil, nil
	}
	path, err = units.InstallProgram(o.root, self)
	if err != nil {
		return "", nil, err
	}
	return path, []string{"program " + filepath.Join(o.root, path)}, nil
}

// keepConfig puts the config that was installed where the next apply looks for it,
// unless there is one already.
func keepConfig(o options, c checked) (done []string, err error) {
	path := filepath.Join(o.root, configPath)
	if _, err := os.Lstat(path); err == nil {
		return nil, nil
	}
	if err := writeNew(path, c.text); err != nil {
		return nil, err
	}
	return []string{"config " + path}, nil
}

// printInstalled says what was done.
func (s *session) printInstalled(o options, generation int, done []string) error {
	for _, line := range done {
		s.tell(o, "%s", line)
	}
	if o.json {
		return s.printJSON(installResult{Generation: generation, Done: done})
	}
	return nil
}

// withoutJSON returns the options for a step that is not the whole verb.
func (o options) withoutJSON() options {
	o.json = false
	return o
}
