package forwarding

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"natspread/internal/rules"
)

// Opened is a family that the host did not forward before Set, and does since.
type Opened struct {
	Family rules.Family
	Links  []string // the interfaces, without lo, whose packets were not forwarded before
}

// String says it to people.
func (o Opened) String() string {
	by := ""
	switch n := len(o.Links); {
	case n == 1:
		by = ", by " + o.Links[0]
	case n > maxNamed:
		by = fmt.Sprintf(", by %s and %d more interfaces", strings.Join(o.Links[:maxNamed-1], ", "), n-maxNamed+1)
	case n > 1:
		by = ", by " + strings.Join(o.Links[:n-1], ", ") + " and " + o.Links[n-1]
	}
	return fmt.Sprintf("%v: this host forwards packets for everybody from now on%s, unless FORWARD drops them; fix: %s", o.Family, by, rules.CloseForward(o.Family))
}

// maxNamed bounds how many interfaces are named: a host with containers has many.
const maxNamed = 6

// opened returns what a switch from found to left opened, nil when the host forwarded
// before.
func (s Switches) opened(family rules.Family, found, left []Switch) *Opened {
	if found[0].Value != "0" {
		return nil
	}
	opened := &Opened{Family: family}
	before := byID(found)
	for _, one := range left {
		if one.Link == 0 || one.interfaceName() == "lo" || s.forwarded(family, one.ID, before[one.key()]) {
			continue
		}
		if family == rules.IPv6 || one.Value != "0" {
			opened.Links = append(opened.Links, one.interfaceName())
		}
	}
	slices.Sort(opened.Links)
	return opened
}

// forwarded tells whether what came in by an interface was forwarded while the host's own
// switch was off. IPv4 asks the interface's switch, whose value was before. IPv6 does not:
// since Linux 6.17 it asks another one.
func (s Switches) forwarded(family rules.Family, link ID, before string) bool {
	if family == rules.IPv4 {
		return before != "" && before != "0"
	}
	forced, err := os.ReadFile(s.path(ID{Name: strings.TrimSuffix(link.Name, "forwarding") + "force_forwarding"}))
	return err == nil && strings.TrimSpace(string(forced)) != "0"
}
