package atomicfile

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// insideVariable tells the re-executed test that it is in a namespace of its own.
const insideVariable = "NATSPREAD_TEST_INSIDE"

// inNamespace runs the calling test again as root of a new user and mount namespace, and reports whether
// this is that second run. A refused clone is a skip, or a failure under REQUIRE_NETNS=1.
func inNamespace(t *testing.T) bool {
	t.Helper()
	if os.Getenv(insideVariable) != "" {
		return true
	}
	again := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	again.Env = append(os.Environ(), insideVariable+"=1")
	again.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	output := &bytes.Buffer{}
	again.Stdout, again.Stderr = output, output
	if err := again.Start(); err != nil {
		if os.Getenv("REQUIRE_NETNS") == "1" {
			t.Fatalf("no user and mount namespace: %v", err)
		}
		t.Skipf("no user and mount namespace: %v", err)
	}
	if err := again.Wait(); err != nil || !bytes.Contains(output.Bytes(), []byte("--- PASS: "+t.Name())) {
		t.Errorf("in the namespace: %v\n%s", err, output)
	}
	return false
}

// mountTmpfs mounts a file system of the given options, which ends with the namespace.
func mountTmpfs(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Fatalf("cannot mount a tmpfs: %v", err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	return dir
}

func TestFullDisk(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	dir := mountTmpfs(t, "size=64k")
	path := filepath.Join(dir, "rules.v4")
	if err := WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := WriteFile(path, make([]byte, 1<<20), 0o600)
	wantError(t, err, "cannot write "+path+": no space left on device")
	if !errors.Is(err, unix.ENOSPC) {
		t.Errorf("%v is not ENOSPC", err)
	}
	wantFile(t, path, "old", 0o600)
}

func TestNoInodes(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	dir := mountTmpfs(t, "nr_inodes=2") // one for the top, one for the file
	path := filepath.Join(dir, "rules.v4")
	if err := WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantError(t, WriteFile(path, []byte("new"), 0o600), "cannot write "+path+": no space left on device")
	wantError(t, Symlink("target", filepath.Join(dir, "current")), "cannot link "+dir+"/current: no space left on device")
	wantError(t, MkdirAll(filepath.Join(dir, "generations"), 0o700), "cannot make directory "+dir+"/generations: no space left on device")
	wantFile(t, path, "old", 0o600)
}

func TestReadOnly(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	dir := mountTmpfs(t, "size=64k")
	path := filepath.Join(dir, "rules.v4")
	if err := WriteFile(path, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	leftOver(t, path)
	if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	wantError(t, WriteFile(path, []byte("new"), 0o600), "cannot write "+path+": read-only file system")
	wantError(t, Symlink("target", filepath.Join(dir, "current")), "cannot link "+dir+"/current: read-only file system")
	wantError(t, MkdirAll(filepath.Join(dir, "a"), 0o700), "cannot make directory "+dir+"/a: read-only file system")
	if err := Sweep(dir); !errors.Is(err, unix.EROFS) {
		t.Errorf("sweep: %v", err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "old" {
		t.Errorf("holds %q, %v", got, err)
	}
}
