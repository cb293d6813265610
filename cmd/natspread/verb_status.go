package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"natspread/restore"
)

// statusVerb describes status.
func (s *session) statusVerb() *cli.Command {
	return verb(&cli.Command{
		Name:  "status",
		Usage: "show services, shares, and whether the kernel is in step",
		Description: "Exits 0 when the kernel holds what boot will load and forwards it, 1 when\n" +
			"something differs, 3 when nothing of natspread's is loaded. Counts begin at the\n" +
			"last load of a service's chain; live is what is open now.",
	}, "natspread status --json", s.status)
}

// statusResult is what status prints with --json.
type statusResult struct {
	State      restore.State   `json:"state"`             // in step, drift, not loaded
	Variant    restore.Variant `json:"variant"`           // nft, legacy
	Current    int             `json:"current"`           // the generation that boot is to load; 0: none
	Generation int             `json:"generation"`        // the one that it will end up with; 0: none
	Pending    *pendingStatus  `json:"pending,omitempty"` // what apply --confirm loaded; absent when nothing waits
	Drifts     []string        `json:"drifts"`            // what is not as it should be
	Services   []serviceStatus `json:"services"`          // of that generation, or of the one that waits to be confirmed
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
	found, err := s.host(o).Status(ctx)
	if err != nil {
		return err
	}
	if err := s.addForwarding(o, &found); err != nil {
		return err
	}
	s.tellDropped(ctx, o, found)
	result := statusResult{
		State: found.State, Variant: found.Variant, Current: found.Current,
		Generation: found.Good.Generation, Drifts: found.Drifts,
	}
	if found.Pending != nil {
		result.Pending = &pendingStatus{found.Pending.Generation, int(found.Pending.Left().Seconds())}
	}
	result.Services, err = services(found)
	if err != nil {
		result.Drifts = append(result.Drifts, err.Error())
	}
	if err := addLive(ctx, result.Services); err != nil {
		s.tell(o, "note: live connections are not counted: %v", err)
	}
	if o.json {
		err = s.printJSON(result.filled())
	} else {
		err = s.print(s.statusText(o, result))
	}
	if err != nil {
		return err
	}
	return statusExit(result.State)
}

// filled returns the result with empty lists for absent ones, so that programs
// always find an array.
func (r statusResult) filled() statusResult {
	r.Drifts = append([]string{}, r.Drifts...)
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
		fmt.Fprintf(&text, "  %s\n", drift)
	}
	for _, service := range result.Services {
		text.WriteString("\n" + service.text())
	}
	return text.String()
}
