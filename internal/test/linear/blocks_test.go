package linear

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// The parts of a file of counters, in bytes (internal/coverage/defs.go of Go): its header, with the version and how
// numbers are written, the header of its only segment, with the lengths of what follows, and its footer.
const (
	headerSize  = 32
	segmentSize = 16
	footerSize  = 16
	versionAt   = 4
	flavorAt    = 24

	version = 1
	uleb128 = 2
)

// errCounters says that Go writes its counters otherwise than blocks knows.
var errCounters = errors.New("this is no file of counters as Go 1.26 writes it")

// blocks returns how many blocks of statements ran, by what a run left: of each function that ran a number for each
// of its blocks. "go tool covdata" tells more of them, and takes longer than most runs themselves.
func blocks(data []byte) (ran int, err error) {
	if len(data) < headerSize+segmentSize+footerSize || binary.LittleEndian.Uint32(data[versionAt:]) != version || data[flavorAt] != uleb128 {
		return 0, errCounters
	}
	segment := data[headerSize : len(data)-footerSize]
	functions := binary.LittleEndian.Uint64(segment)
	names := segmentSize + int(binary.LittleEndian.Uint32(segment[8:])) + int(binary.LittleEndian.Uint32(segment[12:]))
	names = (names + 3) / 4 * 4
	if names > len(segment) {
		return 0, errCounters
	}
	numbers := segment[names:]
	next := func() int {
		n, size := binary.Uvarint(numbers)
		if size <= 0 {
			err, size = errCounters, len(numbers)
		}
		numbers = numbers[size:]
		return int(n)
	}
	for ; functions > 0 && err == nil; functions-- {
		counters := next()
		_, _ = next(), next() // the package and the function
		for ; counters > 0 && err == nil; counters-- {
			ran += next()
		}
	}
	if err == nil && (len(numbers) > 3 || ran == 0) { // padded to whole words
		err = errCounters
	}
	return ran, err
}

// count returns how many blocks a run executed, and forgets it.
func count(t *testing.T, covered string) int {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(covered, "covcounters.*"))
	if err != nil || len(files) != 1 {
		t.Fatalf("a run left %d files of counters: %v", len(files), err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	ran, err := blocks(data)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(files[0]); err != nil {
		t.Fatal(err)
	}
	return ran
}
