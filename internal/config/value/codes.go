package value

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"natspread/internal/config/source"
)

// Codes is a range of status codes with both ends in it.
type Codes struct{ First, Last int }

// anyOfHundred is how some programs write all the codes from one hundred to the next.
var anyOfHundred = regexp.MustCompile(`\A[1-5][xX]{2}\z`)

// ParseCodes reads "200" or "200-299".
func ParseCodes(text string) (Codes, *Fault) {
	low, high, isRange := strings.Cut(text, "-")
	if !isRange {
		high = low
	}
	first, ok := parseCode(low)
	last, ok2 := parseCode(high)
	switch {
	case anyOfHundred.MatchString(text):
		return Codes{}, &Fault{"a range has its first and its last code", fmt.Sprintf("write %q", text[:1]+"00-"+text[:1]+"99")}
	case strings.Contains(text, ","):
		return Codes{}, &Fault{"several codes are a list", "write " + source.QuoteList(strings.FieldsFunc(text, Separates))}
	case !ok || !ok2:
		return Codes{}, &Fault{"a status code is 100 to 599", "write a code or a range of them, as in " + source.Quote(likelyCodes(low, high))}
	case first > last:
		return Codes{}, &Fault{"the range ends before it begins", fmt.Sprintf("write %q", high+"-"+low)}
	}
	return Codes{first, last}, nil
}

// likelyCodes returns the codes nearest to a range that has others.
func likelyCodes(low, high string) string {
	first, err := strconv.Atoi(low)
	last, err2 := strconv.Atoi(high)
	if high == "" {
		last, err2 = 599, nil
	}
	if first, last = min(max(first, 100), 599), min(max(last, 100), 599); err != nil || err2 != nil || first >= last {
		return "200-299"
	}
	return fmt.Sprintf("%d-%d", first, last)
}

// parseCode reads a status code.
func parseCode(text string) (int, bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil && 100 <= n && n <= 599 && len(text) == 3
}

// JoinCodes writes ranges of codes in order, each code once; without any it is the default.
func JoinCodes(all []Codes) string {
	if len(all) == 0 {
		return "200-399"
	}
	slices.SortFunc(all, func(a, b Codes) int { return cmp.Compare(a.First, b.First) })
	joined := all[:1:1]
	for _, next := range all[1:] {
		if last := &joined[len(joined)-1]; next.First <= last.Last+1 {
			last.Last = max(last.Last, next.Last)
		} else {
			joined = append(joined, next)
		}
	}
	words := make([]string, len(joined))
	for i, c := range joined {
		words[i] = strconv.Itoa(c.First)
		if c.Last != c.First {
			words[i] += "-" + strconv.Itoa(c.Last)
		}
	}
	return strings.Join(words, ",")
}
