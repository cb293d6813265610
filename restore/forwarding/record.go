package forwarding

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"natspread/internal/atomicfile"
	"natspread/internal/namespace"
	"natspread/internal/rules"
)

// Record is what is kept of a family's switches, until stop or a reboot; nil when nothing
// is kept. An interface that is not in it came later.
type Record []Kept

// Kept is what is kept of a switch.
type Kept struct {
	ID
	Found string   `json:"found"` // its value before natspread
	Left  []string `json:"left"`  // the value that natspread left it at; while it is turned, each that it may have

	// Back is where a Revert that is under way brings it to, "" when none is. A Revert
	// that was killed is done to its end by the next one, to which the values of others
	// would look as natspread's own.
	Back string `json:"back,omitempty"`
}

// underWay tells whether a Revert has begun, and not ended.
func (r Record) underWay() bool { return len(r) > 0 && r[0].Back != "" }

// to returns the record of a Revert that is under way to values.
func (r Record) to(values []Switch) Record {
	for i := range r {
		r[i].Back = values[i].Value
	}
	return r
}

// here returns the record of a Revert that stays where it was left.
func (r Record) here() Record {
	here := slices.Clone(r)
	for i := range here {
		here[i].Back = ""
	}
	return here
}

// find returns how to find what is kept of a switch. An interface that came later began
// with the value of "default".
func (r Record) find(family rules.Family) func(id ID) (kept Kept, known bool) {
	all := make(map[ID]Kept, len(r))
	for _, kept := range r {
		all[kept.key()] = kept
	}
	return func(id ID) (Kept, bool) {
		kept, known := all[id.key()]
		if !known && id.Link != 0 {
			kept, known = all[ID{Name: forwardingOf(family, "default")}]
		}
		return kept, known
	}
}

// released returns the values that a family's switches get when natspread lets go of them:
// what was found, for each that is still as it was left, and the others as they are. What a
// record of natspread 0.1 does not know goes where the kernel moves it.
func (r Record) released(family rules.Family, now []Switch) []Switch {
	find := r.find(family)
	own, _ := find(now[0].ID)
	released := slices.Clone(now)
	if value := own.release(now[0].Value); value != now[0].Value {
		released = spread(family, now, value)
	}
	for i, one := range now {
		kept, known := find(one.ID)
		switch {
		case !known:
		case one.Name == redirects && own.Found == "0" && now[0].Value == "0" && one.Value == "1" && kept.Found == "0":
			// Somebody else switched ip_forward off, and the kernel accepts redirects
			// again: nobody asked for that, and without natspread it would not have come.
			released[i].Value = kept.Found
		default:
			released[i].Value = kept.release(one.Value)
		}
	}
	return released
}

// release returns the value that a switch gets when natspread lets go of it.
func (k Kept) release(now string) string {
	if slices.Contains(k.Left, now) {
		return k.Found
	}
	return now
}

// turning returns the record of a family's switches while they are turned from what they
// are now: each may have one of several values, and a kill leaves it at one of these.
func (r Record) turning(family rules.Family, now []Switch, values ...[]Switch) Record {
	turning := make(Record, len(now))
	for i, found := range r.released(family, now) {
		left := []string{now[i].Value}
		for _, others := range values {
			if value := others[i].Value; !slices.Contains(left, value) {
				left = append(left, value)
			}
		}
		turning[i] = Kept{ID: found.ID, Found: found.Value, Left: left}
	}
	return turning
}

// covers tells whether a record serves while switches are turned: it says the same of each,
// or what is new to it is what was found.
func (r Record) covers(family rules.Family, turning Record) bool {
	find := r.find(family)
	return !slices.ContainsFunc(turning, func(now Kept) bool {
		kept, known := find(now.ID)
		return !known || kept.Found != now.Found || slices.ContainsFunc(now.Left, func(value string) bool {
			return value != kept.Found && !slices.Contains(kept.Left, value)
		})
	})
}

// leftAt returns the record of switches that are turned: each was left at a value.
func (r Record) leftAt(values []Switch) Record {
	left := byID(values)
	done := slices.Clone(r)
	for i, kept := range done {
		if value, known := left[kept.key()]; known {
			done[i].Left = []string{value}
		}
	}
	return done
}

