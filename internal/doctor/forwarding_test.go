package doctor

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"natspread/internal/rules"
)

// update rewrites what the stories want.
var update = flag.Bool("update", false, "rewrite the wanted findings in testdata/doctor")

// host returns a host with the files of a story, whose switches are all on but for
// those below proc/. A file that holds "-> TARGET" is a link.
func host(t *testing.T, files []txtar.File) Host {
	t.Helper()
	root := t.TempDir()
	proc := filepath.Join(root, "proc")
	for _, key := range []string{"ipv4/ip_forward", "ipv6/conf/all/forwarding", "ipv4/conf/all/forwarding", "ipv4/conf/default/forwarding", "ipv4/conf/eth0/forwarding"} {
		write(t, filepath.Join(proc, "net", key), "1\n")
	}
	write(t, filepath.Join(proc, "net/ipv4/conf/lo/forwarding"), "0\n")
	for _, file := range files {
		write(t, filepath.Join(root, file.Name), string(file.Data))
	}
	return Host{Root: root, Sysctls: proc, Proc: proc}
}

// write writes a file, or makes a link, and the directories above.
func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	target, link := strings.CutPrefix(strings.TrimSpace(text), "-> ")
	if link {
		if err := os.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// reported returns findings as text.
func reported(findings []Finding) string {
	var text strings.Builder
	for _, f := range findings {
		fmt.Fprintf(&text, "%s: %s\n    %s\n", f.Severity, f.What, f.Fix)
	}
	return text.String()
}

// TestForwardingStories finds in each tree of files what its story wants.
func TestForwardingStories(t *testing.T) {
	paths, err := filepath.Glob("../../testdata/doctor/*.txtar")
	if err != nil || len(paths) < 15 {
		t.Fatalf("%d stories, %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			story, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			last := len(story.Files) - 1
			if story.Files[last].Name != "findings" || len(story.Comment) == 0 {
				t.Fatal("a story begins with its reason and ends with its findings")
			}
			found := host(t, story.Files[:last]).forwardingCheck(mattersIn(story.Files)).families(rules.Families())
			if *update {
				story.Files[last].Data = []byte(reported(found))
				if err := os.WriteFile(path, txtar.Format(story), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(story.Files[last].Data), reported(found)); diff != "" {
				t.Errorf("-wanted +found:\n%s", diff)
			}
		})
	}
}

// mattersIn reads the lines INTERFACE no, and INTERFACE SERVICE... for one that those may
// come in by, of a story's file "interfaces". Any other one matters.
func mattersIn(files []txtar.File) func(string) (Severity, []string) {
	unused := map[string][]string{}
	for _, file := range files {
		for line := range strings.Lines(string(file.Data)) {
			if words := strings.Fields(line); file.Name == "interfaces" {
				unused[words[0]] = words[1:]
			}
		}
	}
	return func(name string) (Severity, []string) {
		services, listed := unused[name]
		switch {
		case !listed:
			return Broken, nil
		case services[0] == "no":
			return "", nil
		}
		return Risk, services
	}
}

// TestForwardingOneFamily looks at what is asked for and at nothing else.
func TestForwardingOneFamily(t *testing.T) {
	off := host(t, []txtar.File{{Name: "proc/net/ipv4/ip_forward", Data: []byte("0\n")}, {Name: "proc/net/ipv6/conf/all/forwarding", Data: []byte("0\n")}})
	for _, family := range rules.Families() {
		found := off.Forwarding(nil, family)
		if len(found) != 1 || !strings.HasPrefix(found[0].What, family.String()+": ") {
			t.Errorf("%v: %+v", family, found)
		}
	}
	if found := off.Forwarding(nil); found != nil {
		t.Errorf("none: %+v", found)
	}
}

// TestForwardingUnreadable tells which switch a kernel without IPv6 lacks, and still finds
// what is wrong with the other family.
func TestForwardingUnreadable(t *testing.T) {
	without := host(t, nil)
	if err := os.Remove(filepath.Join(without.Sysctls, "net/ipv6/conf/all/forwarding")); err != nil {
		t.Fatal(err)
	}
	const lacks = "risk: cannot tell whether the host forwards ipv6: cannot read net.ipv6.conf.all.forwarding: "
	wantFindings(t, without.Forwarding(nil, rules.IPv6), lacks)
	wantFindings(t, without.Forwarding(nil, rules.IPv4))
	write(t, filepath.Join(without.Sysctls, "net/ipv4/ip_forward"), "0\n")
	wantFindings(t, without.Forwarding(nil, rules.IPv6, rules.IPv4), lacks, "broken: ipv4: net.ipv4.ip_forward is not 1")
}
