package report

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"natspread/internal/doctor"
	"natspread/internal/doctor/finding"
	"natspread/restore"
	"natspread/restore/generation"
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

// The lines that fix what was found: load what was applied, apply the config, end the trial
// of a pending generation, keep it, take out what nobody wants.
const (
	fixRestore  = "natspread restore"
	fixRollback = "natspread rollback"
	fixConfirm  = "natspread confirm"
	fixStop     = "natspread stop"

	// Where a switch is off that a trial found on, the revert leaves it, as somebody else has
	// changed it since.
	fixRollbackLoad = fixRollback + " && " + fixRestore
)

// judge sums up what was read of a host: its state, and what keeps it from working, the
// worst first. refused is which files of a current generation that is not good others than
// root may change, left is what a load does not change. What is wrong with the generations
// comes before what is wrong with the tables, as apply may refuse until that is fixed.
func judge(status restore.Status, refused, left []doctor.Finding) (State, []doctor.Finding) {
	found := slices.Concat(bootFindings(status, refused), pendingFindings(status.Wanted), tableFindings(status))
	for _, finding := range left {
		if finding.Fix == doctor.FixApply && status.Wanted.Pending != nil { // which refuses while one waits
			finding.Fix = fixRollback
			if status.Wanted.Boot.Number != 0 {
				finding.Fix = fixRollbackLoad
			}
		}
		found = append(found, finding)
	}
	finding.Sort(found)
	return stateOf(status, found), found
}

// stateOf sums findings up: nothing of ours in the kernel is not loaded, whatever else is.
func stateOf(status restore.Status, findings []doctor.Finding) State {
	switch {
	case !status.Loaded:
		return NotLoaded
	case len(drift(status))+len(status.OtherVariant) > 0:
		return Drift
	case len(Broken(findings)) > 0:
		return Impaired
	}
	return InSync
}

// Broken returns those findings by which a verb ends with 1: not the risks.
func Broken(findings []doctor.Finding) []doctor.Finding {
	return slices.DeleteFunc(slices.Clone(findings), func(f doctor.Finding) bool { return f.Severity == doctor.Risk })
}

// risks returns the others.
func risks(findings []doctor.Finding) []doctor.Finding {
	return slices.DeleteFunc(slices.Clone(findings), func(f doctor.Finding) bool { return f.Severity != doctor.Risk })
}

// damaged tells whether the current generation, or the link to it, is not good.
func damaged(wanted generation.Wanted) bool {
	return wanted.Fallback != nil && !errors.Is(wanted.Fallback, generation.ErrNone)
}

// known tells whether what the kernel is to hold could be read. If not, its tables cannot
// be compared with anything, and are most likely right.
func known(wanted generation.Wanted) bool {
	if wanted.Pending != nil {
		return wanted.Generation.Number == wanted.Pending.Number
	}
	return wanted.Boot.Number != 0 || !damaged(wanted)
}

// notApplied begins what is said of a host that has no generation.
const notApplied = "nothing was applied yet"

// bootFindings says what is wrong with what boot loads. A pending generation is the current
// one as soon as it is confirmed, and apply refuses until then.
func bootFindings(status restore.Status, refused []doctor.Finding) []doctor.Finding {
	wanted, fix := status.Wanted, doctor.FixApply
	if wanted.Pending != nil {
		fix = fixConfirm
	}
	switch boot := wanted.Boot; {
	case damaged(wanted) && len(Broken(refused)) > 0:
		return refused
	case damaged(wanted) && boot.Number == 0:
		return []doctor.Finding{{Severity: doctor.AtBoot, Fix: fix, What: wanted.Fallback.Error()}}
	case damaged(wanted):
		return []doctor.Finding{{
			Severity: doctor.AtBoot, Fix: fix,
			What: fmt.Sprintf("%v; boot will fall back to generation %d", wanted.Fallback, boot.Number),
		}}
	case boot.Number == 0 && wanted.Pending == nil:
		return []doctor.Finding{{Severity: doctor.Risk, Fix: fix, What: notApplied + ", so nothing is balanced, and boot loads nothing"}}
	case boot.Number != 0 && boot.Variant != status.Variant:
		return []doctor.Finding{{
			Severity: doctor.Risk, Fix: fix,
			What: fmt.Sprintf("generation %d was made for the %s variant of iptables, and boot will load it by %s", boot.Number, boot.Variant, status.Variant),
		}}
	}
	return nil
}

