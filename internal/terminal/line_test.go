package terminal

import (
	"strings"
	"testing"
	"time"
)

// TestLine says what is being done once that takes its time, and leaves nothing behind.
func TestLine(t *testing.T) {
	t.Parallel()
	var said strings.Builder
	line := &Line{out: &said, patience: time.Hour}
	want := func(what, want string) {
		t.Helper()
		if said.String() != want {
			t.Errorf("%s: %q, want %q", what, said.String(), want)
		}
		said.Reset()
	}
	line.Doing("one")
	line.Doing("two")
	want("before a second is over", "")
	line.waited()
	want("then", "\r\x1b[Ktwo")
	line.Doing("three")
	want("something else is done", "\r\x1b[Kthree")
	line.Clear()
	line.Clear()
	want("it is done", "\r\x1b[K")
	line.Doing("four")
	line.Clear()
	line.waited() // which its timer may be about to do
	want("it was done in time", "")
	line.Show("five")
	line.Show("six")
	line.Clear()
	want("shown at once", "\r\x1b[Kfive\r\x1b[Ksix\r\x1b[K")
}

// TestNoLine shows nothing where there is no terminal.
func TestNoLine(t *testing.T) {
	t.Parallel()
	var said strings.Builder
	line := NewLine(&said)
	line.Doing("one")
	line.Show("two")
	line.Clear()
	if line != nil || said.Len() != 0 {
		t.Errorf("%q", said.String())
	}
}
