package report

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"natspread/internal/doctor"
	"natspread/internal/doctor/finding"
	"natspread/internal/health"
	"natspread/internal/rules"
	"natspread/internal/screen"
	"natspread/internal/text"
	"natspread/restore"
)

// Status is what status prints.
type Status struct {
	State      State         `json:"state"`             // in_sync, drift, impaired, not_loaded
	Variant    rules.Variant `json:"variant"`           // nft, legacy
	Current    int           `json:"current"`           // the generation that boot is to load; 0: none
	Generation int           `json:"generation"`        // the one that it will end up with; 0: none
	Pending    *Pending      `json:"pending,omitempty"` // what apply --confirm loaded; absent when nothing waits
	Applied    *time.Time    `json:"applied,omitempty"` // when the generation was made that the kernel is to hold; absent when none is
	Rules      string        `json:"rules_sha256"`      // of that one's rules; "": there is none
	Out        []Out         `json:"out"`               // who gets no new connections now, although the config says so
	Unapplied  bool          `json:"unapplied"`         // the config has changes that are not applied
	Unit       doctor.Unit   `json:"unit"`              // missing, disabled, active, failed and others; "": there is no systemd
	Findings   []Finding     `json:"findings"`          // what keeps it from working, the worst first
	Notes      []string      `json:"notes"`             // what is good to know
	Watcher    *Watcher      `json:"watcher,omitempty"` // natspread health; absent where it does not run, and nobody wants it to
	Services   []Service     `json:"services"`          // of the generation that the kernel is to hold
	Version    string        `json:"version"`           // of natspread

	only bool // of one service alone, which is shown in whole
}

// Out is a backend that the rules leave out now, in the output of status.
type Out struct {
	Service string    `json:"service"`
	Backend string    `json:"backend"` // as the config writes it
	Since   time.Time `json:"since"`
	Reason  string    `json:"reason"` // why its check failed; "drained" by drain --runtime
}

// Watcher is natspread health, in the output of status.
type Watcher struct {
	Alive   bool     `json:"alive"`    // it runs
	BeatAge *float64 `json:"beat_age"` // how many seconds ago it wrote its state; null where it wrote none

	record health.Record
}

// Pending is the generation that waits to be confirmed, in the output of status.
type Pending struct {
	Generation  int `json:"generation"`
	SecondsLeft int `json:"seconds_left"` // negative when it should be reverted already
}

// Finding is a finding as it is printed.
type Finding = doctor.Finding

// FindingsOf returns findings as they are printed; never nil, so that programs always find
// an array.
func FindingsOf(found []doctor.Finding) []Finding {
	printed := make([]Finding, len(found))
	for i, f := range found {
		printed[i] = Finding{Severity: f.Severity, What: text.OneLine(f.What), Fix: text.OneLine(f.Fix), Of: f.Of}
	}
	return printed
}

// Printed returns the report as status prints it, with its services and what is open now.
func (r Report) Printed(ctx context.Context) Status {
	wanted := r.Status.Wanted
	printed := Status{
		State: r.State, Variant: r.Status.Variant, Current: wanted.Current, Generation: wanted.Boot.Number, Unapplied: r.Unapplied, Unit: r.Unit,
		Rules: wanted.Generation.RulesSum(), Out: r.watched.printedOuts(r.config.Services),
		Findings: FindingsOf(r.Findings), Notes: append([]string{}, r.Notes...), Version: r.version,
	}
	if wanted.Generation.Number != 0 {
		printed.Applied = &wanted.Generation.Created
	}
	if wanted.Pending != nil {
		printed.Pending = &Pending{wanted.Pending.Number, int(wanted.Pending.Left().Seconds())}
	}
	printed.Watcher = r.watched.printed(r.config.Services)
	var err error
	if printed.Services, err = r.Services(ctx); err != nil {
		printed.Notes = append(printed.Notes, fmt.Sprintf("live connections are not counted: %v", err))
	}
	return printed
}

// Text returns the status for people. Unless all of it is asked for, of thousands of services it
// is a summary and those in trouble, and of many findings those that are the worst.
func (s Status) Text(on screen.Screen, all bool) string {
	return s.headText(on, all) + s.servicesText(on, all)
}

