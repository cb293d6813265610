package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMigrationPage holds each command of the page on coming over to a script that runs it: that of adopt, and
// for install those that install.
func TestMigrationPage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(house, "docs/migration.md"))
	if err != nil {
		t.Fatal(err)
	}
	ran, commands := "", 0
	for _, name := range []string{"adopt", "install-live"} {
		script, err := os.ReadFile(filepath.Join(kernelScriptDir, name+".txtar"))
		if err != nil {
			t.Fatal(err)
		}
		ran += string(script)
	}
	ran = strings.NewReplacer("$IPTABLES", "iptables", " root/etc", " /etc").Replace(ran)
	for line := range strings.Lines(string(page)) {
		command, indented := strings.CutPrefix(strings.TrimRight(line, "\n"), "    ")
		if !indented {
			continue
		}
		if commands++; !strings.Contains(ran, command) {
			t.Errorf("no script runs %s", command)
		}
	}
	if commands != 10 {
		t.Errorf("the page has %d commands", commands)
	}
}
