package config

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// codes is a range of status codes with both ends in it.
type codes struct{ first, last int }

// anyOfHundred is how some programs write all the codes from one hundred to the next.
var anyOfHundred = regexp.MustCompile(`\A[1-5][xX]{2}\z`)

// parseCodes reads "200" or "200-299".
func parseCodes(text string) (codes, *fault) {
	low, high, isRange := strings.Cut(text, "-")
	if !isRange {
		high = low
	}
	first, ok := parseCode(low)
	last, ok2 := parseCode(high)
	switch {
	case anyOfHundred.MatchString(text):
		return codes{}, &fault{"a range has its first and its last code", fmt.Sprintf("write %q", text[:1]+"00-"+text[:1]+"99")}
	case strings.Contains(text, ","):
		return codes{}, &fault{"several codes are a list", "write " + quoteList(strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' }))}
	case !ok || !ok2:
		return codes{}, &fault{"a status code is 100 to 599", `write a code or a range of them, as in "200-299"`}
	case first > last:
		return codes{}, &fault{"the range ends before it begins", fmt.Sprintf("write %q", high+"-"+low)}
	}
	return codes{first, last}, nil
}

// parseCode reads a status code.
func parseCode(text string) (int, bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil && 100 <= n && n <= 599 && len(text) == 3
}

// joinCodes writes ranges of codes in order, each code once; without any it is the default.
func joinCodes(all []codes) string {
	if len(all) == 0 {
		return "200-399"
	}
	slices.SortFunc(all, func(a, b codes) int { return cmp.Compare(a.first, b.first) })
	joined := all[:1:1]
	for _, next := range all[1:] {
		if last := &joined[len(joined)-1]; next.first <= last.last+1 {
			last.last = max(last.last, next.last)
		} else {
			joined = append(joined, next)
		}
	}
	words := make([]string, len(joined))
	for i, c := range joined {
		words[i] = strconv.Itoa(c.first)
		if c.last != c.first {
			words[i] += "-" + strconv.Itoa(c.last)
		}
	}
	return strings.Join(words, ",")
}
