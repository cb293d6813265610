package failure

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"natspread/internal/config"
	"natspread/internal/screen"
	"natspread/restore"
	"natspread/restore/iptables"
)

// TestFix says the line that fixes an error last to people, and apart to programs, also where a
// reader of the error added words behind that line.
func TestFix(t *testing.T) {
	for _, c := range []struct{ err, text, what, fix string }{
		{"no route", "natspread: no route", "no route", ""},
		{"no route; fix: ip route", "natspread: no route; fix: ip route", "no route", "ip route"},
		{"no route; fix: ip route; nothing was changed", "natspread: no route; nothing was changed; fix: ip route", "no route; nothing was changed", "ip route"},
		{"no route; nothing was changed", "natspread: no route; nothing was changed", "no route; nothing was changed", ""},
		{"a; fix: b; fix: c", "natspread: a; fix: b; fix: c", "a; fix: b", "c"},
	} {
		if text := Text(screen.Screen{}, errors.New(c.err)); text != c.text {
			t.Errorf("%q, not %q", text, c.text)
		}
		want := Failure{ExitCode: 5, Errors: []Problem{{What: c.what, Fix: c.fix}}}
		if failed := Of(errors.New(c.err), 5); !reflect.DeepEqual(failed, want) {
			t.Errorf("%+v, not %+v", failed, want)
		}
	}
	odd := errors.New("a\x1b[2J\nb; fix: c\nd")
	problem := Of(odd, 1).Errors[0]
	if said := Text(screen.Screen{}, odd) + problem.What + problem.Fix; strings.ContainsAny(said, "\x1b\n") {
		t.Errorf("more than one line, or what a terminal obeys: %q", said)
	}
}

// TestConfig has each error of a config with its place; people get the first hundred.
func TestConfig(t *testing.T) {
	one := config.Errors{{File: "a.toml", Line: 2, Column: 3, Width: 1, Source: "xyz", Message: "wrong", Fix: "abc"}}
	err := fmt.Errorf("cannot apply: %w", slices.Repeat(one, most+1))
	failed := Of(err, 6)
	if want := (Problem{What: "wrong", Fix: "abc", File: "a.toml", Line: 2, Column: 3}); len(failed.Errors) != most+1 || failed.Errors[most] != want {
		t.Errorf("%d errors, the last is %+v", len(failed.Errors), failed.Errors[len(failed.Errors)-1])
	}
	if text := Text(screen.Screen{}, err); strings.Count(text, "a.toml:2:3: wrong\n") != most || !strings.HasSuffix(text, "\nnatspread: and 1 error more") {
		t.Errorf("%s", text)
	}
	if text := Text(screen.Screen{}, one); text != one.Error() {
		t.Errorf("%q, not %q", text, one.Error())
	}
}

// TestChanged tells whether something is not as it was, and what was done before the failure.
func TestChanged(t *testing.T) {
	cause := errors.New("no room")
	for name, c := range map[string]struct {
		err  error
		want Failure
	}{
		"nothing":      {cause, Failure{}},
		"not reverted": {fmt.Errorf("apply: %w", &iptables.NotRevertedError{Err: cause}), Failure{Changed: true}},
		"a result":     {Halfway(restore.Result{Changed: true, Notes: []string{"note"}}, nil, cause), Failure{Changed: true, Notes: []string{"note"}}},
		"done":         {Halfway(restore.Result{}, []string{"wrote /etc/x"}, cause), Failure{Changed: true, Done: []string{"wrote /etc/x"}}},
		"done as ever": {Halfway(restore.Result{}, []string{"reloaded systemd"}, cause), Failure{Done: []string{"reloaded systemd"}}},
	} {
		failed := Of(c.err, 0)
		failed.Errors = nil
		if !reflect.DeepEqual(failed, c.want) || !errors.Is(c.err, cause) {
			t.Errorf("%s: %+v", name, failed)
		}
	}
}
