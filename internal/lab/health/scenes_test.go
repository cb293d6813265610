package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"natspread/internal/test/netnstest"
	"natspread/internal/test/testsize"
)

// programsName is the environment variable that tells a test in namespaces of its own where
// the programs are.
const programsName = "HEALTH_PROGRAMS"

// programs builds this program and natspread, unless the test that started this one did.
func programs(t *testing.T) string {
	t.Helper()
	dir := os.Getenv(programsName)
	if dir == "" {
		dir = t.TempDir()
		t.Setenv(programsName, dir)
		out, err := exec.Command("go", "build", "-o", dir, "natspread/internal/lab/health", "natspread/cmd/natspread").CombinedOutput()
		if err != nil {
			t.Fatalf("go build: %v\n%s", err, out)
		}
	}
	return dir
}

// TestScenes plays those that no clock judges, with the real programs.
func TestScenes(t *testing.T) {
	dir := programs(t)
	for i, scene := range untimed() {
		for _, variant := range netnstest.VariantsFor(t, scene.name) {
			for j, family := range []string{"4", "6"} {
				if !testsize.Whole() && i%2 != j {
					continue
				}
				t.Run(scene.name+"-"+variant+"-"+family, func(t *testing.T) {
					if !netnstest.Isolate(t) {
						return
					}
					out, err := exec.Command(filepath.Join(dir, "health"), "-scene", "^"+scene.name+"$", "-variant", variant, "-family", family,
						"-verbs", strconv.Itoa(testsize.Of(40, 200)), filepath.Join(dir, "natspread")).CombinedOutput()
					if err != nil {
						t.Fatalf("%v\n%s", err, out)
					}
				})
			}
		}
	}
}
