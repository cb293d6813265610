package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// errCannot says that the machine does not allow the test.
var errCannot = errors.New("cannot run here")

// sizes are the smallest that the mkfs programs take with room to spare, by kind;
// the images are sparse.
var sizes = map[string]int64{"ext4": 64 << 20, "xfs": 320 << 20}

// disk is a file system in an image in memory, which the power can be taken from.
type disk struct {
	kind  string
	image string
	root  string // where it is mounted
}

// newDisk names the parts of a disk below a directory.
func newDisk(kind, dir string) disk {
	return disk{kind: kind, image: filepath.Join(dir, "disk"), root: filepath.Join(dir, "root")}
}

// coverByMemory mounts a tmpfs on a directory: whatever the test writes goes with
// its mount namespace, even when nobody is left to clean up.
func coverByMemory(dir string) error {
	if err := unix.Mount("powercut", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755"); err != nil {
		return fmt.Errorf("%w: cannot mount a tmpfs on %s: %w", errCannot, dir, err)
	}
	return nil
}

// format makes the file system anew.
func (d disk) format() error {
	size, known := sizes[d.kind]
	if !known {
		return fmt.Errorf("cannot make a file system %q: ext4 and xfs are known", d.kind)
	}
	if err := os.RemoveAll(d.image); err != nil {
		return err
	}
	if err := os.WriteFile(d.image, nil, 0o600); err != nil {
		return err
	}
	if err := os.Truncate(d.image, size); err != nil {
		return err
	}
	if err := command("mkfs."+d.kind, "-q", d.image); err != nil {
		return err
	}
	return os.MkdirAll(d.root, 0o755)
}

// on mounts the file system, replaying its journal, and a /run that is empty after
// each boot as everywhere.
func (d disk) on() error {
	if err := command("mount", "-o", "loop", "-t", d.kind, d.image, d.root); err != nil {
		return err
	}
	run := filepath.Join(d.root, "run")
	if err := os.MkdirAll(run, 0o755); err != nil {
		return err
	}
	return coverByMemory(run)
}

// goingDown is XFS_IOC_GOINGDOWN, which ext4 knows by the same number, and
// withoutFlush its way to go: what is only in memory, the log included, is lost.
const (
	goingDown    = 0x8004587D
	withoutFlush = 2
)

// cut takes the power away: what was handed to the disk stays, all else is gone.
func (d disk) cut() error {
	root, err := os.Open(d.root)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := unix.IoctlSetPointerInt(int(root.Fd()), goingDown, withoutFlush); err != nil {
		return fmt.Errorf("%w: cannot shut %s down: %w", errCannot, d.kind, err)
	}
	return nil
}

// off unmounts the dead file system, once the last program has left it.
func (d disk) off() error {
	for _, dir := range []string{filepath.Join(d.root, "run"), d.root} {
		err := unix.Unmount(dir, 0)
		for tries := 0; errors.Is(err, unix.EBUSY) && tries < 500; tries++ {
			time.Sleep(10 * time.Millisecond)
			err = unix.Unmount(dir, 0)
		}
		if err != nil {
			return fmt.Errorf("cannot unmount %s: %w", dir, err)
		}
	}
	return nil
}

// command runs a program of the system; what it says is part of the error.
func command(name string, args ...string) error {
	if said, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(said)))
	}
	return nil
}
