package main

import (
	"fmt"
	"os"
	"syscall"
)

// journalVariable is where systemd names the file by which a unit's output reaches the
// journal: its device and inode, with a colon between them (systemd.exec(5)).
const journalVariable = "JOURNAL_STREAM"

// priorityError begins a line that the journal files as an error, without these three bytes:
// sd-daemon(3). Else each line of a unit has the priority of its SyslogLevel=, which is info,
// and journalctl -p err does not show why the unit failed.
const priorityError = "<3>"

// isJournal tells whether a stream is the one that systemd named. Whatever a unit starts
// inherits the variable, and may write elsewhere.
func isJournal(stream any, named string) bool {
	file, ok := stream.(*os.File)
	if !ok || named == "" {
		return false
	}
	info, err := file.Stat()
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && named == fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
}
