package main

import (
	"io"
	"strings"
	"testing"

	"natspread/internal/adopt"
	"natspread/internal/console"
)

// TestChoose asks for an address, takes a yes for the proposal, asks again for what is none, and takes a no for no
// answer.
func TestChoose(t *testing.T) {
	t.Parallel()
	anywhere := adopt.Question{Flag: "listen", Text: "which", Answers: []string{"*", "ADDRESS"}}
	needed := adopt.Question{Flag: "listen", Text: "which", Answers: []string{"ADDRESS"}}
	shares := adopt.Question{Flag: "shares", Text: "which", Answers: []string{"meant", "made"}}
	for _, c := range []struct {
		question adopt.Question
		typed    string
		want     string
		shown    []string
	}{
		{anywhere, "y\n", "*", []string{"*, an address of this host, or y for *? "}},
		{anywhere, "192.0.2.10 192.0.2.11\n", "192.0.2.10 192.0.2.11", nil},
		{anywhere, "eth0\n192.0.2.10\n", "192.0.2.10", []string{`"eth0" is not * or an address of this host`}},
		{anywhere, "n\n", "", nil},
		{anywhere, "\n", "", nil},
		{anywhere, "\x04", "", nil},
		{needed, "y\n192.0.2.10\n", "192.0.2.10", []string{"\nan address of this host? ", `"y" is not`}},
		{shares, "kept\nmade\n", "made", []string{`"kept" is none of meant, made`, "meant, made, or y for meant? "}},
	} {
		user, terminal := openTerminal(t)
		if _, err := io.WriteString(user, c.typed); err != nil {
			t.Fatal(err)
		}
		s := &session{Console: console.Console{In: terminal, Err: terminal}}
		prompt, proposed := c.question.Prompt()
		got, err := s.Choose(t.Context(), c.question.Text, prompt, proposed, c.question.Wrong)
		if err != nil || got != c.want {
			t.Errorf("%q: got %q, %v", c.typed, got, err)
		}
		shown := ""
		for _, want := range append(c.shown, "? ") {
			for !strings.Contains(strings.ReplaceAll(shown, "\r", ""), want) {
				shown += readShown(t, user)
			}
		}
	}
	nobody := &session{Console: console.Console{In: strings.NewReader("y\n"), Err: io.Discard}}
	if got, err := nobody.Choose(t.Context(), "which", "a", "a", nil); got != "" || err != nil {
		t.Errorf("nobody chose %q, %v", got, err)
	}
}
