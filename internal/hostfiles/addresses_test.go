package hostfiles

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
)

// TestKeepAddress names the file that has to be written, by what sets interfaces up.
func TestKeepAddress(t *testing.T) {
	with := netip.MustParsePrefix("192.0.2.10/24")
	for name, tt := range map[string]struct {
		files map[string]string
		want  string
	}{
		"nothing known": {nil, "192.0.2.10/24 in whatever sets front up at boot"},
		"netplan": {map[string]string{"etc/netplan/50-cloud-init.yaml": "network:\n", "etc/netplan/01.yaml": "network:\n"},
			"192.0.2.10/24 to the addresses of front in /etc/netplan/50-cloud-init.yaml, then netplan apply"},
		"networkd": {map[string]string{"run/systemd/netif/state": "", "etc/systemd/network/10-back.network": "[Match]\nName=back\n", "etc/systemd/network/20-front.network": "[Match]\nName=fr*\n"},
			"Address=192.0.2.10/24 below [Network] in /etc/systemd/network/20-front.network"},
		"networkd not in use": {map[string]string{"etc/systemd/network/20-front.network": "[Match]\nName=front\n"}, "192.0.2.10/24 in whatever sets front up at boot"},
		"ifupdown": {map[string]string{"etc/network/interfaces": "auto front\n# iface front\niface front inet static\n"},
			"up ip address add 192.0.2.10/24 dev front below /etc/network/interfaces:3"},
		"NetworkManager": {map[string]string{"run/NetworkManager/x": ""}, "nmcli connection modify CONNECTION +ipv4.addresses 192.0.2.10/24"},
	} {
		root := written(t, tt.files)
		if got := root.KeepAddress("front", with); got != tt.want {
			t.Errorf("%s: %s\nwant %s", name, got, tt.want)
		}
	}
	root := written(t, map[string]string{"run/NetworkManager/x": ""})
	if got := root.KeepAddress("front", netip.MustParsePrefix("2001:db8::10/64")); got != "nmcli connection modify CONNECTION +ipv6.addresses 2001:db8::10/64" {
		t.Error(got)
	}
}

// TestFloating finds an address in keepalived's files, however it is written, and not in comments.
func TestFloating(t *testing.T) {
	root := written(t, map[string]string{
		"etc/keepalived/keepalived.conf":    "# 192.0.2.9\nvirtual_ipaddress {\n  192.0.2.10/24 dev front\n  192.0.2.110\n} ! 192.0.2.8\n",
		"etc/keepalived/conf.d/second.conf": "virtual_ipaddress { 2001:DB8:0::10/64 }\n",
	})
	for addr, want := range map[string]string{
		"192.0.2.10": "/etc/keepalived/keepalived.conf:3", "192.0.2.110": "/etc/keepalived/keepalived.conf:4", "2001:db8::10": "/etc/keepalived/conf.d/second.conf:1",
		"192.0.2.1": "", "192.0.2.8": "", "192.0.2.9": "",
	} {
		at, found := root.Floating()[netip.MustParseAddr(addr)]
		if found != (want != "") || found && at.String() != want {
			t.Errorf("%s: %v %v, want %s", addr, at, found, want)
		}
	}
}

// written returns a root with some files.
func written(t *testing.T, files map[string]string) Root {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return Root(root)
}
