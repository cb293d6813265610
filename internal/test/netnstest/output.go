package netnstest

import (
	"strings"
	"testing"
)

// frame is the byte with which -test.v=test2json begins each line of the
// testing package's own, also in the middle of a line the test left unfinished.
const frame = "\x16"

// outcome is what a child's output says about the one test it was started for.
type outcome struct {
	result string // PASS, FAIL or SKIP; empty when that test did not end
	log    string // everything else it printed
}

// parseOutput takes the result of the named test out of the child's output.
// Results of its subtests stay in the log, so that a skip there can be counted.
func parseOutput(name, out string) outcome {
	var o outcome
	var log strings.Builder
	out = strings.ReplaceAll(out, frame, "\n"+frame)
	for line := range strings.Lines(out) {
		own, framed := strings.CutPrefix(strings.TrimRight(line, "\n"), frame)
		if !framed {
			if own != "" && !strings.HasPrefix(own, "coverage: ") {
				log.WriteString(own + "\n")
			}
			continue
		}
		result, test, ok := cutResult(own)
		switch {
		case ok && test == name:
			o.result = result
		case ok:
			log.WriteString(own + "\n")
		}
	}
	o.log = strings.TrimRight(log.String(), "\n")
	return o
}

// cutResult takes "--- PASS: TestName (0.01s)" apart.
func cutResult(line string) (result, test string, ok bool) {
	line, ok = strings.CutPrefix(line, "--- ")
	if !ok {
		return "", "", false
	}
	result, rest, _ := strings.Cut(line, ": ")
	test, _, ok = strings.Cut(rest, " (")
	return result, test, ok
}

// relay makes the child's result the test's. An exit code alone proves nothing:
// a child that runs no test ends with 0.
func relay(t *testing.T, o outcome, err error) {
	t.Helper()
	switch {
	case err == nil && o.result == "SKIP":
		t.Skip(strings.TrimSpace(o.log))
	case err == nil && o.result == "PASS":
		if o.log != "" {
			t.Log("in its own namespaces:\n" + o.log)
		}
	case err == nil && o.result == "":
		t.Fatalf("cannot isolate %s: the child ended well but did not run it:\n%s", t.Name(), o.log)
	case err == nil:
		t.Fatalf("in its own namespaces:\n%s", o.log)
	default:
		t.Fatalf("in its own namespaces (%v):\n%s", err, o.log)
	}
}
