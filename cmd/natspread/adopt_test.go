package main

import (
	"io"
	"strings"
	"testing"

	"natspread/internal/console"
)

// TestChoose offers the answers of a question one by one, and takes the first that gets a yes.
func TestChoose(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{"n\ny\n": "made", "y\n": "meant", "n\nn\n": "", "\x04\x04": ""} {
		user, terminal := openTerminal(t)
		if _, err := io.WriteString(user, typed); err != nil {
			t.Fatal(err)
		}
		s := &session{Console: console.Console{In: terminal, Err: terminal}}
		got, err := s.Choose(t.Context(), "web: which shares", []string{"meant", "made"})
		if err != nil || got != want {
			t.Errorf("%q: got %q, %v", typed, got, err)
		}
		for shown := ""; !strings.Contains(shown, "web: which shares: meant? [y/N] "); shown += readShown(t, user) {
		}
	}
	nobody := &session{Console: console.Console{In: strings.NewReader("y\n"), Err: io.Discard}}
	if got, err := nobody.Choose(t.Context(), "which", []string{"meant"}); got != "" || err != nil {
		t.Errorf("nobody chose %q, %v", got, err)
	}
}
