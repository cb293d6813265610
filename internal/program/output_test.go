package program

import (
	"bytes"
	"os"
	"os/exec"
	"testing"
)

// TestOutput has programs read all that they are given, and print as much as they may and a byte
// more, by files in memory and by pipes. Of two that have the output open, each goes on behind
// the other.
func TestOutput(t *testing.T) {
	t.Parallel()
	const most = 4 << 20
	long := bytes.Repeat([]byte("0123456789abcde\n"), most/16)
	for name, connect := range map[string]func(*exec.Cmd, []byte) (output, func()){
		"memory": func(cmd *exec.Cmd, stdin []byte) (output, func()) { return connect(cmd, stdin, most) },
		"pipes": func(cmd *exec.Cmd, stdin []byte) (output, func()) {
			return connectPipes(cmd, stdin, most), func() {}
		},
	} {
		t.Run(name, func(t *testing.T) {
			for _, c := range []struct {
				script string
				stdin  []byte
				want   string
				full   bool
			}{
				{"cat", nil, "", false},
				{"echo a; cat; (echo b); echo c", []byte("in\n"), "a\nin\nb\nc\n", false},
				{"cat", long[1:], string(long[1:]), false},
				{"echo; exec cat", long, "", true},
				{"yes || exit 0", nil, "", true},
			} {
				cmd := exec.Command("/bin/sh", "-c", c.script)
				printed, release := connect(cmd, c.stdin)
				failed := cmd.Run()
				text, full, err := printed()
				release()
				if err != nil || full != c.full || !full && (failed != nil || string(text) != c.want) {
					t.Errorf("%s: %d bytes, %.20q, too long: %v, %v, %v", c.script, len(text), text, full, err, failed)
				}
				if _, file := cmd.Stdin.(*os.File); file != (name == "memory") {
					t.Errorf("its input is %T", cmd.Stdin)
				}
			}
		})
	}
}
