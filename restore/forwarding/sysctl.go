package forwarding

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"natspread/internal/rules"
)

// ID identifies a switch.
type ID struct {
	Name string `json:"name"`           // its path below /proc/sys: an interface's name may have a dot
	Link int    `json:"link,omitempty"` // the index of its interface; 0 for the host's own
}

// key returns what two IDs of one switch have in common: an interface that udev renames
// keeps its index and its values.
func (i ID) key() ID {
	if i.Link != 0 {
		i.Name = ""
	}
	return i
}

// interfaceName returns the name of its interface.
func (i ID) interfaceName() string { return path.Base(path.Dir(i.Name)) }

// String returns a name that sysctl(8) takes.
func (i ID) String() string {
	if strings.Contains(i.Name, ".") {
		return i.Name
	}
	return strings.ReplaceAll(i.Name, "/", ".")
}

// Switch is a sysctl and its value.
type Switch struct {
	ID
	Value string `json:"value"`
}

// redirects is the switch that the kernel sets with ip_forward, to its contrary: a router
// takes no redirects.
const redirects = "net/ipv4/conf/all/accept_redirects"

// forwardingOf returns the name of the forwarding switch of an interface, or of "default",
// which new interfaces begin with.
func forwardingOf(family rules.Family, name string) string {
	return path.Join("net", family.String(), "conf", name, "forwarding")
}

// spread returns what the kernel makes of a family's switches when the host's own, the
// first, gets another value: inet_forward_change of net/ipv4/devinet.c and
// addrconf_fixup_forwarding of net/ipv6/addrconf.c. IPv4 does nothing when the value is
// the same. IPv6 does all of it even then, so what has its value already is never written.
func spread(family rules.Family, now []Switch, value string) []Switch {
	after := slices.Clone(now)
	for i, one := range after {
		switch {
		case family == rules.IPv4 && one.Name == redirects && value == "0":
			after[i].Value = "1"
		case family == rules.IPv4 && one.Name == redirects:
			after[i].Value = "0"
		default:
			after[i].Value = value
		}
	}
	return after
}

// values reads the switches of a family: the host's own, which must be there, and those
// that the kernel sets along with it.
func (s Switches) values(family rules.Family) ([]Switch, error) {
	own := hostSwitch(family)
	value, err := s.read(own)
	if err != nil {
		return nil, err
	}
	values := []Switch{{own, value}}
	ids, err := s.others(family)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		switch value, err := s.read(id); {
		case errors.Is(err, fs.ErrNotExist): // an interface that went, or one whose MTU is too small for IPv6
		case err != nil:
			return nil, err
		default:
			values = append(values, Switch{id, value})
		}
	}
	return values, nil
}

// others returns the switches that the kernel sets along with the host's own. Redirects
// come first: nobody should wait for them to be refused again.
func (s Switches) others(family rules.Family) ([]ID, error) {
	var ids []ID
	if family == rules.IPv4 {
		ids = append(ids, ID{Name: redirects})
	}
	ids = append(ids, ID{Name: forwardingOf(family, "default")})
	list := s.links
	if list == nil {
		list = net.Interfaces
	}
	links, err := list()
	if err != nil {
		return nil, fmt.Errorf("cannot list the interfaces: %w", err)
	}
	for _, link := range links {
		ids = append(ids, ID{forwardingOf(family, link.Name), link.Index})
	}
	return ids, nil
}

// byID returns the values of switches by their keys.
func byID(switches []Switch) map[ID]string {
	values := make(map[ID]string, len(switches))
	for _, one := range switches {
		values[one.key()] = one.Value
	}
	return values
}

// path returns the file of a switch.
func (s Switches) path(id ID) string { return filepath.Join(s.Proc, id.Name) }

// read returns the value of a switch.
func (s Switches) read(id ID) (string, error) {
	value, err := os.ReadFile(s.path(id))
	if err != nil {
		return "", fmt.Errorf("cannot read %v: %w", id, err)
	}
	return strings.TrimSpace(string(value)), nil
}

// write sets a switch.
func (s Switches) write(one Switch) error {
	path := s.path(one.ID)
	err := s.do(path, func() error { return writeFile(path, one.Value+"\n") })
	if err != nil {
		return fmt.Errorf("cannot set %v to %s: %w", one.ID, one.Value, err)
	}
	return nil
}

// writeFile writes to a file that is there: with O_CREATE the kernel would say EACCES of a
// sysctl that went with its interface. A write to a sysctl is one system call or nothing.
func writeFile(path, text string) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(text)
	return errors.Join(err, file.Close())
}

// do changes a file.
func (s Switches) do(path string, change func() error) error {
	if s.change == nil {
		return change()
	}
	return s.change(path, change)
}
