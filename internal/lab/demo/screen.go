package main

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	// width is that of the narrowest usual terminal.
	width = 80

	// barWidth is the length of the longest bar, for which a line has room.
	barWidth = 26
)

// The colors, as SGR codes of a terminal.
const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

// screen is where the demo shows what happens.
type screen struct {
	out     io.Writer
	colored bool   // a terminal, and NO_COLOR is unset (no-color.org)
	block   string // what bars are made of
}

// newScreen asks the terminal and the locale what they can show.
func newScreen(out *os.File) screen {
	_, err := unix.IoctlGetTermios(int(out.Fd()), unix.TCGETS)
	s := screen{out: out, colored: err == nil && os.Getenv("NO_COLOR") == "", block: "#"}
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} { // in the order of locale(7)
		if locale := os.Getenv(name); locale != "" {
			if strings.Contains(strings.ToUpper(strings.ReplaceAll(locale, "-", "")), "UTF8") {
				s.block = "█"
			}
			break
		}
	}
	return s
}

// paint colors a text.
func (s screen) paint(code, text string) string {
	if !s.colored {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// say prints a line.
func (s screen) say(format string, args ...any) { fmt.Fprintf(s.out, format+"\n", args...) }

// table shows the shares that were seen beside those that were wanted: a bar for
// what was seen, and a mark where it should end.
func (s screen) table(r result) {
	s.say("\n  %-15s %9s %9s %12s", "backend", "wanted", "seen", "connections")
	longest := 0.0
	for i := range r.backends {
		longest = max(longest, r.wanted(i), r.seen(i))
	}
	for i, backend := range r.backends {
		s.say("  %-15s %7.2f %% %7.2f %% %12d  %s", backend, 100*r.wanted(i), 100*r.seen(i), r.counts[i],
			s.bar(r.seen(i)/longest, r.wanted(i)/longest))
	}
	verdict := s.paint(green, "fair")
	if !r.fair {
		verdict = s.paint(red, "not fair")
	}
	s.say("  chi-square %.2f: %s (a fair balancer fails this once in a million times)", r.statistic, verdict)
}

// bar draws a part of the longest bar, with a mark at another.
func (s screen) bar(seen, wanted float64) string {
	filled := int(seen*barWidth + 0.5)
	mark := max(int(wanted*barWidth+0.5)-1, 0)
	return s.paint(green, strings.Repeat(s.block, min(filled, mark))) +
		strings.Repeat(" ", max(mark-filled, 0)) + "|" +
		s.paint(green, strings.Repeat(s.block, max(filled-mark-1, 0)))
}

// quote shows what a program said, a little apart; a long line is wrapped.
func (s screen) quote(said string) {
	for line := range strings.Lines(said) {
		line = "  " + strings.TrimRight(line, " \n")
		for len(line) > width {
			end := strings.LastIndex(line[:width], " ")
			if strings.TrimSpace(line[:max(end, 0)]) == "" {
				break // one long word
			}
			s.say("%s", s.paint(dim, line[:end]))
			line = "    " + line[end+1:]
		}
		s.say("%s", s.paint(dim, strings.TrimRight(line, " ")))
	}
}

// runs are the parts of a row that have one color each.
var runs = regexp.MustCompile("1+|2+|3+|x+")

// film shows what each client got, one column after the other.
func (s screen) film(w *watch, words string) {
	const label = 15
	colors := map[byte]string{failed: red, '1': cyan, '2': yellow, '3': green}
	column, happened, rows := w.picture(width - label - 3)
	s.say("\n  %s; a column is %d ms:\n", words, column.Milliseconds())
	s.say("  %-*s%s", label, "client", s.paint(bold, happened))
	for i, row := range rows {
		s.say("  %-*s%s", label, w.names[i], runs.ReplaceAllStringFunc(row, func(run string) string { return s.paint(colors[run[0]], run) }))
	}
}
