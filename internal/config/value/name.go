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

// interfaceForm is what an interface may be called here. The kernel takes more,
// but nothing that an administrator gives on purpose. It takes no colon (dev_valid_name).
var interfaceForm = regexp.MustCompile(`\A[A-Za-z0-9_.@][A-Za-z0-9_.@-]{0,14}\z`)

// ParseInterface reads the name of a network interface.
func ParseInterface(text string) (string, *Fault) {
	if interfaceForm.MatchString(text) && text != "." && text != ".." {
		return text, nil
	}
	if device, label, found := strings.Cut(text, ":"); found && interfaceForm.MatchString(device) && label != "" {
		return "", &Fault{
			"it is the label of an address (ip-address(8)), and packets come in by interfaces",
			fmt.Sprintf("write %q, or listen on that address", device),
		}
	}
	const cause = "an interface has 1 to 15 letters, digits and . _ @ -"
	switch plain := strings.TrimSpace(text); {
	case plain != text && interfaceForm.MatchString(plain):
		return "", &Fault{cause, "write " + source.Quote(plain)}
	case strings.ContainsFunc(plain, Separates):
		return "", &Fault{"a service has one interface", "natspread can't take several: write a service for each, or take interface out, which is any"}
	case strings.ContainsAny(plain, "+*?"):
		return "", &Fault{"it is a pattern", "natspread can't take one: write the one name that `ip link` shows, or take interface out, which is any"}
	case strings.HasPrefix(plain, "!"):
		return "", &Fault{"it excludes an interface", "natspread can't exclude one: write the one that packets come in by, or take interface out, which is any"}
	}
	return "", &Fault{cause, "write a name that `ip link` shows, as in \"eth0\""}
}
