package finding

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// of returns a finding of a kind.
func of(kind, name, fix string) Finding {
	return Finding{Severity: Risk, What: name, Fix: fix, Of: Subject{Kind: kind, Name: name, Services: []string{"web"}}}
}

// TestFold makes one finding of four of a kind, in the place of the first, and leaves fewer, those of
// another severity, and those of no kind.
func TestFold(t *testing.T) {
	t.Parallel()
	a, b := of("are a", "a0", "mend"), of("are b", "b0", "mend b0")
	other := of("are b", "b3", "mend b3")
	broken := a
	broken.Severity = Broken
	host := Finding{Severity: Risk, What: "host"}
	for name, c := range map[string]struct{ found, want []Finding }{
		"nothing":    {},
		"three":      {found: []Finding{a, a, a, broken}, want: []Finding{a, a, a, broken}},
		"no kind":    {found: slices.Repeat([]Finding{host}, 5), want: slices.Repeat([]Finding{host}, 5)},
		"one fix":    {found: []Finding{host, a, b, a, a, a, host}, want: []Finding{host, {Severity: Risk, What: "4 are a, a0 of web first", Fix: "mend"}, b, host}},
		"many fixes": {found: []Finding{b, b, b, a, other}, want: []Finding{{Severity: Risk, What: "4 are b, b0 of web first", Fix: "each"}, a}},
	} {
		if diff := cmp.Diff(c.want, Fold(c.found, "each")); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// TestSubject names what is a service itself, and what is no service's.
func TestSubject(t *testing.T) {
	t.Parallel()
	for want, of := range map[string]Subject{
		"192.0.2.1 of web": {Name: "192.0.2.1", Services: []string{"web", "mail"}},
		"web":              {Services: []string{"web"}},
		"192.0.2.1":        {Name: "192.0.2.1"},
	} {
		if got := of.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
