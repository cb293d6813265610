package main

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/urfave/cli/v2"

	"natspread/internal/cmdline"
	"natspread/internal/report"
	"natspread/internal/watcher"
)

// healthVerb describes health.
func (s *session) healthVerb() *cli.Command {
	return cmdline.Verb(&cli.Command{
		Name:  "health",
		Usage: "check the backends, and take those that are down out",
		Description: "Runs until it is told to end: natspread-health.service does that. It checks what\n" +
			"the loaded generation's config asks for, and follows what others load. Whatever\n" +
			"becomes of it, the rules stay, and are right for what was last known.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "once", Usage: "check every backend once, print a table and change nothing; exits 1 where one is not well"},
			&cli.StringFlag{Name: "prometheus", Usage: "write metrics for node_exporter's textfile collector into `FILE`, every 15 seconds and at each change"},
		},
	}, "natspread health --once", readHealth, cmdline.Guarded(s.needKernel, "health", s.health))
}

// healthOptions are the flags of health.
type healthOptions struct {
	once       bool
	prometheus string // path; "" for none
}

// readHealth reads them.
func readHealth(c *cli.Context) (healthOptions, error) {
	o := healthOptions{once: c.Bool("once"), prometheus: c.String("prometheus")}
	info, err := os.Lstat(o.prometheus)
	return o, cmp.Or(
		cmdline.RefuseIf(o.once && o.prometheus != "", "--prometheus excludes --once: natspread status --prometheus writes metrics once"),
		cmdline.RefuseIf(o.prometheus != "" && (!filepath.IsAbs(o.prometheus) || filepath.Ext(o.prometheus) != ".prom"), "--prometheus: FILE begins with / and ends in .prom, or node_exporter does not read it"),
		cmdline.RefuseIf(err == nil && !info.Mode().IsRegular(), "--prometheus: what is there is no regular file: name another"),
	)
}

// healthMemory is the soft limit of the watcher's memory. Near it garbage is collected more often;
// without it the memory of 30,000 backends doubles between two collections.
const healthMemory = 160 << 20

// health checks the backends until it is told to end, or once.
func (s *session) health(ctx context.Context, o healthOptions) error {
	least := watcher.Info
	if s.Quiet {
		least = watcher.Error
	}
	host := s.host()
	seams, past, err := watcher.On(ctx, host, watcher.Print(s.Err, s.inJournal(), least))
	if err != nil {
		return err
	}
	if o.once {
		return s.healthOnce(ctx, seams)
	}
	s.Line = nil // it stays, and says itself what it does
	unlock, err := host.LockWatcher()
	if err != nil {
		return err
	}
	defer unlock()
	debug.SetMemoryLimit(healthMemory)
	if o.prometheus != "" {
		seams.Metrics = func(ctx context.Context, alive bool) error {
			text, err := s.reportHost().Metrics(ctx, alive)
			if err != nil {
				return err
			}
			return report.WriteMetrics(o.prometheus, text)
		}
	}
	return watcher.Run(ctx, seams, past)
}

// healthOnce checks every backend once, and says what came of it.
func (s *session) healthOnce(ctx context.Context, seams watcher.Seams) error {
	found, err := watcher.Once(ctx, seams)
	if err != nil {
		return err
	}
	if said := found.Unchecked(); said != "" {
		s.Printf("%s", said)
	}
	if err := s.Answer(found, found.Text(s.Screen())); err != nil || !found.Bad() {
		return err
	}
	return cmdline.ExitSilently(exitFailed)
}
