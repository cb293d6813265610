package watcher

import (
	"fmt"
	"strings"
	"time"

	"natspread/internal/health"
	"natspread/internal/text"
	"natspread/restore"
)

// Level is how grave a line is, as syslog(3) counts: a lower one is graver.
type Level int

// The levels.
const (
	Critical Level = 2
	Error    Level = 3
	Warning  Level = 4
	Notice   Level = 5
	Info     Level = 6
)

// Bounds of what is said.
const (
	mostTurns    = 20          // backends, and services, for each load
	unableEvery  = time.Minute // that a backend cannot be asked
	quiet        = time.Second // after this, lines count anew where no load ends
	namedChanges = 3           // services in the line of a backend
)

// journal says what happens, a line each, and not too much of it.
type journal struct {
	print func(Level, string)

	saidTurns int           // backends since the last load
	saidModes int           // services since the last load
	since     time.Duration // when the first of them was said
	unable    time.Duration // when the next backend that cannot be asked is named
	failures  string        // of the last load; "" after a success
	reported  map[string]bool
}

// sayTurn says that a backend went down or came up, and what that means for its services.
func (j *journal) sayTurn(now time.Duration, name string, turn health.Turn, changes []change) {
	if j.saidTurns++; j.saidTurns == 1 {
		j.since = now
	}
	if j.saidTurns <= mostTurns {
		if turn.To == health.Down {
			j.print(Warning, fmt.Sprintf("%s is down: %s%s%s", name, turn.Reason, timesOf(turn), upsOf(changes)))
		} else {
			j.print(Notice, fmt.Sprintf("%s is up again after %s%s", name, longOf(turn.Lasted), upsOf(changes)))
		}
	}
	for _, c := range changes {
		if c.was != c.now {
			j.sayMode(c)
		}
	}
}

// timesOf says how often a backend failed, if that was more than once.
func timesOf(turn health.Turn) string {
	if turn.Times < 2 {
		return ""
	}
	return fmt.Sprintf(" (%d times in %.1f s)", turn.Times, turn.Within.Seconds())
}

// longOf returns how long something was: 3m12s.
func longOf(d time.Duration) string {
	if d < time.Second {
		return "less than 1s"
	}
	return text.Duration(d.Truncate(time.Second))
}

// upsOf says how many primaries of each service are up.
func upsOf(changes []change) string {
	var ups []string
	for _, c := range changes[:min(len(changes), namedChanges)] {
		ups = append(ups, c.String())
	}
	if more := len(changes) - len(ups); more > 0 {
		ups = append(ups, fmt.Sprintf("and %s more", text.Plural(more, "service")))
	}
	if len(ups) == 0 {
		return ""
	}
	return "; " + strings.Join(ups, ", ")
}

// String says how many primaries of the service are up.
func (c change) String() string { return fmt.Sprintf("%s: %d of %d up", c.service, c.up, c.of) }

// sayMode says that a service chooses its backends by another rule now.
func (j *journal) sayMode(c change) {
	if j.saidModes++; j.saidModes > mostTurns {
		return
	}
	few := fmt.Sprintf("%v, fewer than min_up = %d", c, c.minUp)
	switch {
	case c.now == health.FailOpen && c.up == 0:
		j.print(Critical, fmt.Sprintf("%s: none of %s is up: all get connections (fail-open)", c.service, text.Plural(c.of, "backend")))
	case c.now == health.FailOpen:
		j.print(Critical, few+": all get connections (fail-open)")
	case c.now == health.Backup:
		j.print(Warning, few+": backups join")
	case c.was == health.FailOpen:
		j.print(Notice, fmt.Sprintf("%v: only these get connections (fail-open ends)", c))
	case c.was == health.Backup:
		j.print(Notice, fmt.Sprintf("%v: backups leave", c))
	}
}

// sayLoad says what a load changed.
func (j *journal) sayLoad(note health.Note, took time.Duration, result restore.Result) {
	out, joined, services := 0, 0, 0
	for _, s := range note.Services {
		out, joined = out+len(s.Out), joined+len(s.Joined)
		if s.Differs() {
			services++
		}
	}
	words := "no backend out"
	if services > 0 {
		words = fmt.Sprintf("%s out of %s", text.Plural(out, "backend"), text.Plural(services, "service"))
	}
	if joined > 0 {
		words += fmt.Sprintf(", %s in use", text.Plural(joined, "backup"))
	}
	words = fmt.Sprintf("rules changed: %s, in %d ms", words, took.Milliseconds())
	if result.DeletedEntries > 0 {
		words += fmt.Sprintf("; %s sent elsewhere", text.Plural(result.DeletedEntries, "connection"))
	}
	j.sayMore()
	j.print(Notice, words)
	for _, note := range result.Notes {
		j.report(Warning, fmt.Errorf("%s", note))
	}
}

// sayMore says how many lines were left out.
func (j *journal) sayMore() {
	if more := j.saidTurns - mostTurns; more > 0 {
		j.print(Warning, fmt.Sprintf("and %d more", more))
	}
	if more := j.saidModes - mostTurns; more > 0 {
		j.print(Warning, fmt.Sprintf("and %s more", text.Plural(more, "service")))
	}
	j.saidTurns, j.saidModes = 0, 0
}

// sweep says how many lines were left out where no load ends that would, and returns when to
// call it again.
func (j *journal) sweep(now time.Duration, pending bool) time.Duration {
	switch {
	case j.saidTurns+j.saidModes == 0 || pending:
		return never
	case now < j.since+quiet:
		return j.since + quiet
	}
	j.sayMore()
	return never
}

// sayFailure says why the rules could not be changed; the same text once.
func (j *journal) sayFailure(err error, again time.Duration) {
	if words := text.OneLine(err.Error()); words != j.failures {
		j.failures = words
		j.print(Error, fmt.Sprintf("cannot change the rules: %s; trying again in %d s", words, int(again.Seconds())))
	}
}

// sayUnable says that a backend cannot be asked, once a minute.
func (j *journal) sayUnable(now time.Duration, name, reason string) {
	if now >= j.unable {
		j.unable = now + unableEvery
		j.print(Warning, fmt.Sprintf("cannot check %s: %s", name, reason))
	}
}

// sayUnreachable says that a backend is up, and no connection to it is answered.
func (j *journal) sayUnreachable(name string, unanswered int) {
	j.print(Warning, fmt.Sprintf("%s passes its check, but none of %s to it was answered: does its route back lead through this host?", name, text.Plural(unanswered, "connection")))
}

// maxReported bounds how many texts are known to have been said.
const maxReported = 100

// report says an error, each text once.
func (j *journal) report(level Level, err error) {
	if err == nil {
		return
	}
	words := text.OneLine(err.Error())
	if j.reported[words] {
		return
	}
	if j.reported == nil || len(j.reported) >= maxReported {
		j.reported = map[string]bool{}
	}
	j.reported[words] = true
	j.print(level, words)
}

// sayStart says what is watched from now on, and who is known to be down: of these no line comes.
func (j *journal) sayStart(generation, checks, services int, down []string) {
	if generation == 0 {
		j.print(Info, "nothing is applied yet: nothing to check")
		return
	}
	words := fmt.Sprintf("generation %d: %s of %s", generation, text.Plural(checks, "check"), text.Plural(services, "service"))
	if named := down[:min(len(down), mostTurns)]; len(named) > 0 {
		words += "; known to be down: " + strings.Join(named, ", ")
		if more := len(down) - len(named); more > 0 {
			words += fmt.Sprintf(", and %d more", more)
		}
	}
	j.print(Info, words)
}
