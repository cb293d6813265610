package rules

import (
	"net/netip"
	"strings"
	"testing"
)

// placeAmong returns where the jump of a service belongs among rules of others: one tcp service
// at 10.0.0.1:80, which is reached by an interface, or by none.
func placeAmong(t *testing.T, foreign, link string, more ...Chain) int {
	t.Helper()
	saved, err := ParseSaved(Filter, []byte("*filter\n:INPUT ACCEPT [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n"+declared(foreign)+foreign+"COMMIT\n"))
	if err != nil {
		t.Fatal(err)
	}
	table := Table{Name: Filter, Chains: []Chain{{Name: ServiceForward, Rules: []Rule{{
		ConnectionProtocol: "tcp", OriginalDestination: netip.MustParsePrefix("192.0.2.10/32"), ReplySource: netip.MustParsePrefix("10.0.0.1/32"),
		OriginalPorts: Ports{80, 80}, ReplyPorts: Ports{8080, 8080}, Target: Target{Kind: Accept},
	}}}}}
	table.Chains = append(table.Chains, more...)
	return ForwardPlacer{Link: func(netip.Addr) string { return link }}.Place(saved, table)
}

// declared returns the declarations of the chains that rules are in.
func declared(foreign string) (lines string) {
	for line := range strings.Lines(foreign) {
		name := strings.Fields(line)[1]
		if name != Forward && !strings.Contains(lines, ":"+name+" ") {
			lines += ":" + name + " - [0:0]\n"
		}
	}
	return lines
}

// The shapes in which others write FORWARD.
const (
	docker = `-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-FORWARD
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER ! -i docker0 -o docker0 -j DROP
-A DOCKER-BRIDGE -o docker0 -j DOCKER
-A DOCKER-CT -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A DOCKER-FORWARD -j DOCKER-CT
-A DOCKER-FORWARD -j DOCKER-ISOLATION-STAGE-1
-A DOCKER-FORWARD -j DOCKER-BRIDGE
-A DOCKER-FORWARD -i docker0 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
-A DOCKER-USER -s 203.0.113.9/32 -j DROP
`
	ufw = `-A FORWARD -j ufw-before-logging-forward
-A FORWARD -j ufw-before-forward
-A FORWARD -j ufw-after-forward
-A FORWARD -j ufw-after-logging-forward
-A FORWARD -j ufw-reject-forward
-A FORWARD -j ufw-track-forward
-A ufw-after-logging-forward -m limit --limit 3/min --limit-burst 10 -j LOG --log-prefix "[UFW BLOCK] "
-A ufw-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A ufw-before-forward -p icmp -m icmp --icmp-type 3 -j ACCEPT
-A ufw-before-forward -j ufw-user-forward
-A ufw-user-forward -s 203.0.113.9/32 -j DROP
`
	libvirt = `-A FORWARD -j LIBVIRT_FWX
-A FORWARD -j LIBVIRT_FWI
-A FORWARD -j LIBVIRT_FWO
-A LIBVIRT_FWI -d 192.168.122.0/24 -o virbr0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A LIBVIRT_FWI -o virbr0 -j REJECT --reject-with icmp-port-unreachable
-A LIBVIRT_FWO -s 192.168.122.0/24 -i virbr0 -j ACCEPT
-A LIBVIRT_FWO -i virbr0 -j REJECT --reject-with icmp-port-unreachable
-A LIBVIRT_FWX -i virbr0 -o virbr0 -j ACCEPT
`
	firewalld = `-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED,DNAT -j ACCEPT
-A FORWARD -i lo -j ACCEPT
-A FORWARD -j FORWARD_direct
-A FORWARD -m conntrack --ctstate INVALID -j DROP
-A FORWARD -j REJECT --reject-with icmp-host-prohibited
-A FORWARD_direct -s 203.0.113.9/32 -j DROP
`
)

