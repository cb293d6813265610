package linear

import (
	"errors"
	"slices"
	"testing"
)

// counters returns a file of counters of one function, of which three blocks ran 3, 200 and 0 times.
func counters() []byte {
	header, segment := make([]byte, headerSize), make([]byte, segmentSize)
	header[versionAt], header[flavorAt] = version, uleb128
	segment[0], segment[8], segment[12] = 1, 2, 1 // of one function, behind two bytes of names and one of arguments
	return slices.Concat(header, segment, []byte{'a', 'b', 'c', 0}, []byte{3, 5, 7, 3, 200, 1, 0, 0}, make([]byte, footerSize))
}

// TestBlocks reads counters, and none of a file that is written in another way.
func TestBlocks(t *testing.T) {
	if ran, err := blocks(counters()); ran != 203 || err != nil {
		t.Errorf("%d blocks, %v", ran, err)
	}
	for name, change := range map[string]func(data []byte) []byte{
		"empty":           func([]byte) []byte { return nil },
		"another version": func(data []byte) []byte { data[versionAt] = 2; return data },
		"another flavor":  func(data []byte) []byte { data[flavorAt] = 1; return data },
		"cut": func(data []byte) []byte {
			return slices.Delete(data, headerSize+segmentSize+6, headerSize+segmentSize+12)
		},
		"longer names":   func(data []byte) []byte { data[headerSize+9] = 1; return data },
		"more functions": func(data []byte) []byte { data[headerSize] = 2; return data },
		"none ran":       func(data []byte) []byte { data[headerSize] = 0; return data },
	} {
		if ran, err := blocks(change(counters())); !errors.Is(err, errCounters) {
			t.Errorf("%s: %d blocks, %v", name, ran, err)
		}
	}
}