// records are those of the network namespaces that have the same directory. That of
// natspread 0.1 names none, and "" stands for it.
type records map[string]Record

// file returns where a family's records are.
func (s Switches) file(family rules.Family) string { return filepath.Join(s.Run, Sysctl(family)) }

// record returns what is kept of a family in this network namespace.
func (s Switches) record(family rules.Family) (Record, error) {
	all, err := s.records(family)
	if err != nil {
		return nil, err
	}
	record := all[s.Namespace]
	if record == nil {
		record = all[""]
	}
	if record == nil && s.Namespace == "" && len(all) > 0 {
		return nil, fmt.Errorf("cannot tell what was kept of %s: the network namespace is not known", Sysctl(family))
	}
	return record, nil
}

// records reads all records of a family; none is no error.
func (s Switches) records(family rules.Family) (records, error) {
	data, err := readFile(s.file(family))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var all records
	if err == nil {
		all, err = decode(family, data)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read what was kept of %s: %w; remove %s, and what was found will not be put back", Sysctl(family), err, s.file(family))
	}
	return all, nil
}

// readFile reads a file that is no link.
func readFile(path string) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(file)
}

// decode reads the text of a family's records. That of natspread 0.1 is the value that it
// found of the host's own switch, which it set to 1.
func decode(family rules.Family, data []byte) (all records, err error) {
	if found := strings.TrimSpace(string(data)); isNumber(found) {
		return records{"": old(family, found)}, nil
	}
	err = json.Unmarshal(data, &all)
	if err == nil && all == nil {
		err = errors.New("it says nothing")
	}
	if err != nil {
		return nil, fmt.Errorf("it is damaged: %w", err)
	}
	for _, record := range all {
		for _, kept := range record {
			for _, value := range append([]string{kept.Found}, kept.Left...) {
				if !isNumber(value) {
					return nil, fmt.Errorf("it is damaged: %q is no value of %v", value, kept.ID)
				}
			}
		}
	}
	return all, nil
}

// old returns the record of natspread 0.1, which knew of the host's own switch only.
func old(family rules.Family, found string) Record {
	return Record{{ID: hostSwitch(family), Found: found, Left: []string{"1"}}}
}

// isNumber tells whether a value is one that the kernel takes.
func isNumber(value string) bool {
	_, err := strconv.Atoi(value)
	return err == nil
}

// keep writes down the record of a family. On a read-only file system nothing can be kept,
// nor without the directory, which the lock makes where it can; and forwarding matters
// more.
func (s Switches) keep(family rules.Family, record Record) error {
	all, err := s.records(family)
	if err != nil {
		return err
	}
	if all == nil {
		all = records{}
	}
	delete(all, "") // it was taken for that of this namespace
	all[s.Namespace] = record
	err = s.store(family, all)
	if errors.Is(err, unix.EROFS) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// forget removes the record of a family.
func (s Switches) forget(family rules.Family) error {
	all, err := s.records(family)
	if err != nil || len(all) == 0 {
		return err
	}
	delete(all, "")
	delete(all, s.Namespace)
	return s.store(family, all)
}

// store writes the records of a family that belong to this boot; without any the file
// goes.
func (s Switches) store(family rules.Family, all records) error {
	maps.DeleteFunc(all, func(other string, _ Record) bool {
		return s.Namespace != "" && other != "" && !namespace.SameBoot(other, s.Namespace)
	})
	path := s.file(family)
	verb, change := "remove what was kept", func() error { return os.Remove(path) }
	if len(all) > 0 {
		data, err := json.Marshal(all)
		if err != nil {
			return err
		}
		if now, err := readFile(path); err == nil && string(now) == string(data)+"\n" {
			return nil
		}
		verb, change = "keep what was found", func() error { return atomicfile.WriteFile(path, append(data, '\n'), 0o600) }
	}
	if err := s.do(path, change); err != nil {
		return fmt.Errorf("cannot %s of %s: %w", verb, Sysctl(family), err)
	}
	return nil
}
