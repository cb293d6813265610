package restore

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"natspread/internal/paths"
	"natspread/internal/program"
)

// watcherWait is how long a watcher waits for its lock: each call of WatcherAlive holds that lock,
// too, for a moment.
const watcherWait = 500 * time.Millisecond

// LockWatcher takes the lock of the watcher, and is program.ErrBusy while another one has it.
// The kernel frees it when the process ends, however it ends.
func (h Host) LockWatcher() (unlock func(), err error) {
	file, err := h.lockFile(context.Background(), filepath.Base(paths.HealthLock), watcherWait)
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

// WatcherProcess returns the number of the process that took that lock, by /proc/locks
// (proc_locks(5)); 0 where no process holds it, or only one of another PID namespace.
func (h Host) WatcherProcess() int {
	info, err := os.Stat(filepath.Join(h.Root, paths.HealthLock))
	if err != nil {
		return 0
	}
	of := info.Sys().(*syscall.Stat_t)
	file := fmt.Sprintf("%02x:%02x:%d", unix.Major(of.Dev), unix.Minor(of.Dev), of.Ino)
	locks, _ := os.ReadFile("/proc/locks")
	for line := range strings.Lines(string(locks)) {
		// 1: FLOCK  ADVISORY  WRITE 708 00:1a:13 0 EOF
		if words := strings.Fields(line); len(words) > 5 && words[1] == "FLOCK" && words[5] == file {
			id, _ := strconv.Atoi(words[4])
			return id
		}
	}
	return 0
}

// HealthRecord returns what the watcher wrote, read with the same distrust as a generation;
// fs.ErrNotExist where there is nothing.
func (h Host) HealthRecord() ([]byte, error) { return h.Store().ReadRun(paths.HealthRecord) }

// WriteHealthRecord replaces what the watcher wrote before.
func (h Host) WriteHealthRecord(data []byte) error {
	return h.Store().WriteRun(paths.HealthRecord, data)
}
