package install

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"natspread/internal/configfiles"
	"natspread/internal/paths"
	"natspread/internal/program"
	"natspread/internal/rules"
)

// aProgram returns a program to install.
func aProgram(t *testing.T) Program {
	t.Helper()
	file := filepath.Join(t.TempDir(), "natspread")
	if err := os.WriteFile(file, []byte("program"), 0o755); err != nil {
		t.Fatal(err)
	}
	return Program{file: file}
}

// TestImage installs all that an image can have, and a second time nothing. A config that is there
// stays.
func TestImage(t *testing.T) {
	from, image := aProgram(t), Image{Root: t.TempDir(), Config: configfiles.Alone("", []byte("first\n")), Volatile: true, Watched: true, Prometheus: "/run/natspread.prom"}
	done, err := image.Install(from)
	for _, wanted := range []string{
		"program " + image.Root + "/usr/local/sbin/natspread", "config " + image.Root + "/" + paths.Config,
		"wrote " + image.Root + "/etc/systemd/system/" + paths.Unit, "wrote " + image.Root + "/usr/lib/tmpfiles.d/natspread.conf",
		"linked " + image.Root + "/etc/systemd/system/" + paths.Unit + ".wants/" + paths.HealthUnit,
	} {
		if err != nil || !slices.Contains(done, wanted) {
			t.Errorf("%q is not done: %q, %v", wanted, done, err)
		}
	}
	image.Config = configfiles.Alone("", []byte("second\n"))
	if done, err := image.Install(from); err != nil || len(done) != 0 {
		t.Errorf("the second time: %q, %v", done, err)
	}
	if text, err := os.ReadFile(filepath.Join(image.Root, paths.Config)); err != nil || string(text) != "first\n" {
		t.Errorf("the config: %q, %v", text, err)
	}
	plain := Image{Root: t.TempDir(), Config: image.Config}
	done, err = plain.Install(from)
	more := func(line string) bool {
		return strings.HasSuffix(line, ".wants/"+paths.HealthUnit) || strings.Contains(line, "tmpfiles.d")
	}
	if err != nil || len(done) == 0 || slices.ContainsFunc(done, more) {
		t.Errorf("neither volatile nor watched: %q, %v", done, err)
	}
}

// TestHalfway stops where the config cannot be written, and returns what was done before.
func TestHalfway(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "etc"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	done, err := Image{Root: root, Volatile: true}.Install(aProgram(t))
	if err == nil || !slices.Equal(done, []string{"program " + root + "/usr/local/sbin/natspread"}) {
		t.Errorf("%q, %v", done, err)
	}
}

// TestForImage refuses a program that is not natspread before anything is written, and takes this
// one where none is named.
func TestForImage(t *testing.T) {
	root := t.TempDir()
	none := func(context.Context, []byte, string, ...string) ([]byte, error) { return nil, program.ErrMissing }
	if _, _, err := ForImage(t.Context(), root, aProgram(t).file, none); err == nil || !strings.HasPrefix(err.Error(), "the image could not run natspread: ") {
		t.Errorf("%v", err)
	}
	self, err := program.Path()
	if err != nil {
		t.Fatal(err)
	}
	if running, err := Running(t.Context(), root, none); err != nil || running != (Program{file: self}) {
		t.Errorf("%+v, %v", running, err)
	}
	unit := filepath.Join(root, "usr/lib/systemd/system", paths.Unit)
	if err := os.MkdirAll(filepath.Dir(unit), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(unit, []byte("[Service]\nExecStart=/usr/sbin/natspread restore\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if running, missing, err := ForImage(t.Context(), root, "", none); err != nil || !running.stays || missing != nil {
		t.Errorf("beside a package: %+v, %q, %v", running, missing, err)
	}
}

// TestProgramsAtBoot names what boot runs: of a family without rules nothing.
func TestProgramsAtBoot(t *testing.T) {
	tables := rules.NoTables()
	if got := ProgramsAtBoot(tables, rules.NFT); !slices.Equal(got, []string{"iptables-restore"}) {
		t.Errorf("without rules: %q", got)
	}
	tables.IPv6.Chains = []rules.Chain{{Name: "NATSPREAD-PRE"}}
	want := []string{"iptables-restore", "ip6tables-legacy-restore", "ip6tables-legacy-save"}
	if got := ProgramsAtBoot(tables, rules.Legacy); !slices.Equal(got, want) {
		t.Errorf("%q, not %q", got, want)
	}
}
