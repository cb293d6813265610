package report

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"natspread/internal/doctor"
	"natspread/internal/rules"
	"natspread/restore"
	"natspread/restore/generation"
)

// numbered returns a generation that was made for the nft variant.
func numbered(number int) generation.Generation {
	return generation.Generation{Manifest: generation.Manifest{Number: number, Variant: rules.NFT}}
}

// applied is a host on which generation 3 was applied, and is loaded as it should be.
func applied() restore.Status {
	return restore.Status{
		Variant: rules.NFT, Loaded: true,
		Wanted: generation.Wanted{Generation: numbered(3), Boot: numbered(3), Current: 3},
	}
}

// pendingFor returns the record of generation 4, which is to be reverted in some time.
func pendingFor(left time.Duration) *generation.Pending {
	return &generation.Pending{Number: 4, Until: generation.SinceBoot() + left}
}

// The changes of a status that the cases below are made of.
func notLoaded(s *restore.Status) { s.Loaded, s.Rules, s.NotForwarded = false, nil, nil }
func changedRule(s *restore.Status) {
	s.Rules = []restore.Line{{Family: rules.IPv4, Text: "ipv4: chain NATSPREAD-web is empty"}}
}
func notFirst(s *restore.Status) {
	s.JumpsNotFirst = []restore.Line{{Family: rules.IPv4, Text: "ipv4: the jump in PREROUTING is rule 2"}}
}
func bothVariants(s *restore.Status) {
	s.OtherVariant = []restore.Line{
		{Family: rules.IPv4, Text: "ipv4: the legacy variant has some, too"}, {Family: rules.IPv4, Text: "ipv4 filter: the legacy variant has some, too"},
	}
}
func neverApplied(s *restore.Status) {
	s.Wanted = generation.Wanted{Generation: generation.None(), Boot: generation.None(), Fallback: generation.ErrNone}
}
func olderIsGood(s *restore.Status) {
	s.Wanted = generation.Wanted{Generation: numbered(2), Boot: numbered(2), Current: 3, Fallback: errors.New("generation 3 is not good: cut short")}
}
func noneIsGood(s *restore.Status) {
	s.Wanted = generation.Wanted{Generation: generation.None(), Boot: generation.None(), Current: 3, Fallback: errors.New("no good generation is left: generation 3 is not good: cut short")}
}
func pending(s *restore.Status) {
	s.Wanted.Generation, s.Wanted.Pending = numbered(4), pendingFor(time.Hour)
}
func overdue(s *restore.Status) {
	s.Wanted.Generation, s.Wanted.Pending = numbered(4), pendingFor(-time.Minute)
}
func pendingDamaged(s *restore.Status) { s.Wanted.Pending = pendingFor(time.Hour) }
func pendingUnknown(s *restore.Status) {
	s.Wanted.Unknown = errors.New("cannot tell which generation waits to be confirmed: cut short")
}
func otherMade(s *restore.Status) { s.Wanted.Boot.Variant = rules.Legacy }

// Findings that a load does not change.
var (
	off       = doctor.Finding{Severity: doctor.Broken, What: "ipv4: net.ipv4.ip_forward is not 1", Fix: "natspread apply"}
	linkOff   = doctor.Finding{Severity: doctor.Broken, What: "ipv4: net.ipv4.conf.front.forwarding is 0", Fix: "sysctl -w net.ipv4.conf.front.forwarding=1"}
	offAtBoot = doctor.Finding{Severity: doctor.AtBoot, What: "ipv4: the next boot switches net.ipv4.ip_forward off", Fix: "sed"}
	reload    = doctor.Finding{Severity: doctor.Risk, What: "ipv4: ufw reload would switch net.ipv4.ip_forward off", Fix: "sed"}
	opened    = doctor.Finding{Severity: doctor.AtBoot, What: "/manifest may be changed by its group or by others", Fix: "chmod go-w /manifest"}
	unseen    = doctor.Finding{Severity: doctor.Risk, What: "cannot tell who may change /manifest"}
)

// verdict is a status, what else was found, and what is said of both.
type verdict struct {
	name          string
	with          []func(*restore.Status)
	refused, left []doctor.Finding
	state         State
	want          []string // how each finding begins: "severity: what", and after -> its whole fix
}

