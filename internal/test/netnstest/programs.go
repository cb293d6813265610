package netnstest

import (
	"hash/fnv"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"natspread/internal/test/testsize"
)

// Tools are the names of one variant's programs for one family.
type Tools struct {
	Iptables string // iptables-nft, ip6tables-legacy ...
	Save     string
	Restore  string
}

// Programs names the programs of a variant, nft or legacy, for family 4 or 6.
func Programs(variant string, family int) Tools {
	name := "iptables-" + variant
	if family == 6 {
		name = "ip6tables-" + variant
	}
	return Tools{Iptables: name, Save: name + "-save", Restore: name + "-restore"}
}

// Variants lists the variants whose programs are all installed, for a table of
// subtests. A missing one is a failure where namespaces are required, as a run
// that checks everything would otherwise silently check half; with none, the
// test is skipped.
func Variants(t testing.TB) []string {
	t.Helper()
	var installed []string
	var absent []string
	for _, variant := range []string{"nft", "legacy"} {
		missing := missingPrograms(variant)
		if len(missing) == 0 {
			installed = append(installed, variant)
		}
		absent = append(absent, missing...)
	}
	switch {
	case len(absent) > 0 && os.Getenv(Require) == "1":
		t.Fatalf("missing: %s (apt-get install iptables)", strings.Join(absent, " "))
	case len(installed) == 0:
		t.Skipf("missing: %s (apt-get install iptables)", strings.Join(absent, " "))
	}
	return installed
}

// VariantsFor lists those of Variants with which a case of a table is tried: all of them
// where tests take their largest cases. Else it is one, by the name of the case, so that
// of a long table each variant gets its part.
func VariantsFor(t testing.TB, name string) []string {
	t.Helper()
	return VariantsAt(t, name, 0)
}

// VariantsAt is VariantsFor for a case by its place in the table of that name. Neighbours
// take different variants.
func VariantsAt(t testing.TB, name string, place int) []string {
	t.Helper()
	installed := Variants(t)
	if testsize.Whole() {
		return installed
	}
	sum := fnv.New32a()
	sum.Write([]byte(name))
	i := (int(sum.Sum32()) + place) % len(installed)
	return installed[i : i+1]
}

// missingPrograms lists a variant's programs that aren't there.
func missingPrograms(variant string) []string {
	var missing []string
	for _, family := range []int{4, 6} {
		tools := Programs(variant, family)
		for _, name := range []string{tools.Iptables, tools.Save, tools.Restore} {
			if !installed(name) {
				missing = append(missing, name)
			}
		}
	}
	return missing
}

// installed looks where the isolated child will: PATH, then the sbin
// directories that an ordinary user's PATH lacks.
func installed(name string) bool {
	if _, err := exec.LookPath(name); err == nil {
		return true
	}
	for _, dir := range filepath.SplitList(sbin) {
		if _, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}
