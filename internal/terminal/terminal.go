// Package terminal is for whoever sits before one: what a terminal shows at once, the
// sequences of ECMA-48 that draw it anew, and a question.
package terminal

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"natspread/internal/screen"
)

// Is tells whether a stream is a terminal: somebody reads what is written, or types what is
// read.
func Is(stream any) bool {
	file, ok := stream.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(file.Fd()), unix.TCGETS)
	return err == nil
}

// clearLine goes back to the beginning of the line and clears it (CR, EL).
const clearLine = "\r\x1b[K"

// Redraw returns a text that takes the place of what is on a terminal: from the top,
// each line cleared behind its end, and all below the last (CUP, EL, ED). To clear
// everything first would flicker.
func Redraw(screen string) string {
	return "\x1b[H" + strings.ReplaceAll(screen, "\n", "\x1b[K\n") + "\x1b[J"
}

// Size is how much a terminal shows: rows, and the characters of each. What is 0 is not
// known.
type Size struct{ Rows, Columns int }

// SizeOf asks a stream for it. A terminal whose size nobody set says 0 (tty_ioctl(4)), and
// what is no terminal says nothing.
func SizeOf(stream any) Size {
	file, ok := stream.(*os.File)
	if !ok {
		return Size{}
	}
	window, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return Size{}
	}
	return Size{int(window.Row), int(window.Col)}
}

// rowsOf returns how many rows a line takes, where what is too long goes on below.
func (s Size) rowsOf(line string) int {
	length := screen.Width(line)
	if s.Columns == 0 || length == 0 {
		return 1
	}
	return (length + s.Columns - 1) / s.Columns
}

// Fit cuts a text to what a terminal shows at once, and says how many lines more there are:
// a longer one would scroll, and its beginning be gone. The cursor stands in a row of its
// own below.
func (s Size) Fit(screen string) string {
	lines := strings.Split(strings.TrimSuffix(screen, "\n"), "\n")
	if s.Rows == 0 {
		return screen
	}
	left, fitting := s.Rows-1, 0 // fitting lines leave a row for how many more there are
	for i, line := range lines {
		if left -= s.rowsOf(line); left < 0 {
			return strings.Join(append(lines[:fitting:fitting], moreLines(len(lines)-fitting)), "\n")
		}
		if left > 0 {
			fitting = i + 1
		}
	}
	return screen
}

// moreLines says how many lines are not shown.
func moreLines(n int) string {
	if n == 1 {
		return "... 1 more line\n"
	}
	return fmt.Sprintf("... %d more lines\n", n)
}