// TestForwardPlace finds the place in FORWARD as others make it, by the interface that leads
// to the backend.
func TestForwardPlace(t *testing.T) {
	for name, c := range map[string]struct {
		foreign string
		places  map[string]int // by the interface, "" where no route is known
	}{
		"nothing":                    {"", map[string]int{"": 1, "back": 1}},
		"bans only":                  {"-A FORWARD -s 203.0.113.9/32 -j DROP\n-A FORWARD -j LOG\n", map[string]int{"back": 3}},
		"docker":                     {docker, map[string]int{"back": 3, "docker0": 2, "": 3}},
		"docker, and a ban behind":   {docker + "-A FORWARD -s 203.0.113.7/32 -j DROP\n", map[string]int{"back": 4, "": 4}},
		"ufw, policy":                {ufw, map[string]int{"back": 7, "": 7}},
		"ufw, reject":                {ufw + "-A ufw-reject-forward -j REJECT --reject-with icmp-port-unreachable\n", map[string]int{"back": 5, "": 5}},
		"libvirt":                    {libvirt, map[string]int{"back": 3, "virbr0": 2, "": 3}},
		"firewalld":                  {firewalld, map[string]int{"back": 6}},
		"firewalld without DNAT":     {strings.Replace(firewalld, ",DNAT", "", 1), map[string]int{"back": 5, "": 5}},
		"fail2ban":                   {"-A FORWARD -p tcp -m multiport --dports 80,443,8080 -j f2b\n-A f2b -s 203.0.113.9/32 -j REJECT\n-A f2b -j RETURN\n", map[string]int{"back": 2}},
		"a final drop by interface":  {"-A FORWARD -s 203.0.113.9/32 -j DROP\n-A FORWARD -i eth0 -j DROP\n", map[string]int{"back": 2, "": 2}},
		"a final drop of new ones":   {"-A FORWARD -s 203.0.113.9/32 -j DROP\n-A FORWARD -m conntrack --ctstate NEW -j DROP\n", map[string]int{"back": 2}},
		"a final drop, of old ones":  {"-A FORWARD -m conntrack --ctstate ESTABLISHED -j DROP\n-A FORWARD -m conntrack --ctstate INVALID -j DROP\n", map[string]int{"back": 3}},
		"a final drop of all but":    {"-A FORWARD -m conntrack ! --ctstate RELATED,ESTABLISHED -j DROP\n", map[string]int{"back": 1}},
		"a set of bans":              {"-A FORWARD -m set --match-set banned src -j DROP\n-A FORWARD -j REJECT\n", map[string]int{"back": 2}},
		"bans of all unknown kinds":  {"-A FORWARD -m limit --limit 1/sec -j DROP\n-A FORWARD -m connlimit --connlimit-above 5 --connlimit-mask 32 --connlimit-saddr -j REJECT\n-A FORWARD -m string --string x --algo bm --to 65535 -j DROP\n-A FORWARD -m other --thing 1 -j DROP\n-A FORWARD -m recent --update --seconds 60 --name bad --mask 255.255.255.255 --rsource -j DROP\n", map[string]int{"back": 6}},
		"an allow list":              {"-A FORWARD ! -s 198.51.100.0/24 -p tcp -m tcp --dport 8080 -j DROP\n", map[string]int{"back": 2}},
		"of the backend":             {"-A FORWARD -d 10.0.0.0/24 -j DROP\n", map[string]int{"back": 1}},
		"of another machine":         {"-A FORWARD -d 10.0.1.0/24 -j DROP\n", map[string]int{"back": 2}},
		"all but the backend":        {"-A FORWARD ! -d 10.0.0.0/24 -j DROP\n", map[string]int{"back": 2}},
		"of its port":                {"-A FORWARD -p tcp -m tcp --dport 8000:8999 -j DROP\n", map[string]int{"back": 1}},
		"of another port":            {"-A FORWARD -p tcp -m tcp --dport 80 -j DROP\n-A FORWARD -p udp -j DROP\n", map[string]int{"back": 3}},
		"of its answers":             {"-A FORWARD -p tcp -m tcp --sport 8080 -j DROP\n", map[string]int{"back": 1}},
		"accepted before":            {"-A FORWARD -d 10.0.0.1/32 -p tcp -m tcp --dport 8080 -j ACCEPT\n-A FORWARD -m state --state RELATED,ESTABLISHED -j ACCEPT\n-A FORWARD -j DROP\n", map[string]int{"back": 4}},
		"accepted of some before":    {"-A FORWARD -s 198.51.100.0/24 -j ACCEPT\n-A FORWARD -i eth0 -o back -j ACCEPT\n-A FORWARD -j DROP\n", map[string]int{"back": 3}},
		"a chain that comes back":    {"-A FORWARD -j first\n-A FORWARD -j DROP\n-A first -p tcp -j RETURN\n-A first -j DROP\n", map[string]int{"back": 2}},
		"a chain that is left by -g": {"-A FORWARD -j first\n-A FORWARD -s 203.0.113.9/32 -j DROP\n-A first -g second\n-A first -j DROP\n-A second -p udp -j DROP\n", map[string]int{"back": 3}},
		"a ban of a chain":           {"-A FORWARD -s 203.0.113.0/24 -j closed\n-A closed -j DROP\n", map[string]int{"back": 2}},
		"ours is no other's":         {"-A FORWARD -m conntrack --ctstate DNAT -j NATSPREAD-FORWARD\n-A FORWARD -s 203.0.113.9/32 -j DROP\n-A NATSPREAD-FORWARD -j ACCEPT\n", map[string]int{"back": 2}},
	} {
		for link, want := range c.places {
			if got := placeAmong(t, c.foreign, link); got != want {
				t.Errorf("%s, backend by %q: place %d, want %d", name, link, got, want)
			}
		}
	}
}

