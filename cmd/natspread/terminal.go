package main

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"unicode/utf8"

	"natspread/internal/text"

	"golang.org/x/sys/unix"
)

// size is how much a terminal shows: rows, and the characters of each. What is 0 is not
// known.
type size struct{ rows, columns int }

// sizeOf asks a stream for it. A terminal that nobody told its size says 0 (tty_ioctl(4)),
// and all others say nothing.
func sizeOf(stream any) size {
	file, ok := stream.(*os.File)
	if !ok {
		return size{}
	}
	window, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return size{}
	}
	return size{int(window.Row), int(window.Col)}
}

// color matches what is written to a terminal and takes no place there.
var color = regexp.MustCompile("\x1b\\[[0-9;]*m")

// rowsOf returns how many rows a line takes, where what is too long goes on below.
func (s size) rowsOf(line string) int {
	length := utf8.RuneCountInString(color.ReplaceAllString(line, ""))
	if s.columns == 0 || length == 0 {
		return 1
	}
	return (length + s.columns - 1) / s.columns
}

// fit cuts a text to what a terminal shows at once, and says how much more there is: it
// would scroll, and its beginning be gone. The cursor stands in a row of its own below.
func (s size) fit(screen string) string {
	lines := strings.Split(strings.TrimSuffix(screen, "\n"), "\n")
	if s.rows == 0 {
		return screen
	}
	left, fitting := s.rows-1, 0 // fitting lines leave a row for how many more there are
	for i, line := range lines {
		if left -= s.rowsOf(line); left < 0 {
			more := fmt.Sprintf("... %s\n", text.Plural(len(lines)-fitting, "more line"))
			return strings.Join(append(lines[:fitting:fitting], more), "\n")
		}
		if left > 0 {
			fitting = i + 1
		}
	}
	return screen
}
