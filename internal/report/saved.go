package report

import (
	"fmt"
	"io"
	"os"

	"natspread/internal/atomicfile"
)

// maxSaved bounds a file of iptables-save: 10,000 services of three backends are
// 8 MB.
const maxSaved = 64 << 20

// ReadSaved reads a file of iptables-save, or stdin for "-"; also a FIFO, as in
// --saved <(ssh HOST iptables-save).
func ReadSaved(name string, stdin io.Reader) ([]byte, error) {
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, atomicfile.Cause(err)
		}
		defer file.Close()
		stdin = file
	}
	text, err := io.ReadAll(io.LimitReader(stdin, maxSaved+1))
	if err == nil && len(text) > maxSaved {
		err = fmt.Errorf("it is larger than %d MiB", maxSaved>>20)
	}
	return text, atomicfile.Cause(err)
}
