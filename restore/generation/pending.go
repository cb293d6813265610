package generation

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"natspread/internal/atomicfile"
	"natspread/internal/namespace"
	"natspread/internal/paths"
	"natspread/internal/rules"
	"natspread/restore/forwarding"
)

// Pending is a generation that is loaded until somebody confirms it. It is kept in
// /run, so a reboot forgets it, and boot has never known it.
type Pending struct {
	Number    int           `json:"generation"`
	Namespace string        `json:"namespace"` // the network namespace that it is loaded in; "" of natspread 0.1
	Until     time.Duration `json:"until"`     // on the clock that counts from boot, and never jumps
	Loaded    bool          `json:"loaded"`    // before it, too, rules of natspread's were in the kernel
	Variant   rules.Variant `json:"variant"`   // by which they were
	// What Try found, by family; nil for one that the kernel does not have.
	Forwarding forwarding.States `json:"forwarding"`
	// Rules of others that Try took out of the nat tables, and by which variant; a revert puts them back.
	TakenOut []rules.Taken `json:"taken_out,omitempty"`
	TakenBy  rules.Variant `json:"taken_by,omitempty"`
}

// Left returns how long it is until the generation is reverted; it is negative
// when that should have happened.
func (p Pending) Left() time.Duration { return p.Until - SinceBoot() }

// String says what waits, how long still, and what to type.
func (p Pending) String() string {
	left := "its time is over"
	if p.Left() > 0 {
		left = fmt.Sprintf("for %v more", (p.Left() + time.Second).Truncate(time.Second))
	}
	return fmt.Sprintf("generation %d waits to be confirmed, %s: natspread confirm keeps it, natspread rollback reverts it", p.Number, left)
}

// SinceBoot returns the time since boot, suspensions included: clock_gettime(2).
func SinceBoot() time.Duration {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) // fails for no clock that exists
	return time.Duration(now.Nano())
}

// elsewhere tells whether the generation is known to be loaded in another network namespace
// than one of that id, by the cookie. The boot is not asked: in a container not every
// process sees the same id of it, and a trial that nobody reverts is worse than one that is
// reverted in vain.
func (p Pending) elsewhere(id string) bool {
	return p.Namespace != "" && id != "" && !namespace.SameCookie(p.Namespace, id)
}

// ErrNothingPending says that no generation waits to be confirmed.
var ErrNothingPending = errors.New("no generation waits to be confirmed")

// PendingRecord is where the pending generation is recorded, below the root.
const PendingRecord = paths.Run + "/pending"

// Pending returns the generation that waits to be confirmed here, or ErrNothingPending.
func (s Store) Pending() (Pending, error) {
	pending, err := s.recorded()
	if err == nil && pending.elsewhere(s.Namespace) {
		return Pending{}, ErrNothingPending
	}
	return pending, err
}

// recorded returns the generation that waits to be confirmed, in whatever network namespace.
func (s Store) recorded() (pending Pending, err error) {
	data, err := readTrusted(s.Root, PendingRecord)
	if errors.Is(err, fs.ErrNotExist) {
		return Pending{}, ErrNothingPending
	}
	if err == nil {
		err = json.Unmarshal(data, &pending)
	}
	var untrusted *UntrustedError
	switch {
	case errors.As(err, &untrusted): // which says how to fix it; restore does not
		return Pending{}, fmt.Errorf("cannot tell which generation waits to be confirmed: %w", err)
	case err != nil:
		return Pending{}, fmt.Errorf("cannot tell which generation waits to be confirmed: %w: natspread restore loads the current one", err)
	}
	return pending, nil
}

// RecordPending records a pending generation, and its number for good: people have read it,
// so no later generation may have it, also when this one is reverted.
func (s Store) RecordPending(pending Pending) error {
	data, err := json.Marshal(pending)
	if err == nil {
		err = atomicfile.WriteFile(s.Path(lastTriedRecord), fmt.Appendln(nil, pending.Number), 0o600)
	}
	if err == nil {
		err = atomicfile.WriteFile(s.Path(PendingRecord), append(data, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("cannot record that generation %d waits to be confirmed: %w", pending.Number, err)
	}
	return nil
}

// lastTriedRecord is where the number of the last trial is, below the root. A reboot
// forgets it: in the journal one boot is not taken for the next.
const lastTriedRecord = paths.Run + "/last-tried"

// lastTried returns the number of the last trial since boot, 0 when there was none.
func (s Store) lastTried() int {
	data, err := readTrusted(s.Root, lastTriedRecord)
	if err != nil {
		return 0
	}
	number, _ := generationNumber(strings.TrimSpace(string(data)))
	return number
}

// ForgetPending removes the files of the pending generation, and then the record: with it
// goes the last reason to try again. On a disk that takes no writes, as in the unit's
// sandbox, the next generation that is written takes them away: see Sweep.
func (s Store) ForgetPending() error {
	s.unnumber()
	if err := s.Sweep(); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, unix.EROFS) {
		return fmt.Errorf("cannot remove the generation that was not confirmed: %w", err)
	}
	if err := os.Remove(s.Path(PendingRecord)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot forget the generation that waits to be confirmed: %w", err)
	}
	return nil
}

// unnumber takes the number from the generation that waits, if a confirm was killed between
// giving it and making it current: where none is current yet, boot would fall back to it.
func (s Store) unnumber() {
	current, _ := s.CurrentNumber()
	if pending, err := s.Pending(); err == nil && pending.Number > current {
		_ = os.Rename(s.Path(dir(pending.Number)), s.Path(unconfirmedDir(pending.Number)))
	}
}

// RefusePending is an error while a generation waits to be confirmed: another change
// would leave unclear what it is that is confirmed, or reverted. One that waits in another
// network namespace has the same files, and they would go.
func (s Store) RefusePending() error {
	pending, err := s.recorded()
	switch {
	case errors.Is(err, ErrNothingPending):
		return nil
	case err != nil:
		return err
	case !pending.elsewhere(s.Namespace):
		return errors.New(pending.String())
	case pending.Left() > 0:
		return fmt.Errorf("in another network namespace %v; run that there", pending)
	}
	return nil
}

// EndPending forgets a pending generation after the kernel was given something else
// than it, and returns a note of it.
func (s Store) EndPending() []string {
	pending, err := s.Pending()
	if errors.Is(err, ErrNothingPending) {
		return nil
	}
	if failed := s.ForgetPending(); failed != nil {
		return []string{failed.Error()}
	}
	if err != nil { // and nobody will know which it was
		return nil
	}
	return []string{fmt.Sprintf("generation %d was not confirmed, and is gone", pending.Number)}
}

// waitingDir returns the directory of a generation that waits to be confirmed, relative
// to the root: the one of a number when a confirm was killed half way.
func (s Store) waitingDir(number int) string {
	if _, err := os.Lstat(s.Path(unconfirmedDir(number))); errors.Is(err, fs.ErrNotExist) {
		return dir(number)
	}
	return unconfirmedDir(number)
}

// ReadPending is Read for a generation that waits to be confirmed.
func (s Store) ReadPending(number int) (Generation, error) {
	return s.good(s.waitingDir(number), number)
}
