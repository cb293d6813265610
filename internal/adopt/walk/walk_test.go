package walk

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"natspread/internal/rules"
)

// nat returns a nat table with some rules of iptables -S.
func nat(lines ...string) *Ruleset {
	text := "*nat\n:PREROUTING ACCEPT [0:0]\n:WEB - [0:0]\n"
	for _, line := range lines {
		text += line + "\n"
	}
	return Parse(rules.IPv4, []byte(text+"COMMIT\n"))
}

// TestSend divides the connections to 192.0.2.10:80 as the kernel does.
func TestSend(t *testing.T) {
	for name, tt := range map[string]struct {
		lines string
		want  string // places of rules and their parts of 100, and what is left; doubts behind a question mark
	}{
		"thirds":       {"-p tcp -m statistic --mode random --probability 0.33333333349 -j DNAT --to-destination 10.0.0.1:80; -p tcp -m statistic --mode random --probability 0.50000000000 -j DNAT --to-destination 10.0.0.2; -p tcp -j DNAT --to-destination 10.0.0.3", "1:33.33 2:33.33 3:33.33"},
		"row":          {"-m statistic --mode random --probability 0.33333333349 -j DNAT --to-destination 10.0.0.1; -m statistic --mode random --probability 0.33333333349 -j DNAT --to-destination 10.0.0.2; -m statistic --mode random --probability 0.33333333349 -j DNAT --to-destination 10.0.0.3", "1:33.33 2:22.22 3:14.81 left:29.63"},
		"nth":          {"-m statistic --mode nth --every 3 --packet 0 -j DNAT --to-destination 10.0.0.1; -m statistic --mode nth --every 2 --packet 0 -j DNAT --to-destination 10.0.0.2; -j DNAT --to-destination 10.0.0.3", "1:33.33 2:33.33 3:33.33"},
		"nth packets":  {"-m statistic --mode nth --every 3 --packet 0 -j DNAT --to-destination 10.0.0.1; -m statistic --mode nth --every 3 --packet 1 -j DNAT --to-destination 10.0.0.2; -m statistic --mode nth --every 3 --packet 2 -j DNAT --to-destination 10.0.0.3", "1:33.33 2:22.22 3:14.81 left:29.63"},
		"old counter":  {"-m nth --counter 0 --every 3 --packet 0 -j DNAT --to-destination 10.0.0.1; -m nth --counter 0 --every 3 --packet 1 -j DNAT --to-destination 10.0.0.2; -m nth --counter 0 --every 3 --packet 2 -j DNAT --to-destination 10.0.0.3", "1:33.33 2:33.33 3:33.33"},
		"old random":   {"-m random --average 25 -j DNAT --to-destination 10.0.0.1; -j DNAT --to-destination 10.0.0.2", "1:25.00 2:75.00"},
		"long options": {"--protocol tcp --match tcp --destination-port 80 --jump DNAT --to-destination 10.0.0.1:80", "1:100.00"},
		"every 1":      {"-m statistic --mode nth --every 1 -j DNAT --to-destination 10.0.0.1", "1:100.00"},
		"state":        {"-m state --state RELATED,ESTABLISHED -j DNAT --to-destination 10.0.0.1; -m conntrack --ctstate NEW -j DNAT --to-destination 10.0.0.2", "2:100.00"},
		"multiport":    {"-p tcp -m multiport --dports 22,79:81 -j DNAT --to-destination 10.0.0.1", "1:100.00"},
		"other":        {"-d 192.0.2.11/32 -j DNAT --to-destination 10.0.0.1; -p udp -j DNAT --to-destination 10.0.0.2; ! -d 192.0.2.10/32 -j DNAT --to-destination 10.0.0.3", "left:100.00"},
		"mask":         {"-d 192.0.2.10/255.255.255.0 -j REDIRECT --to-ports 8080", "1:100.00"},
		"log":          {"-m limit --limit 1/s -j LOG; -j MARK --set-xmark 0x1/0xffffffff; -j DNAT --to-destination 10.0.0.1", "3:100.00"},
		"recent":       {"-m recent --update --seconds 60 -j DNAT --to-destination 10.0.0.1; -j DNAT --to-destination 10.0.0.2", "2:100.00 ?1"},
		"holes":        {"-s 0.0.0.1/0.0.0.7 -j DNAT --to-destination 10.0.0.1", "left:100.00 ?1"},
		"chain":        {"-j WEB; -j DNAT --to-destination 10.0.0.9; WEB -m statistic --mode random --probability 0.5 -j RETURN; WEB -j ACCEPT", "WEB2:50.00 2:50.00"},
		"goto":         {"-g WEB; -j DNAT --to-destination 10.0.0.9; WEB -m statistic --mode random --probability 0.5 -j RETURN; WEB -j ACCEPT", "WEB2:50.00 left:50.00"},
		"circle":       {"-j WEB; WEB -j WEB", "left:100.00 endless"},
		"ours":         {"-j NATSPREAD-PRE; -j ACCEPT", "2:100.00"},
	} {
		t.Run(name, func(t *testing.T) {
			var lines []string
			for _, line := range strings.Split(tt.lines, "; ") {
				if rest, below := strings.CutPrefix(line, "WEB "); below {
					lines = append(lines, "-A WEB "+rest)
				} else {
					lines = append(lines, "-A PREROUTING "+line)
				}
			}
			packet := Packet{Protocol: "tcp", Destination: netip.MustParseAddr("192.0.2.10"), Port: 80, Local: true}
			if got := outcomeText(nat(lines...).Send("nat", "PREROUTING", packet)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// outcomeText writes an outcome on a line.
func outcomeText(o Outcome) string {
	var words []string
	left := 0.0
	for _, end := range o.Ends {
		if end.Rule == nil {
			left += end.Part
			continue
		}
		words = append(words, fmt.Sprintf("%s%d:%.2f", strings.TrimPrefix(end.Rule.Chain, "PREROUTING"), end.Rule.Place, 100*end.Part))
	}
	if left > tiny {
		words = append(words, fmt.Sprintf("left:%.2f", 100*left))
	}
	for _, rule := range o.Doubt {
		words = append(words, fmt.Sprintf("?%d", rule.Place))
	}
	if o.Endless {
		words = append(words, "endless")
	}
	return strings.Join(words, " ")
}

// TestLine finds the line of each rule in what it was read from.
func TestLine(t *testing.T) {
	text := "# c\n*filter\n:FORWARD DROP [1:2]\n-A FORWARD -j ACCEPT\nCOMMIT\n*nat\n:PREROUTING ACCEPT [0:0]\n[1:2] -A PREROUTING -p tcp -j DNAT --to-destination 10.0.0.1\n\n-A PREROUTING -m comment --comment \"a \\\"b\\\"\" -j ACCEPT\nCOMMIT\n"
	set := Parse(rules.IPv4, []byte(text))
	got := set.Rules("nat")
	if len(got) != 2 || got[0].Line != 8 || got[1].Line != 10 || got[1].Comment != `a "b"` || set.Chain("filter", "FORWARD").Policy != "DROP" {
		t.Errorf("got %+v", got)
	}
}

// TestKeys joins what the rules ask for on the way to one that translates.
func TestKeys(t *testing.T) {
	set := nat("-A PREROUTING -i eth0 -d 192.0.2.0/24 -p tcp -j WEB", "-A PREROUTING -p udp -j WEB",
		"-A WEB -d 192.0.2.10/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.1", "-A WEB -d 198.51.100.1/32 -j DNAT --to-destination 10.0.0.2")
	var got []string
	for _, key := range set.Keys("nat", "PREROUTING", func(r *Rule) bool { return r.Target.Kind == Translates }) {
		got = append(got, fmt.Sprint(key.Rule.Place, key.In, key.Protocol, key.Destination, key.Ports, len(key.Way)))
	}
	if want := "1eth0tcp[192.0.2.10/32] [{80 80}] 2 2udp[198.51.100.1/32] [] 2"; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %q", strings.Join(got, " "), want)
	}
}

// TestTargets reads what targets say.
func TestTargets(t *testing.T) {
	for text, want := range map[string]string{
		"DNAT --to-destination 10.0.0.1:80": "5 10.0.0.1:80", "DNAT --to-destination [fd00::1]:80": "5 [fd00::1]:80", "DNAT --to-destination fd00::1": "5 fd00::1",
		"DNAT --to-destination 10.0.0.1-10.0.0.4:80-90": "5 10.0.0.1-10.0.0.4:80-90", "DNAT --to-destination :80": "5 this host:80", "REDIRECT": "5 this host",
		"DNAT --to-destination 10.0.0.1:9000-9010/8000": "5 10.0.0.1:9000-9010/8000", "REDIRECT --to-ports 8080 --random": "5 this host:8080--random",
		"SNAT --to-source 192.0.2.10": "6 192.0.2.10", "MASQUERADE": "6 this host", "NETMAP --to 10.0.0.0/24": "7 this host", "DNAT --to-destination 10.0.0.300": "7 this host",
		"DNAT": "7 this host", "DNAT --to-destination 10.0.0.1 --to-destination 10.0.0.2": "7 10.0.0.1", "LOG --log-prefix x": "0 this host", "REJECT --reject-with tcp-reset": "2 this host",
	} {
		words := strings.Fields(text)
		target := targetOf(words[0], false, words[1:])
		got := fmt.Sprint(int(target.Kind), " ", target.Backend())
		if target.Base != 0 {
			got += fmt.Sprint("/", target.Base)
		}
		if got += strings.Join(target.Options, ""); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

// TestAsked names the clients and interfaces for whom it may be otherwise.
func TestAsked(t *testing.T) {
	set := nat("-A PREROUTING -s 198.51.100.0/24 -i eth0 -p tcp -j ACCEPT", "-A PREROUTING ! -i eth1 -p udp -j ACCEPT", "-A PREROUTING -s 203.0.113.0/24 -p udp -j ACCEPT")
	out := set.Send("nat", "PREROUTING", Packet{Protocol: "tcp", Destination: netip.MustParseAddr("192.0.2.10")})
	if got := fmt.Sprint(out.Sources, out.Links, " ", outcomeText(out)); got != "[198.51.100.0/24] [eth0] left:100.00" {
		t.Errorf("got %s", got)
	}
}
