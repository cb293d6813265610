package restore

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"natspread/internal/paths"
	"natspread/internal/program"
)

// watcherWait is for how long a watcher waits for its lock: whoever asks WatcherAlive holds it,
// too, for a moment.
const watcherWait = 500 * time.Millisecond

// LockWatcher takes the lock of the watcher, and is program.ErrBusy while another one has it.
// The kernel frees it when the process ends, however it ends.
func (h Host) LockWatcher() (unlock func(), err error) {
	file, err := lock(context.Background(), h.runDir(), filepath.Base(paths.HealthLock), watcherWait)
	switch {
	case errors.Is(err, program.ErrBusy):
		return nil, fmt.Errorf("natspread health runs already: %w", err)
	case err != nil:
		return nil, fmt.Errorf("cannot watch the backends: %w", err)
	}
	return func() { file.Close() }, nil
}

// WatcherAlive tells whether a watcher holds that lock.
func (h Host) WatcherAlive() bool { return isLocked(h.runDir(), filepath.Base(paths.HealthLock)) }

// HealthRecord returns what the watcher wrote, read with the same distrust as a generation;
// fs.ErrNotExist where there is nothing.
func (h Host) HealthRecord() ([]byte, error) { return h.Store().ReadRun(paths.HealthRecord) }

// WriteHealthRecord replaces what the watcher wrote before.
func (h Host) WriteHealthRecord(data []byte) error {
	return h.Store().WriteRun(paths.HealthRecord, data)
}
