// Package promtest reads Prometheus' text format, version 0.0.4, as strictly as the format
// says, for tests of what writes it.
package promtest

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The lines of the format: what a family is, and samples.
var (
	aboutLine   = regexp.MustCompile(`^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)$`)
	sampleLine  = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([^ ]+)$`)
	labelInLine = regexp.MustCompile(`^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)`)
)

// Scraped is what a collector makes of a text: the value of each series, and the type of
// each family.
type Scraped struct {
	Values map[string]float64 // by name, and labels as name=value with commas between
	Types  map[string]string
}

// Scrape reads a text as strictly as the format says: a family's HELP and TYPE come
// once and before its samples, these stand together, and no series stands twice.
func Scrape(text string) (Scraped, error) {
	got := Scraped{map[string]float64{}, map[string]string{}}
	helped, family := map[string]bool{}, ""
	if text == "" || !strings.HasSuffix(text, "\n") {
		return got, fmt.Errorf("%q does not end with a line", text)
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if about := aboutLine.FindStringSubmatch(line); about != nil {
			what, name, rest := about[1], about[2], about[3]
			switch {
			case what == "HELP" && !helped[name]:
				helped[name] = true
			case what == "TYPE" && got.Types[name] == "" && slices.Contains([]string{"counter", "gauge"}, rest):
				got.Types[name], family = rest, name
			default:
				return got, fmt.Errorf("%q: again, or no type", line)
			}
			continue
		}
		found := sampleLine.FindStringSubmatch(line)
		if found == nil || found[1] != family || !helped[family] {
			return got, fmt.Errorf("%q is no sample of family %q", line, family)
		}
		series, err := readLabels(found[2])
		if err != nil {
			return got, err
		}
		value, err := strconv.ParseFloat(found[3], 64)
		if _, twice := got.Values[family+series]; twice || err != nil {
			return got, fmt.Errorf("%q: %v, or twice", line, err)
		}
		got.Values[family+series] = value
	}
	return got, nil
}

// readLabels reads what stands in the braces of a sample.
func readLabels(text string) (string, error) {
	series := ""
	for text != "" {
		found := labelInLine.FindStringSubmatch(text)
		if found == nil {
			return "", fmt.Errorf("%q are no labels", text)
		}
		series += "," + found[1] + "=" + strings.NewReplacer(`\\`, `\`, `\"`, `"`, `\n`, "\n").Replace(found[2])
		text = text[len(found[0]):]
	}
	return series, nil
}
