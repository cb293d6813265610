package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"natspread/internal/rules"
	"natspread/restore"
)

// statusVerb describes status.
func (s *session) statusVerb() *cli.Command {
	return verb(&cli.Command{
		Name:  "status",
		Usage: "show services, shares, and whether the kernel is in step",
		Description: "Exits 0 when the kernel holds what boot will load and forwards it, 1 when\n" +
			"something differs, 3 when nothing of natspread's is loaded; with --watch by what\n" +
			"it saw last. Counts begin at the last load of a service's chain; live is what is\n" +
			"open now.",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "watch", Usage: "show it every 2 seconds until interrupted; a line a service where there is no terminal"},
			&cli.StringFlag{Name: "prometheus", Usage: "write metrics for node_exporter's textfile collector into `FILE`, in one step, and print nothing; - prints them"},
		},
	}, "natspread status --watch\n  natspread status --prometheus /var/lib/prometheus/node-exporter/natspread.prom", s.status)
}

// statusResult is what status prints with --json.
type statusResult struct {
	State      restore.State   `json:"state"`             // in step, drift, not loaded
	Variant    rules.Variant   `json:"variant"`           // nft, legacy
	Current    int             `json:"current"`           // the generation that boot is to load; 0: none
	Generation int             `json:"generation"`        // the one that it will end up with; 0: none
	Pending    *pendingStatus  `json:"pending,omitempty"` // what apply --confirm loaded; absent when nothing waits
	Drifts     []string        `json:"drifts"`            // what is not as it should be
	Notes      []string        `json:"notes"`             // what is no drift, and yet good to know
	Services   []serviceStatus `json:"services"`          // of that generation, or of the one that waits to be confirmed

	talk []string // for people, beside the result: a line each
}

// pendingStatus is the generation that waits to be confirmed, in the output of status.
type pendingStatus struct {
	Generation int `json:"generation"`
	Seconds    int `json:"seconds"` // that are left; negative when it should be taken back already
}

// status shows the state and exits with its code.
func (s *session) status(ctx context.Context, o options) error {
	if err := needRights("status"); err != nil {
		return err
	}
	if o.watch {
		return s.watch(ctx, o)
	}
	result, err := s.survey(ctx, o)
	if err != nil {
		return err
	}
	switch {
	case o.prometheus == "-":
		err = s.print(metrics(result))
	case o.prometheus != "":
		err = writeMetrics(o.prometheus, result)
	case o.json:
		err = s.printJSON(result.filled())
	default:
		err = s.print(s.statusText(o, result))
	}
	if err != nil {
		return err
	}
	for _, line := range result.talk {
		s.tell(o, "%s", line)
	}
	return statusExit(result.State)
}

// survey looks at the kernel and the disk, and counts.
func (s *session) survey(ctx context.Context, o options) (statusResult, error) {
	found, err := s.host(o).Status(ctx)
	if err != nil {
		return statusResult{}, err
	}
	talk, err := s.addForwarding(o, &found)
	if err != nil {
		return statusResult{}, err
	}
	talk = append(talk, s.addDropped(ctx, o, &found)...)
	result := statusResult{
		talk:  talk,
		State: found.State, Variant: found.Variant, Current: found.Current,
		Generation: found.Good.Generation, Drifts: found.Drifts(),
	}
	for _, line := range found.Behind {
		result.Notes = append(result.Notes, line.Text)
	}
	result.Notes = append(result.Notes, found.Notes...)
	if found.Pending != nil {
		result.Pending = &pendingStatus{found.Pending.Generation, int(found.Pending.Left().Seconds())}
	}
	result.Services, err = services(found)
	if err != nil {
		result.Drifts = append(result.Drifts, err.Error())
	}
	if err := addLive(ctx, result.Services); err != nil {
		result.talk = append(result.talk, fmt.Sprintf("note: live connections are not counted: %v", err))
	}
	return result, nil
}

// filled returns the result with empty lists for absent ones, so that programs
// always find an array.
func (r statusResult) filled() statusResult {
	r.Drifts = append([]string{}, r.Drifts...)
	r.Notes = append([]string{}, r.Notes...)
	r.Services = append([]serviceStatus{}, r.Services...)
	return r
}

// statusExit maps a state to its exit code.
func statusExit(state restore.State) error {
	switch state {
	case restore.InStep:
		return nil
	case restore.NotLoaded:
		return exitSilently(exitNotLoaded)
	}
	return exitSilently(exitFailed)
}

// statusText returns the status for people.
func (s *session) statusText(o options, result statusResult) string {
	var text strings.Builder
	code := map[restore.State]string{restore.InStep: "32", restore.Drift: "33", restore.NotLoaded: "31"}[result.State]
	boot := "boot loads nothing"
	if result.Generation != 0 {
		boot = fmt.Sprintf("boot loads generation %d", result.Generation)
	}
	fmt.Fprintf(&text, "%s: %s, by the %s variant of iptables\n", s.paint(o, code, string(result.State)), boot, result.Variant)
	for _, drift := range result.Drifts {
		fmt.Fprintf(&text, "  %s\n", oneLine(drift))
	}
	for _, note := range result.Notes {
		fmt.Fprintf(&text, "  note: %s\n", oneLine(note))
	}
	for _, service := range result.Services {
		text.WriteString("\n" + service.text())
	}
	return text.String()
}
