package main

import (
	"io"
	"strings"
	"testing"
)

// TestChoose offers the answers of a question one by one, and takes the first that gets a yes.
func TestChoose(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{"n\ny\n": "made", "y\n": "meant", "n\nn\n": "", "\x04\x04": ""} {
		user, terminal := openTerminal(t)
		if _, err := io.WriteString(user, typed); err != nil {
			t.Fatal(err)
		}
		s := &session{streams: streams{in: terminal, err: terminal}}
		got, err := s.choose(t.Context(), "web: which shares", []string{"meant", "made"})
		if err != nil || got != want {
			t.Errorf("%q: got %q, %v", typed, got, err)
		}
		for shown := ""; !strings.Contains(shown, "web: which shares: meant? [y/N] "); shown += readShown(t, user) {
		}
	}
	nobody := &session{streams: streams{in: strings.NewReader("y\n"), err: io.Discard}}
	if got, err := nobody.choose(t.Context(), "which", []string{"meant"}); got != "" || err != nil {
		t.Errorf("nobody chose %q, %v", got, err)
	}
}
