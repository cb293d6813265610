package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// test is a test of a package; the name "" is the package itself.
type test struct{ pkg, name string }

// report is what is known so far.
type report struct {
	out     io.Writer
	verbose bool
	output  map[test][]string // of tests that have not ended
	passed  int
	failed  int             // tests, and packages that failed without one
	blamed  map[string]bool // packages of which a test failed
	skips   []string
}

// newReport is an empty report that prints to out.
func newReport(out io.Writer, verbose bool) *report {
	return &report{out: out, verbose: verbose, output: map[test][]string{}, blamed: map[string]bool{}}
}

// take takes one event.
func (r *report) take(e event) {
	t := test{e.Package, e.Test}
	switch {
	case e.Action == "build-output":
		fmt.Fprint(r.out, e.Output)
	case e.Action == "build-fail": // the package's own failure follows
	case e.Action == "output" && e.Test == "":
		r.packageLine(e.Output)
	case e.Action == "output":
		r.relayed(t, e.Output)
		r.output[t] = append(r.output[t], e.Output)
	case e.Test == "" && e.Action == "fail":
		r.packageFailed(e.Package)
	case e.Test == "":
	default:
		r.ended(t, e.Action)
	}
}

// packageLine shows what a package says outside its tests, but not "PASS", which
// the line after it says again.
func (r *report) packageLine(line string) {
	if line != "PASS\n" {
		fmt.Fprint(r.out, line)
	}
}

// ended counts a test that has its result.
func (r *report) ended(t test, action string) {
	switch action {
	case "pass":
		r.passed++
	case "fail":
		r.failed++
		r.blamed[t.pkg] = true
		r.print(t)
	case "skip":
		r.skip(t, r.output[t])
	default: // run, pause, cont
		return
	}
	if r.verbose && action != "fail" && !strings.Contains(t.name, "/") {
		fmt.Fprintf(r.out, "--- %s: %s\n", strings.ToUpper(action), t.name)
	}
	delete(r.output, t)
}

// relayed counts the result of a subtest that ran in a process of its own: its line
// stands in the output of the test that started it. Those of the test itself and of
// the tests around it stand there too, and come again as events.
func (r *report) relayed(t test, line string) {
	result, name, ok := cutResult(line)
	if !ok || !strings.HasPrefix(name, t.name+"/") {
		return
	}
	switch result {
	case "PASS":
		r.passed++
	case "FAIL":
		r.failed++
	case "SKIP":
		said := r.output[t]
		r.skip(test{t.pkg, name}, said[max(len(said)-1, 0):])
	}
}

// cutResult takes "--- PASS: TestName (0.01s)" apart.
func cutResult(line string) (result, name string, ok bool) {
	line, ok = strings.CutPrefix(strings.TrimSpace(line), "--- ")
	if !ok {
		return "", "", false
	}
	result, rest, _ := strings.Cut(line, ": ")
	name, _, ok = strings.Cut(rest, " (")
	return result, name, ok
}

// skip notes a skip with its reason, the last line that the test said.
func (r *report) skip(t test, said []string) {
	reason := "no reason given"
	for _, line := range said {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "--- ") && !strings.HasPrefix(line, "=== ") {
			reason = line
		}
	}
	r.skips = append(r.skips, fmt.Sprintf("%s %s: %s", t.pkg, t.name, reason))
}

// packageFailed shows the tests that never ended: the package died in them.
func (r *report) packageFailed(pkg string) {
	if !r.blamed[pkg] {
		r.failed++
	}
	for t := range r.output {
		if t.pkg == pkg {
			r.print(t)
			delete(r.output, t)
		}
	}
}

// print shows all that a test said.
func (r *report) print(t test) {
	for _, line := range r.output[t] {
		if !strings.HasPrefix(line, "=== ") {
			fmt.Fprint(r.out, line)
		}
	}
}

// end prints the skips and the counts, and tells whether all is well: a run of no
// test at all is not.
func (r *report) end() bool {
	slices.Sort(r.skips)
	for _, skip := range r.skips {
		fmt.Fprintf(r.out, "SKIP %s\n", skip)
	}
	fmt.Fprintf(r.out, "tests: %d passed, %d failed, %d skipped\n", r.passed, r.failed, len(r.skips))
	return r.failed == 0 && r.passed > 0
}
