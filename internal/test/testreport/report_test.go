package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// module is a module of which the go command itself makes the stream.
var module = map[string]string{
	"go.mod": "module example\n\ngo 1.25.0\n",
	"good/good_test.go": `package good
import ("fmt"; "testing")
func TestGood(t *testing.T) { t.Run("part", func(*testing.T) {}); t.Log("not shown") }
func TestSkipped(t *testing.T) { t.Log("first"); t.Skip("no namespaces") }
func TestRelays(t *testing.T) {
	t.Log("in its own process:\n--- PASS: TestRelays/one (0.00s)\n    x_test.go:1: no kernel\n--- SKIP: TestRelays/two (0.00s)\n--- PASS: TestRelays (0.00s)\n--- PASS: TestAround (0.00s)")
	fmt.Println("--- not a result")
}
`,
	"bad/bad_test.go": `package bad
import "testing"
func TestBad(t *testing.T) { t.Log("why"); t.Fail() }
func TestGood(t *testing.T) { t.Log("not shown") }
`,
	"dies/dies_test.go":     "package dies\nimport (\"os\"; \"testing\")\nfunc TestDies(t *testing.T) { t.Log(\"last words\"); os.Exit(3) }\n",
	"broken/broken_test.go": "package broken\nfunc broken() { return 1 }\n",
	"empty/empty.go":        "package empty\n",
}

// stream runs go test -json on packages of the module.
func stream(t *testing.T, packages ...string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range module {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", append([]string{"test", "-json", "-vet=off"}, packages...)...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if len(out) == 0 {
		t.Fatalf("go test: %v", err)
	}
	return string(out)
}

// seconds are what differs between two runs.
var seconds = regexp.MustCompile(`\d+\.\d+s`)

// reported is what a report says of a stream, and whether all is well.
func reported(t *testing.T, stream string, verbose bool) (said string, well bool) {
	t.Helper()
	var out strings.Builder
	r := newReport(&out, verbose)
	if err := r.read(strings.NewReader(stream)); err != nil {
		t.Fatal(err)
	}
	well = r.end()
	return seconds.ReplaceAllString(out.String(), "TIME"), well
}

func TestReport(t *testing.T) {
	const broken = "# example/broken [example/broken.test]\nbroken/broken_test.go:2:24: too many return values\n\thave (number)\n\twant ()\nFAIL\texample/broken [build failed]\n"
	for _, test := range []struct {
		pkg, said string
		well      bool
	}{
		{"good", "ok  \texample/good\tTIME\n" +
			"SKIP example/good TestRelays/two: x_test.go:1: no kernel\n" +
			"SKIP example/good TestSkipped: good_test.go:4: no namespaces\n" +
			"tests: 4 passed, 0 failed, 2 skipped\n", true},
		{"bad", "    bad_test.go:3: why\n--- FAIL: TestBad (TIME)\nFAIL\nFAIL\texample/bad\tTIME\ntests: 1 passed, 1 failed, 0 skipped\n", false},
		{"broken", broken + "tests: 0 passed, 1 failed, 0 skipped\n", false},
		{"empty", "?   \texample/empty\t[no test files]\ntests: 0 passed, 0 failed, 0 skipped\n", false},
	} {
		t.Run(test.pkg, func(t *testing.T) {
			said, well := reported(t, stream(t, "./"+test.pkg), false)
			if diff := cmp.Diff(test.said, said); diff != "" || well != test.well {
				t.Errorf("well %v, want %v (-want +said):\n%s", well, test.well, diff)
			}
		})
	}
}

func TestDeadPackage(t *testing.T) {
	said, well := reported(t, stream(t, "./dies"), false)
	if well || !strings.Contains(said, "last words") || !strings.Contains(said, "1 failed") {
		t.Errorf("well %v, said:\n%s", well, said)
	}
}

func TestVerbose(t *testing.T) {
	said, _ := reported(t, stream(t, "./good"), true)
	for _, line := range []string{"--- PASS: TestGood\n", "--- SKIP: TestSkipped\n"} {
		if !strings.Contains(said, line) {
			t.Errorf("no %q in:\n%s", line, said)
		}
	}
}

// TestOtherWords keeps what is no event: the go command prints some errors bare.
func TestOtherWords(t *testing.T) {
	event, err := json.Marshal(event{Action: "pass", Package: "p", Test: "TestP"})
	if err != nil {
		t.Fatal(err)
	}
	said, well := reported(t, "go: cannot find main module\n"+string(event)+"\n", false)
	if want := "go: cannot find main module\ntests: 1 passed, 0 failed, 0 skipped\n"; said != want || !well {
		t.Errorf("well %v, said:\n%s", well, said)
	}
}
