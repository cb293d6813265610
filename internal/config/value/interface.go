package value

import (
	"fmt"
	"regexp"
	"strings"

	"natspread/internal/config/source"
)

// interfaceForm is what an interface may be called here, and with + a pattern of names. The kernel
// takes more, but nothing that an administrator gives on purpose. It takes no colon (dev_valid_name).
var interfaceForm = regexp.MustCompile(`\A[A-Za-z0-9_.@](?:[A-Za-z0-9_.@-]{0,14}|[A-Za-z0-9_.@-]{0,13}\+)\z`)

// mostInterface is the longest name of an interface: IFNAMSIZ less its NUL.
const mostInterface = 15

// isInterface tells whether a text is the name of an interface, or a pattern of names.
func isInterface(text string) bool {
	return interfaceForm.MatchString(text) && text != "." && text != ".."
}

// ParseInterface reads the name of a network interface, or the beginning of several names with +
// behind it.
func ParseInterface(text string) (string, *Fault) {
	if isInterface(text) {
		return text, nil
	}
	if device, label, found := strings.Cut(text, ":"); found && isInterface(device) && label != "" {
		return "", &Fault{
			"it is the label of an address (ip-address(8)), and packets come in by interfaces",
			fmt.Sprintf("write %q, or listen on that address", device),
		}
	}
	const cause = "an interface has 1 to 15 letters, digits and . _ @ -"
	plain := strings.TrimSpace(text)
	switch joined := strings.Join(strings.Fields(text), ""); {
	case severalInterfaces(text) && !isInterface(plain):
		return "", &Fault{"it is a list in one string", "write " + source.QuoteList(strings.FieldsFunc(text, Separates))}
	case joined != text && isInterface(joined):
		return "", &Fault{cause, "write " + source.Quote(joined)}
	case strings.HasPrefix(plain, "!"):
		return "", &Fault{"it excludes an interface", "natspread can't exclude one: write those that packets come in by, or take interface out, which is any"}
	case strings.ContainsAny(plain, "+*?"):
		return "", patternFault(plain)
	}
	return "", &Fault{cause, "write a name that `ip link` shows, as in \"eth0\""}
}

// severalInterfaces tells whether a text is several names with what separates them. Nobody calls an
// interface by a number alone: that of "eth 0" belongs to what stands before it.
func severalInterfaces(text string) bool {
	parts := strings.FieldsFunc(text, Separates)
	for _, part := range parts {
		if !isInterface(part) || strings.Trim(part, "0123456789") == "" {
			return false
		}
	}
	return len(parts) > 0
}

// patternFault is the fault of a pattern that iptables has none for.
func patternFault(text string) *Fault {
	stem := text[:strings.IndexAny(text, "+*?")]
	likely := stem[:min(len(stem), mostInterface-1)] + "+"
	switch {
	case stem == "":
		return &Fault{"it stands for every interface", "take interface out, which is any"}
	case !isInterface(likely):
		return &Fault{"a pattern is the beginning of names with + behind it", "write the names that `ip link` shows, as in \"eth0\""}
	case likely != stem+"+":
		return &Fault{"a pattern has at most 14 letters before the +", "write " + source.Quote(likely)}
	}
	return &Fault{"a pattern is the beginning of names with + behind it", fmt.Sprintf("write %s, which is every name that begins with %s", source.Quote(likely), stem)}
}

// InterfacesMeet tells whether some name of an interface satisfies two names or patterns.
func InterfacesMeet(a, b string) bool {
	stemA, patternA := strings.CutSuffix(a, "+")
	stemB, patternB := strings.CutSuffix(b, "+")
	switch {
	case patternA && patternB:
		return strings.HasPrefix(stemA, stemB) || strings.HasPrefix(stemB, stemA)
	case patternA:
		return strings.HasPrefix(b, stemA)
	case patternB:
		return strings.HasPrefix(a, stemB)
	}
	return a == b
}

// InterfaceWithin tells whether a name, or all names of a pattern, satisfy another one.
func InterfaceWithin(inner, outer string) bool {
	stem, pattern := strings.CutSuffix(outer, "+")
	if !pattern {
		return inner == outer
	}
	return strings.HasPrefix(strings.TrimSuffix(inner, "+"), stem)
}
