package program

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

// maxOutput bounds what a program may print: 10,000 services of three backends
// are 8 MB. It is a multiple of the largest page of memory.
const maxOutput = 256 << 20

// output returns what a program printed that has ended, and whether that was more than it may.
type output func() (text []byte, full bool, err error)

// connect gives a program its standard input, and a place for its output. By files in memory
// neither side waits for the other, which with pipes takes two changes of process for each few
// kilobytes. Where the kernel makes no such files there are pipes. release is to be called in
// the end.
func connect(cmd *exec.Cmd, stdin []byte, most int64) (printed output, release func()) {
	in, errIn := inMemory(stdin)
	out, errOut := inMemory(nil)
	release = func() { in.Close(); out.Close() } // that of nil does nothing
	if errIn == nil && errOut == nil && bound(out, most) == nil {
		cmd.Stdin, cmd.Stdout = in, out
		return func() ([]byte, bool, error) { return readAll(out, most) }, release
	}
	return connectPipes(cmd, stdin, most), release
}

// connectPipes is connect by pipes.
func connectPipes(cmd *exec.Cmd, stdin []byte, most int64) output {
	kept := &limited{left: int(most)}
	cmd.Stdin, cmd.Stdout = bytes.NewReader(stdin), kept
	return func() ([]byte, bool, error) { return kept.kept.Bytes(), kept.full, nil }
}

// inMemory returns a file in memory that holds data, to be read from its start.
func inMemory(data []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("natspread", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "memory")
	if _, err := file.WriteAt(data, 0); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}

// bound has the kernel refuse what is written behind the first most bytes of a file in memory.
// It writes up to there: to the end of its pages, if most is a multiple of their size.
func bound(file *os.File, most int64) error {
	if err := file.Truncate(most); err != nil { // takes no memory
		return err
	}
	_, err := unix.FcntlInt(file.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_GROW|unix.F_SEAL_SHRINK)
	return err
}

// readAll returns what was written to a file in memory: up to its place, which belongs to all
// who have it open.
func readAll(file *os.File, most int64) (text []byte, full bool, err error) {
	size, err := file.Seek(0, io.SeekCurrent)
	if err != nil || size >= most {
		return nil, size >= most, err
	}
	text = make([]byte, size)
	_, err = file.ReadAt(text, 0)
	return text, false, err
}

// errEndless says that a program printed more than it may.
var errEndless = errors.New("its output is too long")

// limited keeps what is written to it up to a bound, and refuses what is over. The
// buffer is not embedded: io.Copy would find its ReadFrom and pass by the bound.
type limited struct {
	kept bytes.Buffer
	left int
	full bool
}

// Write keeps the bytes, or fails when the bound is reached.
func (l *limited) Write(p []byte) (int, error) {
	if len(p) > l.left {
		l.full = true
		return 0, errEndless
	}
	l.left -= len(p)
	return l.kept.Write(p)
}
