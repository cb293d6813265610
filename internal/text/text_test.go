package text

import (
	"errors"
	"testing"
	"time"
)

// Words are one line that a terminal shows and does not obey, and several causes
// stay apart.
func TestOneLine(t *testing.T) {
	t.Parallel()
	joined := errors.Join(errors.New("cannot write current"), errors.New("cannot remove generation 2")).Error()
	for words, want := range map[string]string{
		"cannot read x: gone":     "cannot read x: gone",
		"trailing end\n":          "trailing end",
		joined:                    "cannot write current; cannot remove generation 2",
		"cannot read a\x1b[2Jb":   `cannot read a\x1b[2Jb`,
		"cannot read a\rb\tc":     `cannot read a\rb\tc`,
		"cannot read \u202egnp":   `cannot read \u202egnp`,
		"cannot read grün, 10 µs": "cannot read grün, 10 µs",
	} {
		if got := OneLine(words); got != want {
			t.Errorf("%q: %q, not %q", words, got, want)
		}
	}
}

// Only one thing is singular.
func TestPlural(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0 lines", 1: "1 line", 2: "2 lines"} {
		if got := Plural(n, "line"); got != want {
			t.Errorf("%d: %q, not %q", n, got, want)
		}
	}
}

// A small share does not look like none.
func TestPercent(t *testing.T) {
	t.Parallel()
	for share, want := range map[float64]string{
		0: "0.00 %", 1: "100.00 %", 1.0 / 3: "33.33 %", 2.0 / 3: "66.67 %", 0.0001: "0.01 %",
		1.0 / 65536: "0.0015 %", 1e-9: "1e-07 %", 1 - 1e-9: "100.00 %",
	} {
		if got := Percent(share); got != want {
			t.Errorf("%v: %q, not %q", share, got, want)
		}
	}
}

// Zeros at the end are left out, and what is written is a duration again.
func TestDuration(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		time.Second: "1s", time.Minute: "1m", 90 * time.Second: "1m30s", 10 * time.Minute: "10m", time.Hour: "1h",
		time.Hour + 10*time.Second: "1h0m10s", 90 * time.Minute: "1h30m", 0: "0s",
	} {
		got := Duration(d)
		if again, err := time.ParseDuration(got); err != nil || again != d || got != want {
			t.Errorf("%v: %q, not %q; read again: %v, %v", d, got, want, again, err)
		}
	}
}

// TestAge is short, however old something is.
func TestAge(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0: "0s", 999 * time.Millisecond: "0s", 59 * time.Second: "59s", time.Minute: "1m0s", 192 * time.Second: "3m12s",
		time.Hour: "1h0m", 23*time.Hour + 59*time.Minute + 59*time.Second: "23h59m", 24 * time.Hour: "1d0h", 9000 * time.Hour: "375d0h",
	} {
		if got := Age(d); got != want {
			t.Errorf("%v: %q, not %q", d, got, want)
		}
	}
}
