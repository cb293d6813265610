package terminal

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// patience is how long work takes before somebody who waits for it wonders.
const patience = time.Second

// Line is one line that says what is being done, and is gone when that is done. Only a terminal
// gets it: a file, a pipe and the journal would keep it. A nil Line shows nothing.
type Line struct {
	out      io.Writer
	patience time.Duration // how long work takes before it is shown
	mutex    sync.Mutex
	words    string      // what is being done; "" when nothing is
	wait     *time.Timer // until it is shown; nil when nothing is done
	shown    bool
}

// NewLine returns the line of a stream, which shows nothing yet; nil where it is no terminal.
func NewLine(stream io.Writer) *Line {
	if !Is(stream) {
		return nil
	}
	return &Line{out: stream, patience: patience}
}

// Doing says what is being done from now on. It is shown when a second is over since the work
// began, and at once if a line is shown already.
func (l *Line) Doing(words string) {
	if l == nil {
		return
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.words = words
	switch {
	case l.shown:
		l.draw()
	case l.wait == nil:
		l.wait = time.AfterFunc(l.patience, l.waited)
	}
}

// waited shows the line, unless the work ended meanwhile: a timer that has fired cannot be stopped.
func (l *Line) waited() {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.words != "" {
		l.draw()
	}
}

// Show shows words at once.
func (l *Line) Show(words string) {
	if l == nil {
		return
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.words = words
	l.draw()
}

// draw writes the line. What a row has no room for is left out: Clear clears one row.
func (l *Line) draw() {
	words := []rune(l.words)
	if columns := SizeOf(l.out).Columns; columns > 0 && len(words) >= columns {
		words = words[:columns-1]
	}
	fmt.Fprint(l.out, clearLine+string(words))
	l.shown = true
}

// Clear takes the line away, before anything else is written and at the end. The next work begins
// with Doing.
func (l *Line) Clear() {
	if l == nil {
		return
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if l.wait != nil {
		l.wait.Stop()
	}
	if l.shown {
		fmt.Fprint(l.out, clearLine)
	}
	l.words, l.wait, l.shown = "", nil, false
}
