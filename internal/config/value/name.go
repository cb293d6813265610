package value

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"natspread/internal/config/source"
)

// nameForm is what a name may be: chains are called by it.
var nameForm = regexp.MustCompile(`\A[a-z][a-z0-9_-]{0,31}\z`)

// mostName is the longest name.
const mostName = 32

// ParseName reads a service's name.
func ParseName(text string) (string, *Fault) {
	if nameForm.MatchString(text) {
		return text, nil
	}
	cause := "a name is 1 to 32 of a-z, 0-9, - and _, and begins with a letter"
	if len(text) > mostName && strings.Trim(text, nameLetters) == "" {
		cause = fmt.Sprintf("it has %d letters, and a name has at most %d", len(text), mostName)
	}
	return "", &Fault{cause, "write " + source.Quote(LikelyName(text))}
}

// nameLetters are those that a name may have.
const nameLetters = "abcdefghijklmnopqrstuvwxyz0123456789-_"

// ParsePool reads the name of the pool of a service.
func ParsePool(text string) (string, *Fault) {
	if first, _, several := strings.Cut(text, ","); several {
		return "", &Fault{"a service has one pool", "write " + source.Quote(LikelyName(first)) + ", and the backends of all into that pool"}
	}
	return ParseName(text)
}

// LikelyName returns a name that is as much like a text as one can be.
func LikelyName(text string) string {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return r == '-' || !strings.ContainsRune(nameLetters, r) })
	name := strings.TrimLeft(strings.Join(words, "-"), "0123456789-")
	if name == "" {
		return "web"
	}
	return strings.TrimRight(name[:min(len(name), mostName)], "-")
}

// NumberedName returns a name with a number behind it that tells it from others like it; the
// first one needs none.
func NumberedName(name string, n int) string {
	if n == 1 {
		return name
	}
	number := "-" + strconv.Itoa(n)
	return strings.TrimRight(name[:min(len(name), mostName-len(number))], "-") + number
}
