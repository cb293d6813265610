package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"natspread/internal/change"
	"natspread/internal/cmdline"
	"natspread/internal/config"
	"natspread/internal/install"
	"natspread/internal/namespace"
	"natspread/internal/report"
	"natspread/internal/rules"
	"natspread/restore"
	"natspread/units"
)

// systemdTimeout bounds an install or uninstall that waits for the live systemd:
// longer than a unit may take to start, so that systemd's verdict comes first.
const systemdTimeout = 4 * time.Minute

// systemd is the running systemd.
type systemd interface {
	units.Manager
	ScheduleRevert(context.Context, units.Revert) error
	CancelRevert(context.Context) error
	StartEnabled(context.Context) (started bool, err error)
	State(ctx context.Context, unit string) (string, error)
	Runs(ctx context.Context, unit string) (bool, error)
	Close()
}

// connectSystemd reaches the running systemd.
func connectSystemd(ctx context.Context) (systemd, error) {
	reached, err := units.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return reached, nil
}

// installVerb describes install.
func (s *session) installVerb() *cli.Command {
	return cmdline.Verb(&cli.Command{
		Name:  "install",
		Usage: "apply, and have it restored at every boot",
		Description: "Applies the config, copies a program that no package owns to /usr/local/sbin,\n" +
			"writes the unit, enables and starts it. With a --root other than /, with\n" +
			"--offline, and in a chroot where no systemd runs, it works on an image: rules,\n" +
			"config, program, unit and its enablement become files; no kernel and no systemd\n" +
			"is asked, and the rules are proven when the image boots. Where the config has\n" +
			"health checks, the unit that runs them is enabled and started, too.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "offline", Usage: "the root is an image: also inside of it, in a chroot or a container"},
			&cli.StringFlag{Name: "program", Usage: "for an image: copy `FILE` into it, a natspread that is built for its machine"},
			&cli.BoolFlag{Name: "volatile", Usage: "for an image whose /var begins empty at each boot: keep the generation below /usr"},
			&cli.StringFlag{Name: "prometheus", Usage: "have metrics written into `FILE`: by health --prometheus, or by a timer where nothing is checked"},
		},
	}, "natspread install\n  natspread --root ./image install --config ./natspread.toml", readInstall, s.install)
}

// installOptions are the flags of install.
type installOptions struct {
	prometheus        string // path; "" without
	program           string // path; "" for the one that runs
	offline, volatile bool
}

// readInstall reads them.
func readInstall(c *cli.Context) (installOptions, error) {
	o := installOptions{
		prometheus: c.String("prometheus"), program: c.String("program"),
		offline: c.Bool("offline"), volatile: c.Bool("volatile"),
	}
	if err := units.CheckMetricsFile(o.prometheus); o.prometheus != "" && err != nil {
		return installOptions{}, cmdline.UsageErrorf("--prometheus: %v", err)
	}
	return o, nil
}

// installResult is what install and uninstall print with --json.
type installResult struct {
	Changed    bool     `json:"changed"`              // whether a file, a link, the kernel or what is enabled was changed
	Generation int      `json:"generation,omitempty"` // install only: the one that boot loads
	Done       []string `json:"done"`                 // a sentence each, in order
	Notes      []string `json:"notes,omitempty"`      // what the administrator should know, a sentence each
}

// refuseEarly refuses a config before systemd is reached for it, which may take a while. What comes
// by standard input can be read only once, later.
func (s *session) refuseEarly(ctx context.Context) error {
	if s.config == "-" {
		return nil
	}
	plan, err := s.load()
	if err != nil {
		return err
	}
	return s.refuseLogin(ctx, plan.Config)
}

// refuseLogin refuses a config that takes the port of the ssh connection that install was
// started by: apply asks about that.
func (s *session) refuseLogin(ctx context.Context, cfg config.Config) error {
	taken, err := s.takesLogin(ctx, false, cfg)
	if err != nil || taken == "" {
		return err
	}
	return fmt.Errorf("%s: apply first, which asks, or natspread apply --confirm 60s; then install; nothing was changed", taken)
}

// install installs, live or into an image.
func (s *session) install(ctx context.Context, o installOptions) error {
	switch s.image = o.offline; {
	case s.offline():
		return s.installOffline(ctx, o)
	case o.program != "" || o.volatile:
		return cmdline.UsageErrorf("--program and --volatile are for images: give --offline or --root DIR, too")
	}
	if err := s.needKernel("install"); err != nil {
		return err
	}
	if err := s.refuseEarly(ctx); err != nil {
		return err
	}
	connecting, cancel := context.WithTimeout(ctx, systemdTimeout)
	defer cancel()
	running, err := s.connect(connecting) // which may take a while, so before the lock
	if err != nil {
		return nothingChanged(err)
	}
	defer running.Close()
	plan, unlock, err := s.loadLocked(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if err := s.refuseLogin(ctx, plan.Config); err != nil {
		return err
	}
	ahead := s.reportHost().Ahead(plan.Config)
	s.Doing("proving and loading %s", plan.Summary())
	result, err := change.Apply(ctx, s.changingHost(), plan.Request("install"))
	if err != nil {
		return err
	}
	s.noteRemaining(ctx, plan.Config, plan.Tables, &result)
	unlock() // what follows may take minutes
	s.printApplied(plan, ahead, result)
	result.Notes = slices.DeleteFunc(result.Notes, func(note string) bool { return slices.Contains(result.Opened, note) }) // noteRouter says it
	done, err := s.installUnits(connecting, running, o, plan)
	if err != nil {
		return s.stopHalfway(result, done, err)
	}
	if namespace.Network() == namespace.Another {
		result.Notes = append(result.Notes, "the rules are loaded in this network namespace; at boot the unit loads them in that of PID 1")
	}
	s.noteRouter(ctx, plan.Tables, &result)
	result.Notes = append(result.Notes, s.reportHost().OldRulesNotes(plan.Config)...)
	return s.printInstalled(result, done)
}

// installUnits puts program, config and units in place once the rules are, and starts the units.
// What was done is returned beside an error, too.
func (s *session) installUnits(ctx context.Context, running systemd, o installOptions, plan change.Plan) (done []string, err error) {
	program := ""
	copied, err := install.Running(ctx, s.root, s.runner)
	if err == nil {
		program, done, err = install.Live(ctx, running, s.root, copied, plan.Files)
	}
	if err != nil {
		return done, fmt.Errorf("the rules are applied, but not restored at boot: %w", err)
	}
	more, err := install.Watch(ctx, running, s.root, program, checked(plan.Config), o.prometheus)
	if err != nil {
		err = fmt.Errorf("the rules are applied, and restored at boot, but %w", err)
	}
	return append(done, more...), err
}

// printInstalled says what was done, and the notes of a result.
func (s *session) printInstalled(result restore.Result, done []string) error {
	s.PrintLines(done)
	s.printNotes(result)
	result.Changed = result.Changed || units.Changed(done)
	return unprinted(result, s.Answer(installResult{
		Changed: result.Changed, Generation: result.Generation, Done: append([]string{}, done...), Notes: result.Notes,
	}, ""))
}

// noteRouter adds to the notes of an install who is let through the host. What cannot be
// read makes no install fail that is complete.
func (s *session) noteRouter(ctx context.Context, tables rules.Tables, result *restore.Result) {
	found, err := s.reportHost().Router(ctx, tables, s.offline())
	if err != nil {
		result.Notes = append(result.Notes, fmt.Sprintf("%v: see natspread(8), FORWARDING", err))
	}
	result.Notes = append(result.Notes, report.NotesOf(found)...)
}
