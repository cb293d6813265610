package hostfiles

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// tree returns a root with some files, by path. A text "-> TARGET" makes a link.
func tree(t *testing.T, files map[string]string) Root {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		write := func() error { return os.WriteFile(path, []byte(text), 0o644) }
		if target, link := strings.CutPrefix(text, "-> "); link {
			write = func() error { return os.Symlink(target, path) }
		}
		if err := write(); err != nil {
			t.Fatal(err)
		}
	}
	return Root(root)
}

// TestAfterEmpty drops the values before an empty one.
func TestAfterEmpty(t *testing.T) {
	r := tree(t, map[string]string{
		"usr/lib/systemd/system/natspread.service":            "[Unit]\nAfter=ufw.service\nAfter=ferm.service csf.service\n",
		"etc/systemd/system/natspread.service.d/own.conf":     "[Unit]\nAfter=\nAfter=ferm.service\n",
		"usr/lib/systemd/system/natspread.service.d/own.conf": "[Unit]\nAfter=hidden.service\n",
	})
	if words := r.UnitOptions("natspread.service").Words("Unit", "After"); !slices.Equal(words, []string{"ferm.service"}) {
		t.Errorf("%v", words)
	}
}

// TestEnabled starts no unit that is masked, missing or wanted by none.
func TestEnabled(t *testing.T) {
	const wants = "etc/systemd/system/multi-user.target.wants/"
	r := tree(t, map[string]string{
		"usr/lib/systemd/system/on.service": "[Service]\n", wants + "on.service": "-> /usr/lib/systemd/system/on.service",
		"usr/lib/systemd/system/off.service":    "[Service]\n",
		"usr/lib/systemd/system/masked.service": "[Service]\n", "etc/systemd/system/masked.service": "-> /dev/null", wants + "masked.service": "-> gone",
		wants + "missing.service": "-> gone",
	})
	for name, want := range map[string]bool{"on": true, "off": false, "masked": false, "missing": false} {
		if r.Enabled(name+".service") != want {
			t.Errorf("%s: %v", name, !want)
		}
	}
}

// TestJoined reads an option of two lines, with a comment between them, at its first line.
func TestJoined(t *testing.T) {
	r := tree(t, map[string]string{"etc/systemd/networkd.conf": "\n[Network]\nIPv4Forwarding = \\\n# no\n  no\n"})
	last, on, found := r.WithDropIns("/etc/systemd/networkd.conf", nil).Boolean("Network", "IPv4Forwarding")
	if !found || on || last.At.String() != "/etc/systemd/networkd.conf:3" {
		t.Errorf("%+v, %v, %v", last, on, found)
	}
}

// TestLast takes the last line of a key, by the names of files and not of directories. A
// pattern leaves a key alone that has a line without one.
func TestLast(t *testing.T) {
	r := tree(t, map[string]string{
		"etc/sysctl.d/10-first.conf":     "net.ipv4.ip_forward = 0\n",
		"usr/lib/sysctl.d/20-later.conf": "net/ipv4/ip_forward=1\n",
		"usr/lib/sysctl.d/10-first.conf": "net.ipv4.conf.eth0/200.forwarding = 0\n",
		"etc/sysctl.conf":                "net.ipv4.* = 0x0\nnet.ipv4.conf.*.forwarding = 00\n-net.ipv4.conf.eth1.forwarding\n",
	})
	for key, want := range map[string]string{
		"net/ipv4/ip_forward":               "/usr/lib/sysctl.d/20-later.conf:1",
		"net/ipv4/conf/eth0.200/forwarding": "/etc/sysctl.conf:2",
		"net/ipv4/conf/eth1/forwarding":     "",
	} {
		last, set := r.SysctlSystem().Last(key)
		if got := last.At.String(); set != (want != "") || set && (got != want || last.Off() != (key != "net/ipv4/ip_forward")) {
			t.Errorf("%s: %+v, %v", key, last, set)
		}
	}
}

// TestMatch asks which interfaces a .network file is for.
func TestMatch(t *testing.T) {
	for text, want := range map[string][2]bool{ // whether it matches eth0, and whether that is certain
		"":                                  {false, true},
		"[Match]\nName=eth*":                {true, true},
		"[Match]\nName=!eth* en*":           {false, true},
		"[Match]\nName=eth0\nName=\n":       {false, true},
		"[Match]\nName=lo\nName=eth0":       {true, true},
		"[Match]\nDriver=veth":              {true, false},
		"[Match]\nDriver=veth\nName=eth0":   {true, false},
		"[Match]\nDriver=veth\nName=lo":     {false, false},
		"[Link]\nName=lo\n[Match]\nName=e*": {true, true},
	} {
		matches, certain := tree(t, map[string]string{"a.network": text}).WithDropIns("a.network", nil).Match("eth0")
		if matches != want[0] || certain != want[1] {
			t.Errorf("%q: %v, %v", text, matches, certain)
		}
	}
}

// TestUFWSysctl reads the file that ufw applies, where ufw is enabled.
func TestUFWSysctl(t *testing.T) {
	for enabled, want := range map[string]int{"yes": 1, "no": 0} {
		r := tree(t, map[string]string{
			"etc/ufw/ufw.conf": "ENABLED=" + enabled + "\n", "etc/default/ufw": "IPT_SYSCTL='/etc/own'\n", "etc/own": "net/ipv4/ip_forward=0\n",
		})
		if found := r.UFWSysctl(); len(found) != want {
			t.Errorf("%s: %+v", enabled, found)
		}
	}
}

// TestSystemdVersion takes the newest of systemd's libraries.
func TestSystemdVersion(t *testing.T) {
	r := tree(t, map[string]string{"usr/lib/x86_64-linux-gnu/systemd/libsystemd-shared-257.so": "", "lib/systemd/libsystemd-shared-252.19-1.so": ""})
	if version, known := r.SystemdVersion(); version != 257 || !known {
		t.Errorf("%d, %v", version, known)
	}
	if _, known := tree(t, nil).SystemdVersion(); known {
		t.Error("there is none, and it is known")
	}
}