// headText returns what stands before the services.
func (s Status) headText(on screen.Screen, all bool) string {
	var written strings.Builder
	state, boot := on.Alarm(s.State.Words()), "boot loads nothing"
	if s.State == InSync {
		state = on.Bold(s.State.Words())
	}
	if s.Generation != 0 {
		boot = fmt.Sprintf("boot loads generation %d", s.Generation)
	}
	written.WriteString(on.Wrap(fmt.Sprintf("%s: %s, by the %s variant of iptables", state, boot, s.Variant)) + "\n")
	findings, more := s.Findings, ""
	if !all && !s.only {
		findings = finding.Fold(findings, "natspread status --all # names each")
	}
	if len(findings) > mostNotes && !all && !s.only {
		findings, more = findings[:mostNotes], fmt.Sprintf("  and %d more findings: natspread status --all\n", len(findings)-mostNotes)
	}
	written.WriteString(findingsText(on, findings, "  ") + more)
	for _, note := range s.Notes {
		written.WriteString(on.Say("  note: "+text.OneLine(note)) + "\n")
	}
	if s.Rules != "" {
		written.WriteString(s.rulesText(on, all) + "\n")
	}
	return written.String()
}

// rulesText says which rules it should be. A terminal that has no room for all of the sum shows its beginning, unless
// all is asked for.
func (s Status) rulesText(on screen.Screen, all bool) string {
	const few = 16
	line := func(sum string) string { return fmt.Sprintf("  rules: sha256 %s, out: %s", sum, s.outs(all)) }
	if whole := line(s.Rules); all || on.Columns == 0 || screen.Width(whole) <= on.Columns || len(s.Rules) < few {
		return on.Wrap(whole)
	}
	return on.Wrap(line(s.Rules[:few] + "..."))
}

// outs names all who are out, so that with the sum before one line tells whether balancers with
// the same config do the same. Of many it names a few, unless all are asked for.
func (s Status) outs(all bool) string {
	var words []string
	for i, out := range s.Out {
		if i == mostNotes && !all {
			words = append(words, fmt.Sprintf("and %d more", len(s.Out)-i))
			break
		}
		words = append(words, out.Backend+" of "+out.Service)
	}
	return cmp.Or(strings.Join(words, ", "), "none")
}

// FindingsText returns findings for people: a line each, and below it the line that fixes
// it.
func FindingsText(on screen.Screen, findings []Finding) string { return findingsText(on, findings, "") }

// findingsText is FindingsText behind an indent.
func findingsText(on screen.Screen, findings []Finding, indent string) string {
	var written strings.Builder
	for _, f := range findings {
		severity := on.Alarm(f.Severity.String())
		if f.Severity == doctor.Risk {
			severity = on.Bold(f.Severity.String())
		}
		written.WriteString(on.Wrap(indent+severity+": "+f.What) + "\n")
		if f.Fix != "" {
			written.WriteString(on.Fix(indent+"  ", f.Fix) + "\n")
		}
	}
	return written.String()
}

// Lines returns a line for each service, and one for the state where there is none: what
// status --watch prints where there is no terminal.
func (s Status) Lines(now time.Time) string {
	begin := now.UTC().Format(time.RFC3339) + "  " + string(s.State)
	if len(s.Services) == 0 {
		return begin + "\n"
	}
	var written strings.Builder
	for _, service := range s.Services {
		fmt.Fprintf(&written, "%s  %s  %s\n", begin, service.Name, strings.Join(append([]string{service.counts()}, service.modeWords()...), "  "))
	}
	return written.String()
}

// NoteLines returns what became of connections, and the notes of a result, a line each.
func NoteLines(result restore.Result) []string {
	var lines []string
	if n := result.DeletedEntries; n == 1 {
		lines = append(lines, "deleted 1 connection tracking entry; its next packet matches the new rules")
	} else if n > 1 {
		lines = append(lines, fmt.Sprintf("deleted %d connection tracking entries; their next packets match the new rules", n))
	}
	for _, note := range result.Notes {
		lines = append(lines, "note: "+text.OneLine(note))
	}
	return lines
}

// mostNotes is how many findings become notes: with thousands of services nobody reads all.
const mostNotes = 20

// NotesOf returns findings as notes of a result, a line each, of many of one kind a line for all, and
// says how many more there are.
func NotesOf(found []doctor.Finding) []string {
	var notes []string
	found = finding.Fold(found, "natspread doctor # names each")
	for i, one := range found {
		if i == mostNotes {
			return append(notes, fmt.Sprintf("and %d more: natspread doctor", len(found)-i))
		}
		note := one.What
		if one.Fix != "" {
			note += "; fix: " + one.Fix
		}
		notes = append(notes, note)
	}
	return notes
}
