package main

import (
	"cmp"
	"context"

	"github.com/urfave/cli/v2"

	"natspread/internal/cmdline"
	"natspread/internal/report"
)

// statusVerb describes status.
func (s *session) statusVerb() *cli.Command {
	return cmdline.Verb(&cli.Command{
		Name:      "status",
		Usage:     "show services, shares, and whether the kernel is in sync",
		ArgsUsage: "[SERVICE]",
		Description: "Exits 0 when the kernel holds what it should and nothing keeps it from working,\n" +
			"1 when tables differ or something is broken, 3 when nothing of natspread is\n" +
			"loaded; with --watch by what it read last. Counts begin at the last load of a\n" +
			"service's chain; live is what is open now. Where services and backends are more\n" +
			"than 200 lines, it shows a summary and the services in trouble; with SERVICE it\n" +
			"shows that one alone.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "all", Usage: "show every service, listen address and finding, however many there are"},
			&cli.BoolFlag{Name: "watch", Usage: "show it every 2 seconds until interrupted; a line a service where there is no terminal"},
			&cli.StringFlag{Name: "prometheus", Usage: "write metrics for node_exporter's textfile collector into `FILE`, in one step, and print nothing; - prints them"},
		},
	}, "natspread status --watch\n  natspread status --prometheus /var/lib/prometheus/node-exporter/natspread.prom", readStatus, cmdline.Guarded(needRights, "status", s.status))
}

// statusOptions are the flags of status.
type statusOptions struct {
	watch      bool
	service    string // the one to show; "" for all
	all        bool   // show the whole of it
	prometheus string // path, or "-"
}

// readStatus reads them.
func readStatus(c *cli.Context) (statusOptions, error) {
	o := statusOptions{watch: c.Bool("watch"), all: c.Bool("all"), service: c.Args().First(), prometheus: c.String("prometheus")}
	return o, cmp.Or(
		cmdline.RefuseIf(o.prometheus != "" && (o.watch || c.Bool("json")), "--prometheus excludes --watch and --json: give one of them"),
		cmdline.RefuseIf(o.prometheus != "" && o.service != "", "--prometheus writes the metrics of all services: leave the service out"),
	)
}

// status shows the state and exits with its code.
func (s *session) status(ctx context.Context, o statusOptions) error {
	if o.watch {
		return s.watch(ctx, o)
	}
	status, err := s.collect(ctx, o)
	if err != nil {
		return err
	}
	switch {
	case o.prometheus == "-":
		err = s.Print(status.Metrics())
	case o.prometheus != "":
		err = report.WriteMetrics(o.prometheus, status.Metrics())
	default:
		err = s.Answer(status, status.Text(s.Screen(), o.all))
	}
	if err != nil {
		return err
	}
	return statusExit(status.State)
}

// collect reads the kernel and the disk, judges, and counts; for a scrape what is soon read.
func (s *session) collect(ctx context.Context, o statusOptions) (report.Status, error) {
	host := s.reportHost()
	host.Scrape, host.Service = o.prometheus != "", o.service
	read, err := host.Read(ctx)
	if err != nil {
		return report.Status{}, err
	}
	status := read.Printed(ctx)
	if o.service == "" {
		return status, nil
	}
	status, err = status.Only(o.service)
	return status, cmdline.Coded(exitUsage, err)
}

// statusExit maps a state to its exit code.
func statusExit(state report.State) error {
	switch state {
	case report.InSync:
		return nil
	case report.NotLoaded:
		return cmdline.ExitSilently(exitNotLoaded)
	}
	return cmdline.ExitSilently(exitFailed)
}
