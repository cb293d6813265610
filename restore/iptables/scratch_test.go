package iptables

import (
	"context"
	"fmt"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
)

// TestProveBesideLock proves while somebody else has the lock of iptables: nobody but the proof
// knows its namespace.
func TestProveBesideLock(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		file, err := os.OpenFile(os.Getenv(program.LockVariable), os.O_CREATE|os.O_RDWR, 0o600)
		hosttest.Must(t, err)
		defer file.Close()
		hosttest.Must(t, unix.Flock(int(file.Fd()), unix.LOCK_EX))
		ran := 0
		kernel := Kernel{Variant: variant, Run: func(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
			ran++
			return program.Exec()(ctx, stdin, name, args...)
		}}
		hosttest.Must(t, kernel.Prove(t.Context(), hosttest.Tables(t, hosttest.Article).Of(rules.IPv4)))
		if ran != 2 {
			t.Errorf("%d programs ran, not a load and a read", ran)
		}
		err = kernel.restore(t.Context(), rules.IPv4, []byte("*nat\nCOMMIT\n"))
		if (err == nil) != (variant == rules.NFT) { // which takes no lock
			t.Errorf("beside the lock: %v", err)
		}
	})
}

// TestLeadsTo is true of the descriptor's own file alone, not of another one that has its number elsewhere.
func TestLeadsTo(t *testing.T) {
	lock, err := unix.MemfdCreate("lock", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(lock)
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	for path, want := range map[string]bool{
		fmt.Sprintf("/proc/self/fd/%d", lock): true, fmt.Sprintf("/proc/self/fd/%d", pipe[0]): false, "/proc/self/fd/999999": false,
	} {
		if leadsTo(path, lock) != want {
			t.Errorf("%s: %v", path, !want)
		}
	}
}