// TestForwardPlaceTakeover has the backend begin connections, too: what closes them to it is no
// ban, although it lets pass what clients begin.
func TestForwardPlaceTakeover(t *testing.T) {
	began := Chain{Name: ServiceTakeover, Rules: []Rule{{
		ConnectionProtocol: "tcp", OriginalSource: netip.MustParsePrefix("10.0.0.1/32"), OriginalSourcePorts: Ports{8080, 8080}, Target: Target{Kind: Accept},
	}}}
	for name, c := range map[string]struct {
		foreign           string
		clients, takeover int
	}{
		"nothing":               {"", 1, 1},
		"bans":                  {"-A FORWARD -d 203.0.113.9/32 -j DROP\n-A FORWARD -m conntrack --ctstate INVALID -j DROP\n", 3, 3},
		"firewalld":             {firewalld, 6, 5},
		"accepted from clients": {"-A FORWARD -o back -j ACCEPT\n-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT\n-A FORWARD -j DROP\n", 4, 3},
		"accepted both ways":    {"-A FORWARD -o back -j ACCEPT\n-A FORWARD -i back -j ACCEPT\n-A FORWARD -j DROP\n", 4, 4},
		"by its port":           {"-A FORWARD -p tcp -m tcp --dport 8080 -j ACCEPT\n-A FORWARD -p tcp -m tcp --sport 8080 -j ACCEPT\n-A FORWARD -j DROP\n", 4, 4},
		"a drop of its answers": {"-A FORWARD -p tcp -m tcp --sport 8080 -m conntrack --ctstate NEW -j DROP\n-A FORWARD -s 203.0.113.9/32 -j DROP\n", 3, 1},
	} {
		if got := placeAmong(t, c.foreign, "back"); got != c.clients {
			t.Errorf("%s: place %d, want %d", name, got, c.clients)
		}
		if got := placeAmong(t, c.foreign, "back", began); got != c.takeover {
			t.Errorf("%s, with takeover: place %d, want %d", name, got, c.takeover)
		}
	}
}

// TestForwardPlaceElsewhere has a place for FORWARD only, and for the accepts of natspread 0.1,
// of which no backend is known.
func TestForwardPlaceElsewhere(t *testing.T) {
	placer := ForwardPlacer{Link: func(netip.Addr) string { return "back" }}
	dropped := Saved{Name: Filter, Chains: []SavedChain{{Name: Forward, Rules: []SavedRule{
		{Text: "-s 203.0.113.9/32 -j DROP"}, {Text: "-o back -j DROP"}, {Text: "-d 10.0.0.1/32 -j DROP"}, {Text: "-p tcp -j DROP"},
	}}}}
	old := Table{Name: Filter, Chains: []Chain{{Name: ServiceForward, Rules: []Rule{{
		ConnectionProtocol: "tcp", OriginalDestination: netip.MustParsePrefix("192.0.2.10/32"), OriginalPorts: Ports{80, 80}, Target: Target{Kind: Accept},
	}}}}}
	for _, c := range []struct {
		saved Saved
		table Table
		want  int
	}{
		{dropped, old, 4},
		{dropped, Table{Name: Filter}, 1},
		{Saved{Name: NAT, Chains: dropped.Chains}, sample(IPv4), 1},
		{Saved{Name: Filter}, old, 1},
	} {
		if got := placer.Place(c.saved, c.table); got != c.want {
			t.Errorf("%v: place %d, want %d", c.table, got, c.want)
		}
	}
}

// TestPlaceInMangle leaves the jump where it stands, unless a packet may not get there.
func TestPlaceInMangle(t *testing.T) {
	const jump = "-A FORWARD -j NATSPREAD-MSS\n"
	for lines, want := range map[string]int{
		"":   1,
		jump: 1,
		"-A FORWARD -j MARK --set-xmark 0x1/0xffffffff\n":                                 1,
		"-A FORWARD -j MARK --set-xmark 0x1/0xffffffff\n-A FORWARD -p udp\n" + jump:       3,
		"-A FORWARD -p tcp -j TCPMSS --set-mss 1400\n" + jump:                             2,
		"-A FORWARD -p tcp -j ACCEPT\n" + jump:                                            1,
		"-A FORWARD -j LOG\n-A FORWARD -j QOS\n" + jump:                                   1,
		"-A FORWARD -p udp -j DROP\n" + jump + "-A FORWARD -j MARK --set-xmark 0x1/0x1\n": 1,
	} {
		saved, err := ParseSaved(Mangle, []byte("*mangle\n:QOS - [0:0]\n:NATSPREAD-MSS - [0:0]\n"+lines+"COMMIT\n"))
		if err != nil {
			t.Fatal(err)
		}
		if got := (ForwardPlacer{}).Place(saved, sampleMangle(IPv4)); got != want {
			t.Errorf("%s: place %d, want %d", lines, got, want)
		}
		if got := (ForwardPlacer{}).Place(saved, Table{Name: Mangle}); got != 1 {
			t.Errorf("%s: place %d of nothing", lines, got)
		}
	}
}
