package restore

import (
	"context"
	"fmt"

	"natspread/internal/rules"
	"natspread/restore/forwarding"
	"natspread/restore/generation"
	"natspread/restore/iptables"
)

// Line is a finding about a family, as "ipv4: the jump in OUTPUT is missing".
type Line struct {
	Family rules.Family
	Text   string
}

// Status is what Host.Status read: the kernel's tables and switches beside what is wanted.
// It judges nothing: that is for package report.
type Status struct {
	Variant rules.Variant
	Wanted  generation.Wanted
	Loaded  bool // packets meet rules of natspread's

	// What a load of what is wanted would change. Rules and NotForwarded are empty where
	// nothing is loaded: each of their lines would say that.
	Rules         []Line // how natspread's part of the tables differs
	OtherVariant  []Line // which tables of the other variant have something of natspread's, too
	JumpsNotFirst []Line // which jumps stand behind rules of others
	NotForwarded  []Line // the families of what is wanted that the host does not forward

	Notes []string // what is good to know, a line each

	// Tables is what is in the kernel, with counters, in the order of rules.Tables.All: that
	// of a nat table stands at the place of its family.
	Tables [rules.TableCount]rules.Saved
	// Counts are what rules counted that natspread has taken out since its last stop: the
	// counters of a chain that is loaded anew begin at 0.
	Counts []rules.Count

	moved bool // rules were taken out while this was read
}

// Differs tells whether the kernel is not as a load of what is wanted would leave it.
func (s Status) Differs() bool {
	return !s.Loaded || len(s.Rules)+len(s.OtherVariant)+len(s.JumpsNotFirst)+len(s.NotForwarded) > 0
}

// Status reads the kernel's tables and the disk, and whether the families that have rules
// are forwarded at all. It changes nothing. It reads one after the other, and what another
// natspread does in between looks like drift: so what differs is read once more, while no
// other changes anything, for which it waits 5 s. What does not differ is told at once, with
// a note if somebody, or a program that a killed natspread left, may still change it.
func (h Host) Status(ctx context.Context) (Status, error) {
	kernel, err := h.Kernel(ctx)
	if err != nil {
		return Status{}, err
	}
	changing := isLocked(h.runDir(), lockName) // asked first: what ends meanwhile has changed what is read
	status, err := h.status(ctx, kernel)
	if err != nil {
		return Status{}, err
	}
	if !status.Differs() && !status.moved {
		if changing {
			status.Notes = append(status.Notes, "another natspread is at work, and may be about to change this")
		}
		return status, nil
	}
	unlock, busy := lockOut(ctx, h.runDir())
	defer unlock()
	status, err = h.status(ctx, kernel)
	if busy != nil {
		status.Notes = append(status.Notes, "another natspread is at work, and what it does may look like drift")
	}
	return status, err
}

// status reads once.
func (h Host) status(ctx context.Context, kernel iptables.Kernel) (Status, error) {
	status := Status{Variant: kernel.Variant, Wanted: h.Store().Wanted()}
	tables, size := status.Wanted.Tables(), h.Store().CountsSize()
	for i, table := range tables.All() {
		saved, err := kernel.Read(ctx, table)
		if err != nil {
			return Status{}, err
		}
		status.Tables[i] = saved
		status.Rules = append(status.Rules, linesOf(table.Family, iptables.Differences(saved, table))...)
		status.JumpsNotFirst = append(status.JumpsNotFirst, linesOf(table.Family, iptables.JumpsNotFirst(saved, table))...)
		status.Loaded = status.Loaded || iptables.HasJump(saved)
	}
	status.Counts, status.moved = h.Store().Counts()
	status.moved = status.moved || h.Store().CountsSize() != size
	ours, others := h.otherHolds(ctx, kernel)
	status.OtherVariant = ours
	if status.Loaded {
		status.NotForwarded = h.notForwarded(tables)
		status.Notes = append(status.Notes, others...)
	} else {
		status.Rules = nil
	}
	status.Notes = append(status.Notes, h.staleCopies(status.Wanted)...)
	return status, nil
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
		switch on, err := h.forwarding().On(family); {
		case err != nil:
			lines = append(lines, Line{family, fmt.Sprintf("%v: %v", family, err)})
		case !on:
			lines = append(lines, Line{family, fmt.Sprintf("%v: %s is not 1, so nothing is forwarded", family, forwarding.Sysctl(family))})
		}
	}
	return lines
}

// otherHolds returns a line for each family whose table of the other variant has
// something of natspread's too, and one for each that has rules of others: iptables
// shows one variant only, and the kernel asks both.
func (h Host) otherHolds(ctx context.Context, kernel iptables.Kernel) (ours []Line, others []string) {
	other, present := h.other(kernel)
	if !present {
		return nil, nil
	}
	for _, nothing := range rules.NoTables().All() {
		saved, err := other.Read(ctx, nothing)
		if err != nil {
			continue
		}
		if len(iptables.Differences(saved, nothing)) != 0 {
			ours = append(ours, Line{nothing.Family, fmt.Sprintf("%s: the %s variant holds rules of natspread, too: packets meet both", nothing.String(), other.Variant)})
		}
		if nothing.Name == rules.NAT && iptables.ForeignRules(saved) > 0 {
			others = append(others, fmt.Sprintf("%v: both variants of iptables are in use: the %s variant has nat rules of others: see %s",
				nothing.Family, other.Variant, rules.Program(nothing.Family, other.Variant, "save")))
		}
	}
	return ours, others
}