// pendingFindings says what is wrong with a generation that waits to be confirmed.
func pendingFindings(wanted generation.Wanted) []doctor.Finding {
	finding := doctor.Finding{Severity: doctor.Broken, Fix: fixRollback}
	switch pending := wanted.Pending; {
	case wanted.Unknown != nil:
		finding.What = fmt.Sprintf("apply, confirm and rollback refuse: %v", wanted.Unknown)
		finding.Fix = unknownFix(wanted)
	case pending == nil:
		return nil
	case pending.Left() <= 0:
		finding.What = fmt.Sprintf("generation %d is still loaded: it was not confirmed in time, and nothing reverted it", pending.Number)
	case !known(wanted):
		finding.What = fmt.Sprintf("generation %d waits to be confirmed, but its files are not good, so confirm refuses", pending.Number)
	default:
		return nil
	}
	return []doctor.Finding{finding}
}

// unknownFix returns the line after which nothing is recorded as pending, and something
// right is loaded: what was applied, or nothing where nothing was. Where that is damaged,
// only the record goes, and apply does the rest. A record that others may change is not read
// before that is fixed.
func unknownFix(wanted generation.Wanted) string {
	var untrusted *generation.UntrustedError
	switch {
	case errors.As(wanted.Unknown, &untrusted):
		return untrusted.Fix
	case wanted.Boot.Number != 0:
		return fixRestore
	case damaged(wanted):
		return "rm /" + generation.PendingRecord
	}
	return fixStop
}

// tableFindings says how the kernel's tables differ from what is wanted.
func tableFindings(status restore.Status) []doctor.Finding {
	var found []doctor.Finding
	fix := tableFix(status.Wanted)
	add := func(what, fix string) {
		found = append(found, doctor.Finding{Severity: doctor.Broken, What: what, Fix: fix})
	}
	if wanted := status.Wanted.Generation.Number; !status.Loaded && wanted != 0 && known(status.Wanted) {
		add(fmt.Sprintf("generation %d is not loaded: no built-in chain leads to a chain of natspread, so nothing is balanced by the %s variant of iptables", wanted, status.Variant), fix)
	}
	for _, line := range drift(status) {
		add(line.Text, fix)
	}
	if fix == fixRestore { // which looks at the other variant only when the generation was made for it
		fix = doctor.FixApply
	}
	for _, what := range otherVariant(status) {
		add(what, fix)
	}
	return found
}

// drift returns how the tables of the variant in use differ from what is wanted.
func drift(status restore.Status) []restore.Line {
	if !known(status.Wanted) {
		return status.JumpsNotFirst
	}
	return slices.Concat(status.Rules, status.JumpsNotFirst)
}

// otherVariant says which tables of the other variant hold rules of natspread. Where the
// variant in use holds none, one line for each family is enough.
func otherVariant(status restore.Status) []string {
	var lines []string
	said := map[string]bool{}
	for _, line := range status.OtherVariant {
		text := line.Text
		if !status.Loaded {
			text = fmt.Sprintf("%v: the %s variant of iptables holds rules of natspread, and %s is in use", line.Family, status.Variant.Other(), status.Variant)
		}
		if !said[text] {
			said[text] = true
			lines = append(lines, text)
		}
	}
	return lines
}

// tableFix returns the line that makes the tables what is wanted. While a generation waits
// to be confirmed, restore would fail where nothing was applied before, and apply refuses.
func tableFix(wanted generation.Wanted) string {
	switch {
	case wanted.Pending != nil:
		return fixRollback
	case damaged(wanted):
		return doctor.FixApply
	case wanted.Generation.Number == 0:
		return fixStop
	}
	return fixRestore
}