// The lines that the cases below want.
const (
	wantRule     = "broken: ipv4: chain NATSPREAD-web is empty"
	wantNotFirst = "broken: ipv4: the jump in PREROUTING is rule 2"
	wantOther    = "broken: ipv4: the legacy variant has some, too"
	wantOther2   = "broken: ipv4 filter: the legacy variant has some, too"
	wantOff      = "broken: ipv4: net.ipv4.ip_forward is not 1"
	wantNever    = "risk: nothing was applied yet, so nothing is balanced, and boot loads nothing -> natspread apply"
	wantOnly     = "broken: ipv4: the legacy variant of iptables holds rules of natspread, and nft is in use"
)

// verdicts lists what can be read of a host, each by itself and those together that change
// what is said.
func verdicts() []verdict {
	with := func(changes ...func(*restore.Status)) []func(*restore.Status) { return changes }
	left := func(found ...doctor.Finding) []doctor.Finding { return found }
	all := []verdict{
		{name: "in sync", state: InSync},
		{name: "rule changed", with: with(changedRule), state: Drift, want: []string{wantRule + " -> natspread restore"}},
		{name: "jump not first", with: with(notFirst), state: Drift, want: []string{wantNotFirst + " -> natspread restore"}},
		{name: "both variants", with: with(bothVariants), state: Drift, want: []string{wantOther + " -> natspread apply", wantOther2 + " -> natspread apply"}},
		{name: "not loaded", with: with(notLoaded), state: NotLoaded, want: []string{"broken: generation 3 is not loaded: -> natspread restore"}},
		{name: "only the other variant", with: with(notLoaded, bothVariants), state: NotLoaded,
			want: []string{"broken: generation 3 is not loaded: -> natspread restore", wantOnly + " -> natspread apply"}},
		{name: "forwarding off", left: left(off), state: Impaired, want: []string{wantOff + " -> natspread apply"}},
		{name: "interface off", left: left(linkOff), state: Impaired, want: []string{"broken: ipv4: net.ipv4.conf.front.forwarding is 0 -> sysctl -w net.ipv4.conf.front.forwarding=1"}},
		{name: "off at boot", left: left(offAtBoot), state: Impaired, want: []string{"at boot: ipv4: the next boot switches -> sed"}},
		{name: "a risk", left: left(reload), state: InSync, want: []string{"risk: ipv4: ufw reload would switch -> sed"}},
		{name: "the worst first", with: with(otherMade, changedRule, bothVariants, notFirst), left: left(reload, offAtBoot, off), state: Drift, want: []string{
			wantRule + " -> natspread restore", wantNotFirst + " -> natspread restore", wantOther + " -> natspread apply", wantOther2 + " -> natspread apply",
			wantOff + " -> natspread apply", "at boot: ipv4: the next boot -> sed",
			"risk: generation 3 was made for the legacy variant of iptables, and boot will load it by nft -> natspread apply", "risk: ipv4: ufw reload -> sed",
		}},
		{name: "made for the other variant", with: with(otherMade), state: InSync, want: []string{"risk: generation 3 was made for the legacy variant of iptables, and boot will load it by nft -> natspread apply"}},
	}
	return slices.Concat(all, bootVerdicts(), pendingVerdicts())
}

// bootVerdicts are those of what boot loads.
func bootVerdicts() []verdict {
	with := func(changes ...func(*restore.Status)) []func(*restore.Status) { return changes }
	fallsBack := "at boot: generation 3 is not good: cut short; boot will fall back to generation 2 -> natspread apply"
	noneLeft := "at boot: no good generation is left: generation 3 is not good: cut short -> natspread apply"
	return []verdict{
		{name: "nothing applied", with: with(neverApplied, notLoaded), state: NotLoaded, want: []string{wantNever}},
		{name: "nothing applied, rules left over", with: with(neverApplied, changedRule), state: Drift, want: []string{wantRule + " -> natspread stop", wantNever}},
		{name: "nothing applied, rules in the other variant", with: with(neverApplied, notLoaded, bothVariants), state: NotLoaded, want: []string{wantOnly + " -> natspread stop", wantNever}},
		{name: "an older one is as good", with: with(olderIsGood), state: Impaired, want: []string{fallsBack}},
		{name: "an older one is another", with: with(olderIsGood, changedRule), state: Drift, want: []string{wantRule + " -> natspread apply", fallsBack}},
		{name: "an older one is not loaded", with: with(olderIsGood, notLoaded), state: NotLoaded, want: []string{"broken: generation 2 is not loaded: -> natspread apply", fallsBack}},
		{name: "none is good", with: with(noneIsGood, changedRule), state: Impaired, want: []string{noneLeft}},
		{name: "none is good, jump not first", with: with(noneIsGood, changedRule, notFirst), state: Drift, want: []string{wantNotFirst + " -> natspread apply", noneLeft}},
		{name: "none is good, both variants", with: with(noneIsGood, changedRule, bothVariants), state: Drift, want: []string{wantOther + " -> natspread apply", wantOther2 + " -> natspread apply", noneLeft}},
		{name: "none is good, nothing loaded", with: with(noneIsGood, notLoaded), state: NotLoaded, want: []string{noneLeft}},
		{name: "everybody may change it", with: with(noneIsGood, changedRule), refused: []doctor.Finding{opened}, state: Impaired,
			want: []string{"at boot: /manifest may be changed by its group or by others -> chmod go-w /manifest"}},
		{name: "cannot tell who may change it", with: with(noneIsGood), refused: []doctor.Finding{unseen}, state: Impaired, want: []string{noneLeft}},
	}
}

