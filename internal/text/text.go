// Package text writes values for people: a number with its noun, a share, a time, one safe
// line of a terminal.
package text

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Plural returns a number with its noun: 1 service, 2 services.
func Plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Strings returns values as they are printed.
func Strings[T any](values []T) []string {
	words := make([]string, len(values))
	for i, value := range values {
		words[i] = fmt.Sprint(value)
	}
	return words
}

// Percent writes a share from 0 to 1; of a small one it shows the first digits.
func Percent(share float64) string {
	if share > 0 && share < 0.00005 {
		return strconv.FormatFloat(100*share, 'g', 2, 64) + " %"
	}
	return strconv.FormatFloat(100*share, 'f', 2, 64) + " %"
}

// Duration returns a duration as people write it: 1h and not 1h0m0s.
func Duration(d time.Duration) string {
	written := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(written, zero) {
			written = written[:len(written)-2]
		}
	}
	return written
}

// Age returns for how long something has been so, by its two largest units: 3m12s, 2h5m, 40d3h.
func Age(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= day:
		return fmt.Sprintf("%dd%dh", d/day, d%day/time.Hour)
	case d >= time.Hour:
		return fmt.Sprintf("%dh%dm", d/time.Hour, d%time.Hour/time.Minute)
	case d >= time.Minute:
		return fmt.Sprintf("%dm%ds", d/time.Minute, d%time.Minute/time.Second)
	}
	return fmt.Sprintf("%ds", d/time.Second)
}

// Quoted writes words in double quotes, as the languages of Graphviz and of Prometheus take
// them.
func Quoted(words string) string {
	if strings.ContainsAny(words, "\\\"\n") { // hardly ever, and a Replacer takes its time
		words = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(words)
	}
	return `"` + words + `"`
}

// longest bounds a line of words. What people write and programs say is shorter; the lines of
// rules need not be.
const longest = 4096

// OneLine returns words that stay on one line, and that a terminal shows instead of
// obeying them: names of files and what programs said can hold anything. Of very long words
// only the beginning is returned.
func OneLine(words string) string {
	words = strings.TrimSpace(words)
	if len(words) > longest {
		words = fmt.Sprintf("%s ... (%d bytes in all)", strings.ToValidUTF8(words[:longest], ""), len(words))
	}
	words = strings.ReplaceAll(words, "\n", "; ")
	var line strings.Builder
	for _, r := range words {
		if unicode.IsPrint(r) {
			line.WriteRune(r)
		} else {
			line.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return line.String()
}

// Few joins the words of some values, of the first three of many.
func Few[T any](values []T) string {
	const most = 3
	words := make([]string, min(most, len(values)))
	for i := range words {
		words[i] = fmt.Sprint(values[i])
	}
	joined := strings.Join(words, ", ")
	if len(values) > most {
		return fmt.Sprintf("%s and %d more", joined, len(values)-most)
	}
	return joined
}
