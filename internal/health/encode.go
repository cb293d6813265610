package health

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"natspread/internal/config"
)

// maxRecord is the most bytes that an encoded record or note may have: 30,000 checks take
// an eighth of it.
const maxRecord = 64 << 20

// Encode returns the record as the bytes of a file.
func (r Record) Encode() ([]byte, error) { return json.Marshal(r) }

// DecodeRecord reads what Encode wrote in the same network namespace and boot, before now. It
// believes nothing that a watcher of this version would not have written.
func DecodeRecord(data []byte, namespace string, now time.Duration) (Record, error) {
	var r Record
	if err := decode(data, &r); err != nil {
		return Record{}, fmt.Errorf("cannot read the record of health checks: %w", err)
	}
	if namespace == "" || r.Namespace != namespace {
		return Record{}, errors.New("cannot use the record of health checks: it is of another boot or network namespace")
	}
	if r.Beat > now {
		return Record{}, errors.New("cannot use the record of health checks: its time is in the future")
	}
	if err := r.check(); err != nil {
		return Record{}, fmt.Errorf("cannot use the record of health checks: %w", err)
	}
	return r, nil
}

// Encode returns the note as the bytes that an overlay carries.
func (n Note) Encode() ([]byte, error) { return json.Marshal(n) }

// DecodeNote reads what Encode wrote, and refuses what it would not write.
func DecodeNote(data []byte) (Note, error) {
	var n Note
	if err := decode(data, &n); err != nil {
		return Note{}, fmt.Errorf("cannot read the note of an overlay: %w", err)
	}
	if err := n.check(); err != nil {
		return Note{}, fmt.Errorf("cannot use the note of an overlay: %w", err)
	}
	return n, nil
}

// decode reads one value of JSON with known keys only.
func decode(data []byte, into any) error {
	if len(data) > maxRecord {
		return fmt.Errorf("it has more than %d bytes", maxRecord)
	}
	reader := json.NewDecoder(bytes.NewReader(data))
	reader.DisallowUnknownFields()
	if err := reader.Decode(into); err != nil {
		return err
	}
	if _, err := reader.Token(); err != io.EOF {
		return errors.New("more text follows its end")
	}
	return nil
}

// check returns what no watcher writes.
func (r Record) check() error {
	if r.Generation < 0 || r.Beat < 0 || r.LoadDuration < 0 {
		return errors.New("a number is below 0")
	}
	seen := make(map[Check]bool, len(r.Checks))
	for _, c := range r.Checks {
		if seen[c.Check] {
			return fmt.Errorf("the check of %s is there twice", c.Check.Target)
		}
		seen[c.Check] = true
		if err := c.check(r.Beat); err != nil {
			return fmt.Errorf("the check of %s: %w", c.Check.Target, err)
		}
	}
	return nil
}

// check returns what cannot be of a check whose record was written at a time.
func (c CheckRecord) check(beat time.Duration) error {
	switch {
	case !c.Check.Target.IsValid() || c.Check.Target.Port() == 0 || c.Check.Port != 0:
		return errors.New("its target has no address or no port")
	case c.Check.Type == "" || c.Check.Interval <= 0 || c.Check.Timeout <= 0 || c.Check.Fall < 1 || c.Check.Rise < 1:
		return errors.New("its type or one of its numbers is missing")
	case !slices.Contains([]State{New, Up, Down}, c.State):
		return fmt.Errorf("unknown state %q", c.State)
	case c.Since < 0 || c.Since > beat || c.Duration < 0:
		return errors.New("a time is below 0, or later than the record")
	case c.Unanswered < 0 || c.Answered < 0:
		return errors.New("a number is below 0")
	case c.Reason != clean(c.Reason):
		return errors.New("its reason is not one short line")
	case len(c.Falls) > maxFalls || !slices.IsSorted(c.Falls) || len(c.Falls) > 0 && (c.Falls[0] < 0 || c.Falls[len(c.Falls)-1] > beat):
		return errors.New("the times of its falls are too many, unsorted, below 0 or later than the record")
	}
	return nil
}

// check returns what no note says.
func (n Note) check() error {
	seen := make(map[string]bool, len(n.Services))
	for _, s := range n.Services {
		if s.Name == "" || seen[s.Name] {
			return fmt.Errorf("service %q has no name or is there twice", s.Name)
		}
		seen[s.Name] = true
		if err := s.check(); err != nil {
			return fmt.Errorf("service %q: %w", s.Name, err)
		}
	}
	return nil
}

// check returns what cannot be of a service.
func (s ServiceNote) check() error {
	if !slices.Contains([]Mode{Normal, Backup, FailOpen, Drained}, s.Mode) {
		return fmt.Errorf("unknown mode %q", s.Mode)
	}
	if !s.worth() {
		return errors.New("its mode is not fail_open, and no backend is out or joined")
	}
	seen := map[string]bool{}
	for _, name := range s.named() {
		if !isBackend(name) || seen[name] {
			return fmt.Errorf("backend %q is no address, or is there twice", name)
		}
		seen[name] = true
	}
	for _, out := range s.Out {
		if out.Since < 0 || out.Reason != clean(out.Reason) {
			return fmt.Errorf("backend %s: its time is below 0, or its reason is not one short line", out.Backend)
		}
	}
	return nil
}

// named returns all backends that are named.
func (s ServiceNote) named() []string {
	names := slices.Clone(s.Joined)
	for _, out := range s.Out {
		names = append(names, out.Backend)
	}
	return names
}

// isBackend tells whether a text names a backend as config.Backend.String does.
func isBackend(name string) bool {
	if addr, err := netip.ParseAddr(name); err == nil {
		return addr.Zone() == "" && addr.String() == name
	}
	if both, err := netip.ParseAddrPort(name); err == nil {
		return both.Port() != 0 && both.Addr().Zone() == "" && both.String() == name
	}
	ranged, why := config.ParseBackend(name)
	return why == nil && ranged.Last != 0 && ranged.String() == name
}
