package image

import (
	"debug/elf"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// put writes a file below a root, with the bytes of a program of this machine, changed.
func put(t *testing.T, root, name, from string, change func([]byte)) string {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	change(data)
	path := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// same changes nothing; foreign makes it a program for other machines: e_machine of elf(5).
func same([]byte)         {}
func foreign(data []byte) { data[18], data[19] = byte(elf.EM_MIPS), 0 }

// own returns the program that runs, which was built from this module.
func own(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return self
}

// TestMachine compares a program with what the image itself runs: systemd first, and no script.
func TestMachine(t *testing.T) {
	for name, tt := range map[string]struct {
		files map[string]func([]byte)
		want  string
	}{
		"the same":               {map[string]func([]byte){"bin/sh": same}, ""},
		"another":                {map[string]func([]byte){"bin/sh": foreign}, "and the image is for mips, as /bin/sh there shows"},
		"systemd says":           {map[string]func([]byte){"usr/lib/systemd/systemd": foreign, "bin/sh": same}, "as /usr/lib/systemd/systemd there shows"},
		"systemd of old":         {map[string]func([]byte){"lib/systemd/systemd": foreign, "bin/sh": same}, "as /lib/systemd/systemd there shows"},
		"a script says nothing":  {map[string]func([]byte){"sbin/init": func(b []byte) { copy(b, "#!/bin/sh") }, "bin/sh": foreign}, "as /bin/sh there shows"},
		"nothing there to judge": {nil, ""},
	} {
		root := t.TempDir()
		for file, change := range tt.files {
			put(t, root, file, own(t), change)
		}
		_, err := CheckProgram(root, own(t))
		switch {
		case err == nil && tt.want == "":
		case err != nil && tt.want == "" && strings.Contains(err.Error(), "is no static program"): // as the tester's Go builds
		case err == nil || tt.want == "" || !strings.Contains(err.Error(), tt.want):
			t.Errorf("%s: %v, wanted %q", name, err, tt.want)
		}
	}
}

// TestNotNatspread refuses what is another program, or none.
func TestNotNatspread(t *testing.T) {
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{"/bin/sh": "is not natspread", "/missing": "does not exist", script: "is not natspread"} {
		if _, err := CheckProgram("/", file); err == nil || err.Error() != file+" "+want {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// TestLoader starts a program of this machine, which is linked with the C library, in images that have its loader or
// not, by links of their own, and an older library.
func TestLoader(t *testing.T) {
	shell, err := filepath.EvalSymlinks("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	binary, err := elf.Open(shell)
	if err != nil {
		t.Fatal(err)
	}
	defer binary.Close()
	name := loader(binary)
	place, err := filepath.EvalSymlinks(name)
	if name == "" || err != nil {
		t.Fatalf("/bin/sh names the loader %q, %v", name, err)
	}
	libc, libm := filepath.Join(filepath.Dir(place), "libc.so.6"), filepath.Join(filepath.Dir(place), "libm.so.6")
	root := t.TempDir()
	wants := func(what, want string) {
		t.Helper()
		if got := unlinkable(root, binary); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("%s: %q, wanted %q", what, got, want)
		}
	}
	wants("an empty image", "it needs "+name+", which is not in the image")
	put(t, root, "opt/lib/loader", place, same)
	if err := os.MkdirAll(filepath.Join(root, filepath.Dir(name)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/opt/lib/loader", filepath.Join(root, name)); err != nil {
		t.Fatal(err)
	}
	wants("a loader by a link of the image's own", "")
	put(t, root, "opt/lib/libc.so.6", libc, same)
	wants("its own library", "")
	put(t, root, "opt/lib/libc.so.6", libm, same)
	wants("a library that defines other versions", "of libc.so.6, which the image's is too old for")
}

// TestLacks names what boot needs and the image does not have, once.
func TestLacks(t *testing.T) {
	root := t.TempDir()
	names := []string{"iptables-restore", "iptables-nft-restore", "iptables-nft-restore"}
	missing := Lacks(root, names)
	if len(missing) != 2 || !strings.HasPrefix(missing[0], "the image has no iptables-restore, iptables-nft-restore: ") || !strings.HasPrefix(missing[1], "the image has no systemd: ") {
		t.Errorf("an empty image: %q", missing)
	}
	put(t, root, "lib/systemd/systemd", own(t), same)
	put(t, root, "usr/sbin/iptables-restore", own(t), same)
	if missing = Lacks(root, names); len(missing) != 1 || !strings.HasPrefix(missing[0], "the image has no iptables-nft-restore: ") {
		t.Errorf("one program is missing: %q", missing)
	}
	if err := os.Symlink("/not/here/as/yet", filepath.Join(root, "usr/sbin/iptables-nft-restore")); err != nil {
		t.Fatal(err)
	}
	if missing = Lacks(root, names); !slices.Equal(missing, nil) {
		t.Errorf("all is there: %q", missing)
	}
}
