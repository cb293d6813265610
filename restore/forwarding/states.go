package forwarding

import (
	"encoding/json"
	"errors"
	"io/fs"
	"reflect"
	"slices"
	"strings"

	"natspread/internal/rules"
)

// State is a family's switches as they were, and what was kept of them.
type State struct {
	Switches []Switch `json:"switches"` // the host's own is the first
	Record   Record   `json:"record"`   // nil when nothing was kept
}

// States are the states of both families' switches; nil for a family that the kernel
// does not have.
type States [2]*State

// States returns the states of the switches.
func (s Switches) States() (states States, err error) {
	for _, family := range rules.Families() {
		now, err := s.values(family)
		if errors.Is(err, fs.ErrNotExist) { // a kernel without IPv6
			continue
		}
		if err != nil {
			return states, err
		}
		record, err := s.record(family)
		if err != nil {
			return states, err
		}
		states[family] = &State{now, record.here()}
	}
	return states, nil
}

// Revert sets the switches, and what is kept of them, to earlier states, after one Set or
// a part of one. A switch that does not have the value that Set left it at stays. It may
// be repeated.
func (s Switches) Revert(states States) error {
	var failed error
	for _, family := range rules.Families() {
		if state := states[family]; state != nil {
			failed = errors.Join(failed, s.revert(family, *state))
		}
	}
	return failed
}

// revert is Revert for a family.
func (s Switches) revert(family rules.Family, state State) error {
	record, err := s.record(family)
	if err != nil {
		return err
	}
	same := reflect.DeepEqual(record, state.Record)
	if len(state.Switches) > 0 && !(same && (record == nil || state.Switches[0].Value == "1")) { // Set turns nothing that is on
		now, err := s.values(family)
		if err != nil {
			return err
		}
		want := state.back(family, record).released(family, now)
		after := spread(family, now, want[0].Value)
		turning := record.turning(family, now, after, want).to(want)
		if want[0].Value == "0" && slices.Equal(want, after) {
			turning = nil // one write does it all, and the record serves until then
		}
		if err := s.bring(family, turning, now, want); err != nil {
			return err
		}
		same = false // the switches were turned
	}
	switch {
	case same:
		return nil
	case state.Record == nil:
		return s.forget(family)
	}
	return s.keep(family, state.Record)
}

// back returns the record of a revert to a state: it puts back what the record says was
// found. Where nothing is kept now, Set has put back what was found before.
func (s State) back(family rules.Family, record Record) Record {
	var back Record
	if record.underWay() {
		for _, kept := range record {
			kept.Found = kept.Back
			back = append(back, kept)
		}
		return back
	}
	kept := record.find(family)
	released := s.Record.released(family, s.Switches)
	for i, one := range s.Switches {
		left := []string{released[i].Value}
		if record != nil {
			now, _ := kept(one.ID)
			left = now.Left
		}
		back = append(back, Kept{ID: one.ID, Found: one.Value, Left: left})
	}
	return back
}

// oldState is a State of natspread 0.1, which knew of the host's own switch only.
type oldState struct {
	Value string  `json:"value"`
	Kept  *string `json:"kept"`
}

// UnmarshalJSON reads States, also those that natspread 0.1 wrote: a trial may outlive an
// upgrade.
func (s *States) UnmarshalJSON(data []byte) error {
	var read [2]*struct {
		State
		oldState
	}
	if err := json.Unmarshal(data, &read); err != nil {
		return err
	}
	for _, family := range rules.Families() {
		one := read[family]
		if one == nil {
			s[family] = nil
			continue
		}
		if one.Value != "" {
			one.Switches = []Switch{{hostSwitch(family), strings.TrimSpace(one.Value)}}
		}
		if one.Kept != nil {
			one.Record = old(family, strings.TrimSpace(*one.Kept))
		}
		s[family] = &one.State
	}
	return nil
}
