package restore

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"natspread/internal/paths"
	"natspread/internal/rules"
)

// State is how the kernel stands to the current generation.
type State string

// The states. Drift covers whatever is not what the current generation says: other
// rules, an older generation.
const (
	InStep    State = "in step"
	Drift     State = "drift"
	NotLoaded State = "not loaded"
)

// Line is something to tell of a family, as "ipv4: the jump in OUTPUT is missing".
type Line struct {
	Family rules.Family
	Text   string
}

// Status is what Host.Status found.
type Status struct {
	State   State
	Variant Variant
	Current int        // the generation that boot is to load; 0 when there is none
	Good    Generation // the one that boot will end up with; its number is 0 when there is none
	Pending *Pending   // the one that waits to be confirmed; nil when none does
	Wanted  Generation // the one that the kernel should hold: Good, or the one that waits

	// What is not as it should be: Drifts has all of it. Apply mends it, but for Waiting,
	// which makes it refuse.
	Boot         []string // why boot will not load the current generation
	Waiting      string   // that one waits to be confirmed, or why that cannot be told; "" when none does
	Rules        []Line   // how natspread's part of the tables is not what it should be; none when nothing is loaded
	OtherVariant []Line   // which tables of the other variant have something of natspread's, too
	Forwarding   []Line   // the families of what is loaded that the host does not forward

	// What is as it should be.
	Behind []Line   // jumps that stand behind rules of others, and that apply would put first
	Notes  []string // what is good to know, a line each

	// Live is what is in the kernel, with counters, in the order of Tables.All: so that of
	// a nat table stands at the place of its family.
	Live [rules.TableCount]rules.Saved
}

// Drifts returns what is not as it should be, a line each.
func (s Status) Drifts() []string {
	drifts := slices.Clone(s.Boot)
	if s.Waiting != "" {
		drifts = append(drifts, s.Waiting)
	}
	for _, line := range slices.Concat(s.Rules, s.OtherVariant, s.Forwarding) {
		drifts = append(drifts, line.Text)
	}
	return drifts
}

// Status compares the kernel's tables and the disk, and looks whether the families that
// have rules are forwarded at all. It changes nothing. It reads one after the other, and
// what another natspread does in between looks like drift: so what is drift is looked at
// once more, while no other changes anything, for which it waits 5 s.
func (h Host) Status(ctx context.Context) (Status, error) {
	kernel, err := h.Kernel(ctx)
	if err != nil {
		return Status{}, err
	}
	status, err := h.status(ctx, kernel)
	if err != nil || len(status.Drifts()) == 0 {
		return status, err
	}
	unlock, busy := lockOut(ctx, filepath.Join(h.Root, paths.Run), lockName)
	defer unlock()
	status, err = h.status(ctx, kernel)
	if busy != nil {
		status.Notes = append(status.Notes, "another natspread is at work, and what it does may look like drift")
	}
	return status, err
}

// status is one look of Status.
func (h Host) status(ctx context.Context, kernel Kernel) (Status, error) {
	status := Status{Variant: kernel.Variant}
	good, fallback, err := h.store().newestGood()
	switch {
	case err != nil:
		good = Generation{Tables: rules.NoTables()}
		if !errors.Is(err, ErrNone) {
			status.Boot = append(status.Boot, err.Error())
		}
	case fallback != nil:
		status.Boot = append(status.Boot, fmt.Sprintf("%v; boot will fall back to generation %d", fallback, good.Generation))
	}
	status.Good, status.Wanted = good, good
	h.store().addPending(&status)
	status.Current, _ = h.store().CurrentNumber()
	loaded, err := h.compareLive(ctx, kernel, &status)
	if err != nil {
		return Status{}, err
	}
	status.Notes = append(status.Notes, h.staleCopies(status.Wanted.Tables)...)
	status.State = stateOf(loaded, status.Drifts())
	return status, nil
}

// stateOf sums up: nothing of ours in the kernel is not loaded, whatever else is.
func stateOf(loaded bool, drifts []string) State {
	switch {
	case !loaded:
		return NotLoaded
	case len(drifts) != 0:
		return Drift
	}
	return InStep
}

// compareLive adds to a status what is found of the kernel, and tells whether anything
// of natspread's is in use there: without a jump no packet meets its chains.
func (h Host) compareLive(ctx context.Context, kernel Kernel, status *Status) (loaded bool, err error) {
	for i, table := range status.Wanted.Tables.All() {
		saved, err := kernel.Read(ctx, table)
		if err != nil {
			return false, err
		}
		status.Live[i] = saved
		status.Rules = append(status.Rules, linesOf(table.Family, Differences(saved, table))...)
		status.Behind = append(status.Behind, linesOf(table.Family, JumpsBehind(saved, table.Family))...)
		loaded = loaded || hasJump(saved)
	}
	ours, others := h.otherHolds(ctx, kernel)
	status.OtherVariant = ours
	if !loaded { // else every line would say the same
		status.Rules = nil
		return false, nil
	}
	status.Forwarding = h.notForwarded(status.Wanted.Tables)
	status.Notes = append(status.Notes, others...)
	return true, nil
}

// linesOf returns lines of a family.
func linesOf(family rules.Family, texts []string) []Line {
	var lines []Line
	for _, text := range texts {
		lines = append(lines, Line{family, text})
	}
	return lines
}

// notForwarded returns a line for each family that has rules and is not forwarded.
func (h Host) notForwarded(tables rules.Tables) []Line {
	var lines []Line
	for _, family := range rules.Families() {
		if tables.Of(family).Empty() {
			continue
		}
		switch on, err := h.forwarding().on(family); {
		case err != nil:
			lines = append(lines, Line{family, fmt.Sprintf("%v: %v", family, err)})
		case !on:
			lines = append(lines, Line{family, fmt.Sprintf("%v: %s is not 1, so nothing is forwarded", family, sysctl(family))})
		}
	}
	return lines
}

// hasJump tells whether a live table leads to a chain of natspread's.
func hasJump(saved rules.Saved) bool {
	for _, builtIn := range saved.Name.BuiltIn() {
		if len(saved.Jumps(builtIn)) > 0 {
			return true
		}
	}
	return false
}

// otherHolds returns a line for each family whose table of the other variant has
// something of natspread's too, and one for each that has rules of others: iptables
// shows one variant only, and the kernel asks both.
func (h Host) otherHolds(ctx context.Context, kernel Kernel) (ours []Line, others []string) {
	other, present := h.other(kernel)
	if !present {
		return nil, nil
	}
	for _, nothing := range rules.NoTables().All() {
		saved, err := other.Read(ctx, nothing)
		if err != nil {
			continue
		}
		if len(Differences(saved, nothing)) != 0 {
			ours = append(ours, Line{nothing.Family, fmt.Sprintf("%s: the %s variant holds rules of natspread's too: apply takes them out", nothing.String(), other.Variant)})
		}
		if nothing.Name == rules.NAT && foreignRules(saved) > 0 {
			others = append(others, fmt.Sprintf("%v: both variants of iptables are in use: the %s one, too, has nat rules, not of natspread's: see %s",
				nothing.Family, other.Variant, programName(nothing.Family, other.Variant, "save")))
		}
	}
	return ours, others
}

// foreignRules counts the rules of a table that are not natspread's.
func foreignRules(saved rules.Saved) int {
	n := 0
	for _, chain := range saved.Chains {
		if !rules.IsOwn(chain.Name) {
			n += len(chain.Rules) - len(saved.Jumps(chain.Name))
		}
	}
	return n
}
