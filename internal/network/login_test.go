package network

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// TestLoginOf finds the connection in the process itself, in its parents, where sudo is in
// between, and nowhere else.
func TestLoginOf(t *testing.T) {
	t.Parallel()
	proc := t.TempDir()
	process := func(id, stat, environment string) {
		t.Helper()
		dir := filepath.Join(proc, id)
		err := errors.Join(os.Mkdir(dir, 0o755), os.WriteFile(filepath.Join(dir, "stat"), []byte(stat), 0o644), os.WriteFile(filepath.Join(dir, "environ"), []byte(environment), 0o644))
		if err != nil {
			t.Fatal(err)
		}
	}
	const variable = "SSH_CONNECTION="
	process("1", "1 (systemd) S 0 1", "")
	process("10", "10 (sshd) S 1 10", "")
	process("11", "11 (bash) S 10 11", "A=b\x00"+variable+"198.51.100.2 40000 192.0.2.10 22\x00")
	process("12", "12 (su) S 7 do) S 11 12", "A=b\x00")
	process("13", "13 (natspread) S 12 13", "X"+variable+"1 2 3 4\x00")
	process("14", "14 (natspread) S 1 14", variable+"fe80::2%eth0 40000 ::ffff:192.0.2.10 2222")
	process("15", "15 (natspread) S 11 15", variable+"a b c d")
	process("16", "16 (loop) S 16 16", "")
	process("17", "17", "")
	for id, want := range map[int]string{
		11: "198.51.100.2:40000 192.0.2.10:22", 12: "198.51.100.2:40000 192.0.2.10:22", 13: "198.51.100.2:40000 192.0.2.10:22",
		14: "[fe80::2]:40000 192.0.2.10:2222", 10: "", 15: "", 16: "", 17: "", 18: "",
	} {
		login, found := LoginOf(proc, id)
		if got := login.Client.String() + " " + login.Server.String(); found != (want != "") || found && got != want {
			t.Errorf("%d: %v, %v", id, got, found)
		}
	}
}
