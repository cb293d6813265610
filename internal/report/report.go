// Package report is what people and programs read of a host: one value, read and judged
// once, from which status, diff, doctor, the notes of apply, JSON and Prometheus speak. So
// none of them says "good" where another would not.
package report

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"natspread/internal/config"
	"natspread/internal/doctor"
	"natspread/internal/rules"
	"natspread/restore"
	"natspread/restore/generation"
	"natspread/restore/iptables"
)

// State is how the kernel stands to what is wanted of it.
type State string

// The states.
const (
	InSync    State = "in_sync"    // the kernel holds what is wanted, and nothing that was found keeps it from working
	Drift     State = "drift"      // the kernel's tables differ from what is wanted
	Impaired  State = "impaired"   // the tables are right, but something else is broken, or will be at boot
	NotLoaded State = "not_loaded" // no packet meets rules of natspread's
)

// Words returns the state for people: "in sync".
func (s State) Words() string { return strings.ReplaceAll(string(s), "_", " ") }

// Host is where a report is read.
type Host struct {
	Restore restore.Host
	Doctor  doctor.Host
}

// New returns the host that restore works on. The switches and sockets are the kernel's and
// not on disk, so they are the same below every root.
func New(host restore.Host) Host {
	return Host{Restore: host, Doctor: doctor.Host{Root: host.Root, Sysctls: "/proc/sys", Proc: "/proc"}}
}

// Report is a host as it was read, judged.
type Report struct {
	State    State
	Status   restore.Status
	Findings []doctor.Finding // the worst first
	Notes    []string         // what is good to know, a line each

	config    config.Config // of the wanted generation
	configBad error         // why that one does not parse
}

// Read reads a host and judges it. It changes nothing.
func (h Host) Read(ctx context.Context) (Report, error) {
	status, err := h.Restore.Status(ctx)
	if err != nil {
		return Report{}, err
	}
	report := Report{Status: status, Notes: status.Notes}
	if wanted := status.Wanted.Generation; wanted.Number != 0 {
		report.config, report.configBad = ConfigOf(wanted)
	}
	report.Findings = append(tableFindings(status), generationFindings(status.Wanted)...)
	if status.Loaded {
		left, err := h.Remaining(ctx, report.config, Families(status.Wanted.Generation.Tables))
		if err != nil {
			return Report{}, err
		}
		report.Findings = append(report.Findings, left...)
	}
	if report.configBad != nil {
		report.Findings = append(report.Findings, doctor.Finding{
			Severity: doctor.Risk, What: fmt.Sprintf("cannot name the services: %v", report.configBad),
		})
	}
	if pending := status.Wanted.Pending; pending != nil && pending.Left() > 0 {
		report.Notes = append(report.Notes, pending.String())
	}
	doctor.Sort(report.Findings)
	report.State = stateOf(status, report.Findings)
	return report, nil
}

// Remaining returns what keeps the connections of services from passing, although the rules
// of these families are right: what a load cannot fix.
func (h Host) Remaining(ctx context.Context, cfg config.Config, families []rules.Family) ([]doctor.Finding, error) {
	found, err := h.Doctor.Forwarding(cfg.Services, families...)
	if err != nil {
		return nil, err
	}
	kernel, err := h.Restore.Kernel(ctx)
	if err != nil {
		return nil, err
	}
	filters, unread := iptables.Filters(ctx, h.Restore.Run)
	return append(found, h.Doctor.Dropped(doctor.Balancer{
		Services: cfg.Services, Variant: kernel.Variant, Rulesets: filters, Unread: unread,
	})...), nil
}

// Families returns the families that tables have rules for.
func Families(tables rules.Tables) []rules.Family {
	return slices.DeleteFunc(rules.Families(), func(family rules.Family) bool { return tables.Of(family).Empty() })
}

// stateOf sums up: nothing of ours in the kernel is not loaded, whatever else is.
func stateOf(status restore.Status, findings []doctor.Finding) State {
	switch {
	case !status.Loaded:
		return NotLoaded
	case len(status.Rules)+len(status.OtherVariant)+len(status.JumpsNotFirst) > 0:
		return Drift
	case len(Broken(findings)) > 0:
		return Impaired
	}
	return InSync
}

// Broken returns those findings by which a verb ends with 1: not the risks.
func Broken(findings []doctor.Finding) []doctor.Finding {
	var broken []doctor.Finding
	for _, finding := range findings {
		if finding.Severity != doctor.Risk {
			broken = append(broken, finding)
		}
	}
	return broken
}

// tableFindings says how the kernel's tables differ from what is wanted.
func tableFindings(status restore.Status) []doctor.Finding {
	wanted := status.Wanted.Generation.Number
	if !status.Loaded && wanted != 0 {
		return []doctor.Finding{{
			Severity: doctor.Broken, Fix: fixRestore,
			What: fmt.Sprintf("generation %d is not loaded: no built-in chain leads to a chain of natspread, so nothing is balanced", wanted),
		}}
	}
	var found []doctor.Finding
	add := func(lines []restore.Line, fix string) {
		for _, line := range lines {
			found = append(found, doctor.Finding{Severity: doctor.Broken, What: line.Text, Fix: fix})
		}
	}
	fix := fixRestore
	if wanted == 0 {
		fix = "natspread stop"
	}
	add(status.Rules, fix)
	add(status.JumpsNotFirst, fix)
	add(status.OtherVariant, fixApply)
	return found
}

// The lines that load what is wanted: restore what was applied, apply the config.
const (
	fixRestore = "natspread restore"
	fixApply   = "natspread apply"
)

// generationFindings says what is wrong with what boot loads, and with a pending generation.
func generationFindings(wanted generation.Wanted) []doctor.Finding {
	var found []doctor.Finding
	switch {
	case errors.Is(wanted.Fallback, generation.ErrNone) && wanted.Pending == nil:
		found = append(found, doctor.Finding{Severity: doctor.Risk, Fix: fixApply, What: "nothing was applied yet, so nothing is balanced, and boot loads nothing"})
	case errors.Is(wanted.Fallback, generation.ErrNone):
	case wanted.Fallback != nil && wanted.Boot.Number == 0:
		found = append(found, doctor.Finding{Severity: doctor.AtBoot, Fix: fixApply, What: wanted.Fallback.Error()})
	case wanted.Fallback != nil:
		found = append(found, doctor.Finding{
			Severity: doctor.AtBoot, Fix: fixApply,
			What: fmt.Sprintf("%v; boot will fall back to generation %d", wanted.Fallback, wanted.Boot.Number),
		})
	}
	switch pending := wanted.Pending; {
	case wanted.Unknown != nil:
		found = append(found, doctor.Finding{Severity: doctor.Broken, Fix: fixRestore, What: fmt.Sprintf("apply, confirm and rollback refuse: %v", wanted.Unknown)})
	case pending != nil && pending.Left() <= 0:
		found = append(found, doctor.Finding{
			Severity: doctor.Broken, Fix: "natspread rollback",
			What: fmt.Sprintf("generation %d is still loaded: it was not confirmed in time, and nothing reverted it", pending.Number),
		})
	}
	return found
}

// ConfigOf returns a generation's own config. One of another version need not parse; its
// rules are as good as ever.
func ConfigOf(g generation.Generation) (config.Config, error) {
	return config.Parse(fmt.Sprintf("generation %d's config", g.Number), g.Config)
}
