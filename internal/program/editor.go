package program

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"os/exec"
)

// Edit lets whoever sits at the terminal edit a file, with the editor of $VISUAL or $EDITOR, as a shell reads it, else the
// one of the system. Interruptions at the terminal are the editor's, so it runs until it ends.
func Edit(file string, in io.Reader, out, err io.Writer) error {
	editor, missing := exec.LookPath("editor") // of update-alternatives(1)
	if missing != nil {
		editor = "vi"
	}
	editor = cmp.Or(os.Getenv("VISUAL"), os.Getenv("EDITOR"), editor)
	cmd := exec.Command("/bin/sh", "-c", editor+` "$1"`, "sh", file)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, err
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("the editor %s failed: %w", editor, err)
	}
	return nil
}
