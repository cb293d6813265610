package bootfiles

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"natspread/internal/config"
	"natspread/internal/rules"
)

// saved is a file of rules as iptables-save writes it, with counters in some lines.
const saved = `*nat
:PREROUTING ACCEPT [0:0]
:LB - [0:0]
-A PREROUTING -i eth0 -p tcp -m tcp --dport 2222 -j DNAT --to-destination 10.0.0.2:22
-A PREROUTING -d 192.0.2.10/32 -p tcp -m tcp --dport 80 -m statistic --mode random --probability 0.50000000000 -j DNAT --to-destination 10.0.0.1:80
[7:420] -A PREROUTING -d 192.0.2.10/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.2:80
-A PREROUTING -d 192.0.2.10/32 -p tcp -m tcp --dport 443 -j LB
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A POSTROUTING -d 10.0.0.1/32 -j MASQUERADE
-A LB -p tcp -j DNAT --to-destination 10.0.0.1:443
COMMIT
`

// put writes a file below a root.
func put(t *testing.T, root, name, text string) {
	t.Helper()
	path := filepath.Join(root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// taken returns rules of IPv4, each written as iptables -S does.
func taken(list ...string) (all []rules.Taken) {
	for _, rule := range list {
		chain, text, _ := strings.Cut(strings.TrimPrefix(rule, "-A "), " ")
		all = append(all, rules.Taken{Family: rules.IPv4, Chain: chain, Text: text})
	}
	return all
}

// TestTaken finds rules that were taken out in whatever words a file has them, and none that stays.
func TestTaken(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	put(t, root, "etc/iptables/rules.v4", saved)
	put(t, root, "etc/rc.local", "#!/bin/sh\niptables -t nat -A POSTROUTING -d 10.0.0.1 -j MASQUERADE; echo done\niptables -A POSTROUTING -t nat -d 10.0.0.3 -j MASQUERADE\n")
	put(t, root, "etc/iptables/rules.v6", "*nat\n-A PREROUTING -p tcp --dport 443 -j LB\n")
	lines := Find(root, Wanted{
		Backends: []string{"10.0.0.1", "10.0.0.2"},
		Taken:    taken("-A POSTROUTING -d 10.0.0.1/32 -j MASQUERADE", "-A PREROUTING -d 192.0.2.10/32 -p tcp -m tcp --dport 443 -j LB"),
		Stays:    taken("-A PREROUTING -i eth0 -p tcp -m tcp --dport 2222 -m comment --comment \"bob ssh\" -j DNAT --to-destination 10.0.0.2:22"),
	})
	want := "netfilter-persistent loads the old rules again: lines 5-7 and 9-10 of /etc/iptables/rules.v4 -> sed -i '5,7d;9,10d' /etc/iptables/rules.v4\n" +
		"rc.local loads the old rules again: line 2 of /etc/rc.local -> \n"
	got := ""
	for _, file := range Files(lines) {
		got += fmt.Sprintf("%s -> %s\n", file, file.Fix())
	}
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestFix runs the command that takes all lines of a file out at once: what it leaves is what has nothing to do
// with the services, and nothing is found then.
func TestFix(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	put(t, root, "etc/iptables/rules.v4", saved)
	services := []config.Service{
		{Protocols: []config.Protocol{config.UDP}, Listen: []config.Listen{{Ports: config.Ports{First: 2222, Last: 2222}}}, Backends: []config.Backend{{Addr: netip.MustParseAddr("10.0.0.2")}}},
		{
			Protocols: []config.Protocol{config.TCP},
			Listen:    []config.Listen{{Addr: netip.MustParseAddr("192.0.2.10"), Ports: config.Ports{First: 80, Last: 80}}, {Ports: config.Ports{First: 443, Last: 443}}},
			Backends:  []config.Backend{{Addr: netip.MustParseAddr("10.0.0.1")}, {Addr: netip.MustParseAddr("10.0.0.2")}},
		},
	}
	files := Replaced(root, services, taken("-A POSTROUTING -d 10.0.0.1/32 -j MASQUERADE"))
	if len(files) != 1 || files[0].String() != "netfilter-persistent loads the old rules again: lines 5-6 and 9-10 of /etc/iptables/rules.v4" {
		t.Fatalf("found %v", files)
	}
	command := strings.Replace(files[0].Fix(), " /etc/", " "+root+"/etc/", 1)
	if out, err := exec.CommandContext(t.Context(), "sh", "-c", command).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", command, err, out)
	}
	if files = Replaced(root, services, nil); len(files) > 0 {
		t.Errorf("after %s: %v", command, files)
	}
	left, _ := os.ReadFile(filepath.Join(root, "etc/iptables/rules.v4"))
	if kept := string(left); strings.Count(kept, "\n") != strings.Count(saved, "\n")-4 || !strings.Contains(kept, "--dport 2222") || !strings.Contains(kept, "docker0") {
		t.Errorf("left is\n%s", kept)
	}
}

// TestReplaced knows by port, protocol and address whether a service replaces a line, and of a line that is not in
// the words of iptables by its port.
func TestReplaced(t *testing.T) {
	t.Parallel()
	service := config.Service{
		Protocols: []config.Protocol{config.TCP}, Listen: []config.Listen{{Addr: netip.MustParseAddr("192.0.2.10"), Ports: config.Ports{First: 80, Last: 89}}},
		Backends: []config.Backend{{Addr: netip.MustParseAddr("10.0.0.1")}},
	}
	for line, want := range map[string]bool{
		"iptables -t nat -A PREROUTING -p tcp --dport 85 -j DNAT --to-destination 10.0.0.1":                     true,
		"iptables -t nat -A PREROUTING -p 6 --dport 70:80 -j DNAT --to-destination 10.0.0.1":                    true,
		"iptables -t nat -A PREROUTING -d 192.0.2.0/24 -j DNAT --to-destination 10.0.0.1":                       true,
		"iptables -t nat -A PREROUTING -p tcp --dport 90 -j DNAT --to-destination 10.0.0.1":                     false,
		"iptables -t nat -A PREROUTING -p udp --dport 80 -j DNAT --to-destination 10.0.0.1":                     false,
		"iptables -t nat -A PREROUTING -d 192.0.2.11 -p tcp --dport 80 -j DNAT --to-destination 10.0.0.1":       false,
		"iptables -t nat -A PREROUTING -p tcp --dport 80 -j DNAT --to-destination 10.0.0.2":                     false,
		"iptables -t nat -A PREROUTING -p tcp --dport $PORT -j DNAT --to-destination 10.0.0.1":                  false,
		"nft add rule ip nat prerouting tcp dport 80 dnat to 10.0.0.1":                                          true,
		"-A NATSPREAD-web -p tcp -j DNAT --to-destination 10.0.0.1:80":                                          false,
		"-A DOCKER ! -i docker0 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.1:80":                  false,
		"nft add rule ip nat prerouting tcp dport 180 dnat to 10.0.0.1":                                         false,
		"iptables -t nat -A PREROUTING -p tcp --dport 80 -j DNAT --to-destination 10.0.0.1 2>/dev/null || exit": true,
	} {
		root := t.TempDir()
		put(t, root, "etc/rc.local", "#!/bin/sh\n"+line+"\n")
		if files := Replaced(root, []config.Service{service}, nil); (len(files) == 1) != want {
			t.Errorf("%s: found %v", line, files)
		}
	}
}
