package terminal

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
)

// TestFit cuts texts to terminals of all kinds.
func TestFit(t *testing.T) {
	t.Parallel()
	const text = "one\n\ntwo\n\x1b[32mthree\x1b[0m\nfour äöü\n"
	for _, c := range []struct {
		size Size
		want string
	}{
		{Size{0, 0}, text},
		{Size{0, 3}, text},
		{Size{6, 0}, text},
		{Size{6, 80}, text},
		{Size{6, 8}, text},
		{Size{6, 7}, "one\n\ntwo\n\x1b[32mthree\x1b[0m\n... 1 more line\n"},
		{Size{7, 7}, text},
		{Size{8, 4}, text},
		{Size{7, 4}, "one\n\ntwo\n\x1b[32mthree\x1b[0m\n... 1 more line\n"},
		{Size{5, 80}, "one\n\ntwo\n... 2 more lines\n"},
		{Size{3, 80}, "one\n... 4 more lines\n"},
		{Size{2, 80}, "... 5 more lines\n"},
		{Size{1, 80}, "... 5 more lines\n"},
	} {
		if got := c.size.Fit(text); got != c.want {
			t.Errorf("%v: %q, want %q", c.size, got, c.want)
		}
	}
}

// TestIs takes no file, no pipe and no buffer for a terminal.
func TestIs(t *testing.T) {
	t.Parallel()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	defer writer.Close()
	for _, stream := range []any{nil, new(bytes.Buffer), reader, writer} {
		if Is(stream) || SizeOf(stream) != (Size{}) {
			t.Errorf("%T is a terminal of %v", stream, SizeOf(stream))
		}
	}
}

// TestRedraw clears what was there, line by line and below.
func TestRedraw(t *testing.T) {
	t.Parallel()
	if got, want := Redraw("one\ntwo\n"), "\x1b[Hone\x1b[K\ntwo\x1b[K\n\x1b[J"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestAsk takes nothing but a yes for one, and says what it cannot read.
func TestAsk(t *testing.T) {
	t.Parallel()
	for answer, want := range map[string]bool{"y\n": true, " YES \n": true, "yes": true, "\n": false, "": false, "yess\n": false, "no\n": false} {
		var shown strings.Builder
		if yes, err := Ask(t.Context(), strings.NewReader(answer), &shown, "remove them?"); yes != want || err != nil || shown.String() != "remove them? [y/N] " {
			t.Errorf("%q: %v, %v; it asks %q", answer, yes, err, shown.String())
		}
	}
	if yes, err := Ask(t.Context(), iotest.ErrReader(io.ErrUnexpectedEOF), io.Discard, ""); yes || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("an answer that cannot be read: %v, %v", yes, err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	reader, writer := io.Pipe()
	defer writer.Close()
	if yes, err := Ask(ctx, reader, io.Discard, ""); yes || err != nil {
		t.Errorf("interrupted: %v, %v", yes, err)
	}
}
