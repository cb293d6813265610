package trace

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"natspread/internal/rules"
)

// TestDecimals writes a mean, and a whole number without decimals.
func TestDecimals(t *testing.T) {
	t.Parallel()
	for mean, want := range map[float64]string{3: "3", 3.5: "3.50", 1.0 / 3: "0.33", 2.999: "3", 0: "0"} {
		if got := decimals(mean); got != want {
			t.Errorf("%v: %q, not %q", mean, got, want)
		}
	}
}

// TestWhoseText names a few, and counts the others of many.
func TestWhoseText(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{1: "for 1", 4: "for 1, 2, 3, 4", 5: "for 1 and 4 others"} {
		var names []string
		for i := range n {
			names = append(names, fmt.Sprint(i+1))
		}
		if got := whoseText(names); got != want {
			t.Errorf("%d: %q, not %q", n, got, want)
		}
	}
}

// TestLaterTexts writes what goes the same path once, and of many paths the first, unless
// all of them are asked for. What takes no path has no text.
func TestLaterTexts(t *testing.T) {
	t.Parallel()
	const line = rules.Postrouting + ", for 10.0.0.%d:80: none of %d rules\n"
	outcomesWith := func(ruleCounts ...int) []Outcome {
		var outcomes []Outcome
		for i, count := range ruleCounts {
			outcome := Outcome{Taken: true, Target: rules.Target{Kind: rules.DNAT, Address: netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), Port: 80}}
			if count > 0 {
				outcome.After = &Path{Chain: rules.Postrouting, Rules: count}
			}
			outcomes = append(outcomes, outcome)
		}
		return outcomes
	}
	after := func(o Outcome) *Path { return o.After }
	many := outcomesWith(2, 3, 4, 5, 6)
	for name, c := range map[string]struct {
		outcomes []Outcome
		all      bool
		want     []string
	}{
		"none":            {outcomesWith(0, 0), false, nil},
		"the same for 2":  {outcomesWith(7, 0, 7), false, []string{rules.Postrouting + ", for 10.0.0.1:80, 10.0.0.3:80: none of 7 rules\n"}},
		"2 paths":         {outcomesWith(2, 3), false, []string{fmt.Sprintf(line, 1, 2), fmt.Sprintf(line, 2, 3)}},
		"5 paths":         {many, false, []string{fmt.Sprintf(line, 1, 2), rules.Postrouting + ": 4 others have paths of their own, which -v prints\n"}},
		"5 paths, all":    {many, true, []string{fmt.Sprintf(line, 1, 2), fmt.Sprintf(line, 2, 3), fmt.Sprintf(line, 3, 4), fmt.Sprintf(line, 4, 5), fmt.Sprintf(line, 5, 6)}},
		"4 of 6 the same": {slices.Concat(outcomesWith(9, 9, 9, 9), outcomesWith(2, 3)[:1]), false, []string{rules.Postrouting + ", for 10.0.0.1:80, 10.0.0.2:80, 10.0.0.3:80, 10.0.0.4:80: none of 9 rules\n", fmt.Sprintf(line, 1, 2)}},
	} {
		if diff := cmp.Diff(c.want, laterTexts(c.outcomes, rules.Postrouting, c.all, after)); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
}

// TestSourceText says what becomes of the source, also where nothing does.
func TestSourceText(t *testing.T) {
	t.Parallel()
	snat := func(target rules.Target) *Path {
		return &Path{Chain: rules.Postrouting, Hops: []Hop{{Rule: rules.Rule{Target: target}}}}
	}
	for _, c := range []struct {
		want    string
		outcome Outcome
	}{
		{"-", Outcome{}},
		{"kept", Outcome{After: &Path{Chain: rules.Postrouting}}},
		{"kept", Outcome{After: snat(rules.Target{Kind: rules.Accept})}},
		{"MASQUERADE", Outcome{After: snat(rules.Target{Kind: rules.Masquerade})}},
		{"SNAT to 192.0.2.10-192.0.2.12 --random-fully", Outcome{After: snat(rules.Target{Kind: rules.SNAT, Address: netip.MustParseAddr("192.0.2.10"), Last: netip.MustParseAddr("192.0.2.12"), Random: true})}},
		{"MASQUERADE --random-fully", Outcome{After: snat(rules.Target{Kind: rules.Masquerade, Random: true})}},
		{"SNAT to 192.0.2.10", Outcome{After: snat(rules.Target{Kind: rules.SNAT, Address: netip.MustParseAddr("192.0.2.10")})}},
	} {
		if got := sourceText(c.outcome); got != c.want {
			t.Errorf("%q, not %q", got, c.want)
		}
	}
}
