package main

import (
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"natspread/internal/test/netnstest"
	"natspread/internal/test/testsize"
)

// TestScenes plays those that no clock judges, with the real programs.
func TestScenes(t *testing.T) {
	dir := netnstest.Build(t, "natspread/internal/lab/health", "natspread/cmd/natspread")
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