// pendingVerdicts are those with a generation that waits to be confirmed: while it does,
// apply refuses, and restore would end the trial.
func pendingVerdicts() []verdict {
	with := func(changes ...func(*restore.Status)) []func(*restore.Status) { return changes }
	refuse := "broken: apply, confirm and rollback refuse: cannot tell which generation waits to be confirmed: cut short"
	return []verdict{
		{name: "pending", with: with(pending), state: InSync},
		{name: "pending, the first ever", with: with(neverApplied, pending), state: InSync},
		{name: "pending, rule changed", with: with(pending, changedRule, notFirst), state: Drift, want: []string{wantRule + " -> natspread rollback", wantNotFirst + " -> natspread rollback"}},
		{name: "pending, not loaded", with: with(pending, notLoaded), state: NotLoaded, want: []string{"broken: generation 4 is not loaded: -> natspread rollback"}},
		{name: "pending, both variants", with: with(pending, bothVariants), state: Drift, want: []string{wantOther + " -> natspread rollback", wantOther2 + " -> natspread rollback"}},
		{name: "pending, forwarding off", with: with(pending), left: []doctor.Finding{off, linkOff}, state: Impaired,
			want: []string{wantOff + " -> natspread rollback && natspread restore", "broken: ipv4: net.ipv4.conf.front.forwarding is 0 -> sysctl -w net.ipv4.conf.front.forwarding=1"}},
		{name: "pending, current damaged", with: with(olderIsGood, pending), state: Impaired, want: []string{"at boot: generation 3 is not good: cut short; boot will fall back to generation 2 -> natspread confirm"}},
		{name: "pending, made for the other variant", with: with(otherMade, pending), state: InSync, want: []string{"risk: generation 3 was made for the legacy variant of iptables, and boot will load it by nft -> natspread confirm"}},
		{name: "overdue", with: with(overdue), state: Impaired, want: []string{"broken: generation 4 is still loaded: it was not confirmed in time, and nothing reverted it -> natspread rollback"}},
		{name: "pending, its files damaged", with: with(pendingDamaged, changedRule), state: Impaired, want: []string{"broken: generation 4 waits to be confirmed, but its files are not good, so confirm refuses -> natspread rollback"}},
		{name: "record unreadable", with: with(pendingUnknown), state: Impaired, want: []string{refuse + " -> natspread restore"}},
		{name: "record unreadable, its rules loaded", with: with(pendingUnknown, changedRule), state: Drift, want: []string{refuse + " -> natspread restore", wantRule + " -> natspread restore"}},
		{name: "record unreadable, nothing applied", with: with(neverApplied, notLoaded, pendingUnknown), state: NotLoaded, want: []string{refuse + " -> natspread stop", wantNever}},
		{name: "record unreadable, none is good", with: with(noneIsGood, pendingUnknown, changedRule), state: Impaired,
			want: []string{refuse + " -> rm /run/natspread/pending", "at boot: no good generation is left: generation 3 is not good: cut short -> natspread apply"}},
	}
}

// TestVerdicts holds what is said of a host to the tables above.
func TestVerdicts(t *testing.T) {
	for _, c := range verdicts() {
		t.Run(c.name, func(t *testing.T) {
			status := applied()
			for _, change := range c.with {
				change(&status)
			}
			state, found := judge(status, c.refused, c.left)
			if state != c.state {
				t.Errorf("%s, not %s", state, c.state)
			}
			wantFindings(t, found, c.want...)
		})
	}
}

