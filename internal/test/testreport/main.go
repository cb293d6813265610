// Command testreport exists so that no skipped test goes unseen: it shows the
// stream of go test -json as a line a package and whatever failed, and ends with
// every skip and its reason; it must not know what is tested.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
)

// maxLine bounds one event; a test's output comes a line an event.
const maxLine = 16 << 20

// main reports what standard input says.
func main() {
	verbose := flag.Bool("v", false, "name every test")
	flag.Parse()
	r := newReport(os.Stdout, *verbose)
	if err := r.read(os.Stdin); err != nil {
		fmt.Fprintf(os.Stderr, "testreport: %v\n", err)
		os.Exit(1)
	}
	if !r.end() {
		os.Exit(1)
	}
}

// event is a line of go test -json, as "go doc test2json" describes it.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
}

// read takes events to the end of the stream.
func (r *report) read(stream io.Reader) error {
	lines := bufio.NewScanner(stream)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Fprintln(r.out, lines.Text()) // the go command's own words
			continue
		}
		r.take(e)
	}
	return lines.Err()
}
