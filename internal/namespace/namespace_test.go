package namespace

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"natspread/internal/test/netnstest"
)

// TestID is the same for all threads of a namespace, and another in each other one, also
// in one that is made when another is gone.
func TestID(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	dir := t.TempDir()
	here, err := ID(dir)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{here: true}
	for range 20 {
		var id string
		netnstest.OnThread(func() {
			err := unix.Unshare(unix.CLONE_NEWNET)
			if err == nil {
				id, err = ID(dir)
			}
			if err != nil {
				t.Error(err)
			}
		})
		if seen[id] {
			t.Errorf("%q is given twice", id)
		}
		seen[id] = true
		if again, err := ID(dir); err != nil || again != here {
			t.Errorf("%q, then %q, %v", here, again, err)
		}
	}
}

// TestBoot names the boot for what is on a disk, and not for what no boot leaves to the next.
func TestBoot(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		t.Fatal(err)
	}
	for place, want := range map[string]string{dir: "tmpfs", dir + "/not/there": "tmpfs", "/proc": strings.TrimSpace(string(boot))} {
		if got, err := ID(place); err != nil || !strings.HasPrefix(got, want+" ") {
			t.Errorf("%s: %q, %v", place, got, err)
		}
	}
}

// asInit is set where this program is started in a PID namespace of its own.
const asInit = "NATSPREAD_TEST_INIT"

// TestPlaces looks around from threads of a PID 1: the machine's own may not be looked at
// everywhere.
func TestPlaces(t *testing.T) {
	if os.Getenv(asInit) == "" {
		again(t)
		return
	}
	if os.Getpid() != 1 {
		t.Fatalf("this is process %d", os.Getpid())
	}
	root := t.TempDir()
	t.Cleanup(func() { unix.Unmount(root+"/a/proc", unix.MNT_DETACH) })
	for name, tt := range map[string]struct {
		leave         func() error
		network, root Place
	}{
		"where it started":  {func() error { return nil }, Inits, Inits},
		"another network":   {func() error { return unix.Unshare(unix.CLONE_NEWNET) }, Another, Inits},
		"a chroot":          {func() error { return chroot(root+"/a", true) }, Inits, Another},
		"a chroot, no proc": {func() error { return chroot(root+"/b", false) }, Unknown, Unknown},
	} {
		netnstest.OnThread(func() {
			if err := tt.leave(); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if network, root := Network(), Root(); network != tt.network || root != tt.root {
				t.Errorf("%s: network %q, root %q", name, network, root)
			}
			if chrooted := Chrooted(); chrooted != strings.HasPrefix(name, "a chroot") {
				t.Errorf("%s: chrooted: %v", name, chrooted)
			}
		})
	}
}

// again runs the calling test once more, below a PID 1 of its own: the test program itself, or
// a command that runs what its last arguments say.
func again(t *testing.T, command ...string) {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := slices.Concat([]string{"--pid", "--fork", "--mount-proc"}, command, []string{program, "-test.run=^" + t.Name() + "$", "-test.v"})
	again := exec.Command("unshare", args...)
	again.Env = append(os.Environ(), asInit+"=1")
	out, err := again.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestChrootedUnseen tells a chroot also where the root of PID 1 cannot be seen: there PID 1 is a
// shell, which has capabilities that the thread has not.
func TestChrootedUnseen(t *testing.T) {
	if os.Getenv(asInit) == "" {
		again(t, "sh", "-c", `"$0" "$@"; exit $?`)
		return
	}
	root := t.TempDir()
	t.Cleanup(func() { unix.Unmount(root+"/proc", unix.MNT_DETACH) })
	for want, leave := range map[bool]func() error{
		false: func() error { return nil },
		true:  func() error { return chroot(root, true) },
	} {
		netnstest.OnThread(func() {
			var none [2]unix.CapUserData
			err := errors.Join(leave(), unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &none[0]))
			if root, chrooted := Root(), Chrooted(); err != nil || root != Unknown || chrooted != want {
				t.Errorf("root %q, chrooted %v, not %v, %v", root, chrooted, want, err)
			}
		})
	}
}

// chroot makes a directory the root of this thread, with or without /proc in it. The mount
// namespace is one of the test's own.
func chroot(directory string, proc bool) error {
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return err
	}
	if err := os.MkdirAll(directory+"/proc", 0o755); err != nil {
		return err
	}
	if proc {
		if err := unix.Mount("/proc", directory+"/proc", "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return err
		}
	}
	return unix.Chroot(directory)
}
