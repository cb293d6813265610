package restore

import (
	"context"
	"errors"
	"fmt"

	"natspread/nat"
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

// Status is what Host.Status found.
type Status struct {
	State   State
	Variant Variant
	Current int        // the generation that boot is to load; 0 when there is none
	Good    Generation // the one that boot will end up with; its number is 0 when there is none
	Pending *Pending   // the one that waits to be confirmed; nil when none does
	Wanted  Generation // the one that the kernel should hold: Good, or the one that waits
	Drifts  []string   // what is not as it should be, a line each
	Notes   []string   // what is as it should be, and yet good to know, a line each
	// Live is what is in the kernel, with counters, in the order of Tables.All: so that of
	// a nat table stands at the place of its family.
	Live [tableCount]nat.Saved
}

// Status compares the kernel's tables and the disk. It changes nothing and takes no
// lock. What keeps the host from forwarding is not part of it.
func (h Host) Status(ctx context.Context) (Status, error) {
	kernel, err := h.Kernel(ctx)
	if err != nil {
		return Status{}, err
	}
	status := Status{Variant: kernel.Variant}
	good, fallback, err := h.store().newestGood()
	switch {
	case err != nil:
		good = Generation{Tables: noTables()}
		if !errors.Is(err, ErrNone) {
			status.Drifts = append(status.Drifts, err.Error())
		}
	case fallback != nil:
		status.Drifts = append(status.Drifts, fmt.Sprintf("%v; boot will fall back to generation %d", fallback, good.Generation))
	}
	status.Good, status.Wanted = good, good
	h.store().addPending(&status)
	status.Current, _ = h.store().CurrentNumber()
	loaded, err := h.compareLive(ctx, kernel, &status)
	if err != nil {
		return Status{}, err
	}
	status.Notes = append(status.Notes, h.staleCopies(status.Wanted.Tables)...)
	status.State = stateOf(loaded, status.Drifts)
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

// compareLive adds the drifts of the kernel to a status and tells whether anything
// of natspread's is in use there: without a jump no packet meets its chains.
func (h Host) compareLive(ctx context.Context, kernel Kernel, status *Status) (loaded bool, err error) {
	var drifts []string
	for i, table := range status.Wanted.Tables.All() {
		saved, err := kernel.Read(ctx, table)
		if err != nil {
			return false, err
		}
		status.Live[i] = saved
		drifts = append(drifts, Differences(saved, table)...)
		status.Notes = append(status.Notes, JumpsBehind(saved, table.Family)...)
		loaded = loaded || hasJump(saved)
	}
	if loaded { // else every line would say the same
		status.Drifts = append(status.Drifts, drifts...)
	}
	ours, others := h.otherHolds(ctx, kernel)
	status.Drifts = append(status.Drifts, ours...)
	if loaded {
		status.Notes = append(status.Notes, others...)
	}
	return loaded, nil
}

// hasJump tells whether a live table leads to a chain of natspread's.
func hasJump(saved nat.Saved) bool {
	for _, builtIn := range saved.Kind.BuiltIn() {
		if len(saved.Jumps(builtIn)) > 0 {
			return true
		}
	}
	return false
}

// otherHolds returns a line for each family whose table of the other variant has
// something of natspread's too, and one for each that has rules of others: iptables
// shows one variant only, and the kernel asks both.
func (h Host) otherHolds(ctx context.Context, kernel Kernel) (ours, others []string) {
	other, present := h.other(kernel)
	if !present {
		return nil, nil
	}
	for _, nothing := range noTables().All() {
		saved, err := other.Read(ctx, nothing)
		if err != nil {
			continue
		}
		if len(Differences(saved, nothing)) != 0 {
			ours = append(ours, fmt.Sprintf("%s: the %s variant holds rules of natspread's too: apply takes them out", nothing.Name(), other.Variant))
		}
		if nothing.Kind == nat.NAT && foreignRules(saved) > 0 {
			others = append(others, fmt.Sprintf("%v: both variants of iptables are in use: the %s one, too, has nat rules, not of natspread's: see %s",
				nothing.Family, other.Variant, programName(nothing.Family, other.Variant, "save")))
		}
	}
	return ours, others
}

// foreignRules counts the rules of a table that are not natspread's.
func foreignRules(saved nat.Saved) int {
	n := 0
	for _, chain := range saved.Chains {
		if !nat.IsOwn(chain.Name) {
			n += len(chain.Rules) - len(saved.Jumps(chain.Name))
		}
	}
	return n
}
