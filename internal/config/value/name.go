package value

import (
	"fmt"
	"regexp"
	"strings"
)

// nameForm is what a name may be: it becomes part of a chain's name, which has
// 28 bytes at most.
var nameForm = regexp.MustCompile(`\A[a-z][a-z0-9-]{0,14}\z`)

// ParseName reads a service's name.
func ParseName(text string) (string, *Fault) {
	if nameForm.MatchString(text) {
		return text, nil
	}
	return "", &Fault{
		"a name is 1 to 15 of a-z, 0-9 and -, and begins with a letter",
		`write a name such as "web" or "web-2"`,
	}
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
	return "", &Fault{
		"an interface has 1 to 15 letters, digits and . _ @ -",
		"write a name that `ip link` shows, such as \"eth0\"",
	}
}