// wantFindings fails unless findings are those, each as "severity: what -> fix": how what
// was found begins, and all of the fix.
func wantFindings(t *testing.T, found []doctor.Finding, want ...string) {
	t.Helper()
	same := len(found) == len(want)
	for i := range min(len(found), len(want)) {
		begin, fix, _ := strings.Cut(want[i], " -> ")
		same = same && strings.HasPrefix(reported(found[i]), begin) && found[i].Fix == fix
	}
	if !same {
		t.Errorf("-wanted +found:\n%s", cmp.Diff(want, lines(found)))
	}
}

// reported returns a finding as a line.
func reported(f doctor.Finding) string {
	return fmt.Sprintf("%s: %s -> %s", f.Severity, f.What, f.Fix)
}

// lines returns findings as lines.
func lines(found []doctor.Finding) []string {
	var all []string
	for _, f := range found {
		all = append(all, reported(f))
	}
	return all
}

// TestEveryVerdict goes through every combination of what can be read, and holds each
// verdict to what must be true of all of them.
func TestEveryVerdict(t *testing.T) {
	nothing := func(*restore.Status) {}
	boots := []func(*restore.Status){nothing, otherMade, neverApplied, olderIsGood, noneIsGood}
	trials := []func(*restore.Status){nothing, pending, overdue, pendingDamaged, pendingUnknown}
	tables := []func(*restore.Status){changedRule, notFirst, bothVariants}
	loads := []func(*restore.Status){nothing, notLoaded}
	remaining := []doctor.Finding{off, linkOff, offAtBoot, reload}
	n := 0
	for b := range boots {
		for p := range trials {
			for bits := range 1 << (len(tables) + len(remaining)) {
				for l, load := range loads {
					status := applied()
					boots[b](&status)
					trials[p](&status)
					for i, table := range tables {
						if bits>>i&1 == 1 {
							table(&status)
						}
					}
					var left []doctor.Finding
					for i, finding := range remaining {
						if bits>>(len(tables)+i)&1 == 1 {
							left = append(left, finding)
						}
					}
					load(&status)
					state, found := judge(status, nil, left)
					n++
					for _, wrong := range untrue(status, state, found) {
						t.Errorf("boot %d, pending %d, bits %b, load %d: %s: %s\n%s", b, p, bits, l, state, wrong, strings.Join(lines(found), "\n"))
					}
				}
			}
		}
	}
	if n != 5*5*128*2 {
		t.Errorf("%d combinations", n)
	}
}

// untrue returns what is not true of a verdict, and must be.
func untrue(status restore.Status, state State, found []doctor.Finding) []string {
	var wrong []string
	must := func(fact bool, what string) {
		if !fact {
			wrong = append(wrong, what)
		}
	}
	wanted, broken := status.Wanted, Broken(found)
	never := errors.Is(wanted.Fallback, generation.ErrNone) && wanted.Pending == nil
	must((state == NotLoaded) == !status.Loaded, "not loaded is not what it says")
	must(state != InSync || len(broken) == 0, "in sync, and broken")
	must(state == InSync || len(broken) > 0 || never && state == NotLoaded, "not in sync, and nothing is broken")
	rank := []doctor.Severity{doctor.Broken, doctor.AtBoot, doctor.Risk}
	must(slices.IsSortedFunc(found, func(a, b doctor.Finding) int { return slices.Index(rank, a.Severity) - slices.Index(rank, b.Severity) }), "not the worst first")
	seen := map[string]bool{}
	for _, f := range found {
		must(!seen[f.What], "twice: "+f.What)
		seen[f.What] = true
		must(f.Fix != "", "no line fixes "+f.What)
		if wanted.Pending != nil {
			must(f.Fix != doctor.FixApply && f.Fix != fixRestore, "while a generation waits, the fix is "+f.Fix)
		} else {
			must(f.Fix != fixRollback && f.Fix != fixConfirm, "while none waits, the fix is "+f.Fix)
		}
		must(f.Fix != fixRestore || wanted.Boot.Number != 0, "there is nothing to restore")
		must(f.Fix != fixStop || wanted.Generation.Number == 0 && !damaged(wanted), "stop is the fix although something is wanted")
	}
	must(wanted.Unknown == nil || strings.Contains(found[0].What, "refuse"), "what stands in the way of apply is not the first")
	return wrong
}
