package forwarding

import (
	"errors"
	"io/fs"
	"net"
	"strings"

	"natspread/internal/rules"
)

// Switches are the sysctls of both families that let a host forward packets, and the
// place where their records are.
type Switches struct {
	Proc      string // where sysctls are files: /proc/sys
	Run       string // the directory of the records: net.ipv4.ip_forward and so on
	Namespace string // the network namespace that Proc shows, as namespace.ID names it; "" where that is not known

	links  func() ([]net.Interface, error)          // a seam for net.Interfaces
	change func(path string, do func() error) error // a seam for each change of a file
}

// Sysctl returns the name of a family's switch, as sysctl(8) writes it.
func Sysctl(family rules.Family) string {
	if family == rules.IPv6 {
		return "net.ipv6.conf.all.forwarding"
	}
	return "net.ipv4.ip_forward"
}

// hostSwitch is the switch of a family for the whole host.
func hostSwitch(family rules.Family) ID {
	return ID{Name: strings.ReplaceAll(Sysctl(family), ".", "/")}
}

// On tells whether the host forwards a family's packets.
func (s Switches) On(family rules.Family) (bool, error) {
	value, err := s.read(hostSwitch(family))
	return value == "1", err
}

// Set makes the host forward the families that have rules, and puts back what was found
// for the others. It returns the families that the host did not forward before. When it
// fails, every switch is as it was.
func (s Switches) Set(tables rules.Tables) (opened []Opened, err error) {
	var before States
	for _, family := range rules.Families() {
		var one *Opened
		if tables.Of(family).Empty() {
			before[family], err = s.putBack(family)
		} else {
			before[family], one, err = s.enable(family)
		}
		if err != nil {
			return nil, errors.Join(err, s.Revert(before))
		}
		if one != nil {
			opened = append(opened, *one)
		}
	}
	return opened, nil
}

// enable switches a family on, unless it is on already: then nothing is written but a
// record, which also tells the drop-in of nftables.service that natspread is loaded. It
// returns what there was before, nil when it changed nothing, also beside an error.
func (s Switches) enable(family rules.Family) (before *State, opened *Opened, err error) {
	on, err := s.On(family)
	if err != nil {
		return nil, nil, err
	}
	record, err := s.record(family)
	switch {
	case err != nil:
		return nil, nil, err
	case on && record.underWay():
		return nil, nil, s.keep(family, record.here())
	case on && record != nil:
		return nil, nil, nil
	case on:
		return &State{}, nil, s.keep(family, Record{{ID: hostSwitch(family), Found: "1", Left: []string{"1"}}})
	}
	found, err := s.values(family)
	if err != nil {
		return nil, nil, err
	}
	before = &State{found, record}
	turning := record.turning(family, found, spread(family, found, "1"))
	known := record.covers(family, turning)
	if !known {
		if err := s.keep(family, turning); err != nil {
			return before, nil, err
		}
	}
	if err := s.write(Switch{hostSwitch(family), "1"}); err != nil {
		return before, nil, err
	}
	left, err := s.values(family)
	if err == nil && !known {
		err = s.keep(family, turning.leftAt(left))
	}
	return before, s.opened(family, found, left), err
}

// putBack sets a family's switches to what was found before natspread, and removes its
// record. It returns what there was before, nil when nothing was kept, also beside an
// error.
func (s Switches) putBack(family rules.Family) (before *State, err error) {
	record, err := s.record(family)
	if err != nil || record == nil {
		return nil, err
	}
	now, err := s.values(family)
	if err != nil {
		return nil, err
	}
	before = &State{now, record}
	want := record.released(family, now)
	turning := record.turning(family, now, spread(family, now, want[0].Value), want)
	if err := s.bring(family, turning, now, want); err != nil {
		return before, err
	}
	return before, s.forget(family)
}

// bring sets a family's switches to values. The host's own switch moves the others, so
// those that must not move are written again. Until that is done the record is turning:
// then a stop after a kill still puts back what was found. What cannot be written down is
// not switched on; to switch off cannot wait for that.
func (s Switches) bring(family rules.Family, turning Record, now, want []Switch) error {
	if own := want[0]; own.Value != now[0].Value {
		if turning != nil {
			if err := s.keep(family, turning); err != nil && own.Value != "0" {
				return err
			}
		}
		if err := s.write(own); err != nil {
			return err
		}
		moved, err := s.values(family)
		if err != nil {
			return err
		}
		now = moved
	}
	wanted := byID(want)
	for _, one := range now {
		value, known := wanted[one.key()]
		if !known || value == one.Value {
			continue
		}
		if err := s.write(Switch{one.ID, value}); err != nil && !(one.Link != 0 && errors.Is(err, fs.ErrNotExist)) { // it went
			return err
		}
	}
	return nil
}
