package bootfiles

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFind finds the rules of a host in every file that is known to load some, by file and line.
func TestFind(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for name, text := range map[string]string{
		"etc/iptables/rules.v4":             "*nat\n-A PREROUTING -p tcp --dport 80 -j DNAT --to-destination 10.0.0.1:80\n-A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.11:80\nCOMMIT\n",
		"etc/iptables/rules.v6":             "-A PREROUTING -p tcp --dport 80 -j DNAT --to-destination [fd00::1]:80\n-A PREROUTING -j DNAT --to-destination fd00::12\n",
		"etc/ufw/before.rules":              "# 10.0.0.1 -j DNAT\n-A PREROUTING -p tcp --dport 80 -j DNAT --to-destination 10.0.0.1\n",
		"etc/rc.local":                      "#!/bin/sh\n/usr/local/bin/fw start\n",
		"usr/local/bin/fw":                  "iptables -t nat -A PREROUTING -j DNAT --to-destination $A\n",
		"etc/network/interfaces":            "iface eth0 inet dhcp\n  post-up iptables -t nat -A PREROUTING -p tcp --dport 80 -j DNAT --to 10.0.0.1\n",
		"etc/network/if-up.d/lb":            "iptables -t nat -A PREROUTING -j DNAT --to-destination 10.0.0.1\n",
		"etc/wireguard/wg0.conf":            "[Interface]\nPostUp = iptables -t nat -A PREROUTING -i %i -j DNAT --to-destination 10.0.0.1\nPostDown = iptables -t nat -D PREROUTING -i %i -j DNAT --to-destination 10.0.0.1\n",
		"etc/nftables.conf":                 "table ip nat {\n  chain p { tcp dport 80 dnat to 10.0.0.1:80\n}\n}\n",
		"etc/sysconfig/iptables":            "-A PREROUTING -j DNAT --to-destination 10.0.0.1\n-A PREROUTING -j DNAT --to-destination 10.0.0.10\n",
		"var/lib/iptables/rules-save":       "[0:0] -A PREROUTING -j DNAT --to-destination 10.0.0.1\n",
		"etc/firewalld/direct.xml":          "<direct>\n<rule ipv=\"ipv4\" table=\"nat\" chain=\"PREROUTING\" priority=\"0\">-j DNAT --to-destination 10.0.0.1</rule>\n</direct>\n",
		"etc/systemd/system/lb.service":     "[Service]\nExecStart=-/opt/lb.sh 1\nExecStart=/usr/sbin/iptables -t nat -A PREROUTING -j DNAT --to-destination 10.0.0.1\n",
		"opt/lb.sh":                         "for n in 1 2; do iptables -t nat -A PREROUTING -j DNAT --to-destination 10.0.0.$n; done\n",
		"etc/cron.d/lb":                     "@reboot root iptables -t nat -A PREROUTING -j DNAT --to-destination 10.0.0.1\n",
		"etc/NetworkManager/dispatcher.d/9": "iptables -t nat -A PREROUTING -j DNAT --to-destination 10.0.0.1\n",
		"etc/other":                         "iptables -t nat -A PREROUTING -j DNAT --to-destination 10.0.0.1\n",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, line := range Find(root, Wanted{Backends: []string{"10.0.0.1", "fd00::1"}}) {
		got = append(got, fmt.Sprintf("%s %s:%d %v", line.From, line.File, line.Line, line.Sure))
	}
	want := `netfilter-persistent /etc/iptables/rules.v4:2 true
netfilter-persistent /etc/iptables/rules.v6:1 true
ufw /etc/ufw/before.rules:2 true
the iptables service /etc/sysconfig/iptables:1 true
the iptables service /var/lib/iptables/rules-save:1 true
firewalld /etc/firewalld/direct.xml:2 true
nftables /etc/nftables.conf:2 true
rc.local /usr/local/bin/fw:1 false
ifupdown /etc/network/interfaces:2 true
ifupdown /etc/network/if-up.d/lb:1 true
WireGuard /etc/wireguard/wg0.conf:2 true
WireGuard /etc/wireguard/wg0.conf:3 true
systemd /etc/systemd/system/lb.service:3 true
systemd /opt/lb.sh:1 false
cron /etc/cron.d/lb:1 true
NetworkManager /etc/NetworkManager/dispatcher.d/9:1 true`
	if strings.Join(got, "\n") != want {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), want)
	}
}
