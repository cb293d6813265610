package iptables

import (
	"context"
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
