package config

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"natspread/internal/suggest"
)

// nameForm is what a name may be: it becomes part of a chain's name, which has
// 28 bytes at most.
var nameForm = regexp.MustCompile(`\A[a-z][a-z0-9-]{0,14}\z`)

// parseName reads a service's name.
func parseName(text string) (string, *fault) {
	if nameForm.MatchString(text) {
		return text, nil
	}
	return "", &fault{
		"a name is 1 to 15 of a-z, 0-9 and -, and begins with a letter",
		`write a name such as "web" or "web-2"`,
	}
}

// interfaceForm is what an interface may be called here. The kernel takes more,
// but nothing that an administrator gives on purpose. It takes no colon (dev_valid_name).
var interfaceForm = regexp.MustCompile(`\A[A-Za-z0-9_.@][A-Za-z0-9_.@-]{0,14}\z`)

// parseInterface reads the name of a network interface.
func parseInterface(text string) (string, *fault) {
	if interfaceForm.MatchString(text) && text != "." && text != ".." {
		return text, nil
	}
	if device, label, found := strings.Cut(text, ":"); found && interfaceForm.MatchString(device) && label != "" {
		return "", &fault{
			"it is the label of an address (ip-address(8)), and packets come in by interfaces",
			fmt.Sprintf("write %q, or listen on that address", device),
		}
	}
	return "", &fault{
		"an interface has 1 to 15 letters, digits and . _ @ -",
		"write a name that `ip link` shows, such as \"eth0\"",
	}
}

// parseSNAT reads a mode or the address that stands for one.
func parseSNAT(text string) (SNAT, *fault) {
	switch {
	case text == "masquerade":
		return SNAT{Mode: Masquerade}, nil
	case text == "none":
		return SNAT{Mode: None}, nil
	case !strings.ContainsAny(text, ".:"):
		_, why := oneOf(SNAT{Mode: Masquerade}.String(), SNAT{Mode: None}.String())(text)
		why.cause += " or an address"
		if why.fix == "" {
			why.fix = `write "masquerade", "none" or the address that backends shall see`
		}
		return SNAT{}, why
	}
	if e, why := splitEndpoint(text); why == nil && e.hasPorts {
		return SNAT{}, &fault{"it has a port, and the ports of SNAT are the kernel's to pick", "write " + e.host + " alone"}
	}
	a, why := parseUnicast(text)
	return SNAT{Address, a}, why
}

// oneOf returns what reads a word that is one of those known.
func oneOf[T ~string](known ...T) func(text string) (T, *fault) {
	return func(text string) (T, *fault) {
		words := make([]string, len(known))
		for i, word := range known {
			words[i] = string(word)
		}
		if slices.Contains(words, text) {
			return T(text), nil
		}
		why := &fault{cause: "it is not one of " + strings.Join(words, ", ")}
		if guess := suggest.Word(text, words); guess != "" {
			why.fix = `did you mean "` + guess + `"?`
		}
		return T(text), why
	}
}
