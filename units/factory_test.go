package units

import (
	"os"
	"path/filepath"
	"testing"
)

// TestFactory writes the rule of systemd-tmpfiles once, and takes it out, unless it was changed by hand.
func TestFactory(t *testing.T) {
	root := t.TempDir()
	path := filepath.Join(root, "usr/lib/tmpfiles.d/natspread.conf")
	for _, wanted := range [][]string{{"wrote " + path}, nil} {
		done, err := InstallFactory(root)
		if err != nil {
			t.Fatal(err)
		}
		want(t, "done", wanted, done)
	}
	for _, wanted := range [][]string{{"removed " + path}, nil} {
		done, err := UninstallOffline(root)
		if err != nil {
			t.Fatal(err)
		}
		want(t, "undone", wanted, done)
	}
	if err := os.WriteFile(path, []byte("C /var/lib/natspread - - - - /srv\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	done, err := UninstallOffline(root)
	if err != nil {
		t.Fatal(err)
	}
	want(t, "changed by hand", []string{"kept " + path + ", which was changed by hand"}, done)
}

// TestChanged tells what changed something from what is done each time.
func TestChanged(t *testing.T) {
	for line, changed := range map[string]bool{
		"reloaded systemd": false, "started natspread.service": false, "stopped natspread.service": false, "kept /etc/x": false,
		"left natspread-health.service alone, which is masked": false,
		"wrote /etc/x": true, "removed /etc/x": true, "enabled natspread.service": true, "disabled natspread.service": true,
		"linked /etc/x": true, "program /usr/local/sbin/natspread": true, "config /etc/x": true,
	} {
		if Changed([]string{"reloaded systemd", line}) != changed {
			t.Errorf("%s: changed: %v", line, !changed)
		}
	}
}
