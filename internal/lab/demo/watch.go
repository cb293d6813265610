package main

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"natspread/internal/lab/netns"
)

const (
	// pace is from one question of a client to the next.
	pace = 25 * time.Millisecond

	// impatience bounds a connection that is made to be watched. Of one whose backend died the
	// client's kernel tries again after 1 s.
	impatience = 2 * time.Second

	// patient is how long an answer may take before the picture shows that a client waits.
	patient = 250 * time.Millisecond

	// shortest is the time of a column of the picture, at least.
	shortest = 2 * pace

	// bound is how long a step may take until clients notice it.
	bound = 12 * time.Second
)

// What a client got, where it is not the number of a backend.
const (
	failed  = 'x'
	waiting = '.'
)

// answer is what a client got, when it had asked and when it got it, since the watch began.
type answer struct {
	asked, got time.Duration
	mark       byte
}

// mark is what happened, and when.
type mark struct {
	at   time.Duration
	what string
}

// watch is what clients get while things happen: a row for each client.
type watch struct {
	names []string
	began time.Time
	marks []mark
	end   time.Duration // when it was stopped
	stop  func()

	mu   sync.Mutex
	rows [][]answer
}

// start has each client ask, again and again, until stop. A client that got an error from its ask
// goes on.
func start(names []string, ask func(row int) (mark byte)) *watch {
	w := &watch{names: names, began: time.Now(), rows: make([][]answer, len(names))}
	var ended atomic.Bool
	var wait sync.WaitGroup
	for row := range names {
		wait.Go(func() {
			for tick := time.NewTicker(pace); !ended.Load(); <-tick.C {
				asked := time.Since(w.began)
				w.take(row, answer{asked: asked, mark: ask(row)})
			}
		})
	}
	w.stop = sync.OnceFunc(func() { w.end = time.Since(w.began); ended.Store(true); wait.Wait() })
	return w
}

// last is when the last mark was set.
func (w *watch) last() time.Duration { return w.marks[len(w.marks)-1].at }

// silent waits until nobody got an answer for a while.
func (w *watch) silent() error {
	const while = 600 * time.Millisecond
	return netns.Await(bound, "nobody is answered", func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		limit := time.Since(w.began) - while
		return !slices.ContainsFunc(w.rows, func(row []answer) bool { return len(row) > 0 && row[len(row)-1].got > limit })
	})
}

// take keeps an answer.
func (w *watch) take(row int, a answer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	a.got = time.Since(w.began)
	w.rows[row] = append(w.rows[row], a)
}

// note marks what happens now, and returns when that is.
func (w *watch) note(what string) time.Duration {
	now := time.Since(w.began)
	w.marks = append(w.marks, mark{now, what})
	return now
}

// since returns what each client got for what it asked after a time.
func (w *watch) since(when time.Duration) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return since(w.rows, when)
}

// since is that of rows.
func since(rows [][]answer, when time.Duration) []string {
	got := make([]string, len(rows))
	for i, row := range rows {
		for _, a := range row {
			if a.asked >= when {
				got[i] += string(a.mark)
			}
		}
	}
	return got
}

// await waits until each client got, for its last questions after a time, what it should.
func (w *watch) await(when time.Duration, words string, should func(row int, mark byte) bool) error {
	const questions = 20 // half a second: long enough to be seen in the picture
	return netns.Await(bound, words, func() bool {
		for row, got := range w.since(when) {
			last := got[max(0, len(got)-questions):]
			if len(last) < questions || strings.ContainsFunc(last, func(r rune) bool { return !should(row, byte(r)) }) {
				return false
			}
		}
		return true
	})
}

// keeps is an error where a client got something else than its backend after a time.
func (w *watch) keeps(when time.Duration, home string, of func(row int) bool) error {
	for row, got := range w.since(when) {
		if other := strings.Trim(got, home[row:row+1]); of(row) && other != "" {
			return fmt.Errorf("%s did not keep backend %c: it got %q", w.names[row], home[row], other)
		}
	}
	return nil
}

// picture draws the rows up to the stop, and what happened for above them. A column is the time of each.
func (w *watch) picture(room int) (column time.Duration, happened string, rows []string) {
	column = max(w.end/time.Duration(room)+1, shortest)
	line := []byte(strings.Repeat(" ", room))
	for _, m := range w.marks {
		at := min(int(m.at/column), room-1)
		copy(line[at:], strings.Repeat(" ", room)) // the end of the mark before
		copy(line[at:], "|"+m.what)
	}
	for _, row := range w.rows {
		rows = append(rows, drawn(row, column, int(w.end/column)+1))
	}
	return column, strings.TrimRight(string(line), " "), rows
}

// drawn is a row: in each column the failure, or the last answer of those that came soon.
func drawn(row []answer, column time.Duration, columns int) string {
	line := slices.Repeat([]byte{waiting}, columns)
	for _, a := range row {
		from := a.asked
		if a.got-from > patient {
			from = a.got
		}
		for at := from / column; at <= a.got/column && int(at) < columns; at++ {
			if line[at] != failed {
				line[at] = a.mark
			}
		}
	}
	return string(line)
}
