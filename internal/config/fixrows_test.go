package config

import (
	"strings"
	"testing"

	"natspread/internal/config/field"
)

// fixRow is what people write, in place of lines of oneService or besides, what they are told, and
// what then stands there; "" where natspread can't.
type fixRow struct{ written, fix, then string }

// fixRows are habits of other programs, of other files, and of a hurry.
var fixRows = []fixRow{
	// Weights.
	{`backends = [{ address = "10.0.0.1:80", weight = "2" }]`, `write weight = 2`, `backends = [{ address = "10.0.0.1:80", weight = 2 }]`},
	{`backends = [{ address = "10.0.0.1:80", weight = "70%" }, { address = "10.0.0.2:80", weight = "30%" }]`, `write weight = 70`, `backends = [{ address = "10.0.0.1:80", weight = 70 }, { address = "10.0.0.2:80", weight = 30 }]`},
	{`backends = [{ address = "10.0.0.1:80", weight = 0.7 }, { address = "10.0.0.2:80", weight = 0.3 }]`, `write weight = 7`, `backends = [{ address = "10.0.0.1:80", weight = 7 }, { address = "10.0.0.2:80", weight = 3 }]`},
	{`backends = [{ address = "10.0.0.1:80", weight = "0.25" }, { address = "10.0.0.2:80", weight = 0.75 }]`, `write weight = 1`, `backends = [{ address = "10.0.0.1:80", weight = 1 }, { address = "10.0.0.2:80", weight = 3 }]`},
	{`backends = [{ address = "10.0.0.1:80", weight = 1.5 }, { address = "10.0.0.2:80", weight = 1 }]`, `write weight = 3, and weight = 2 for 1`, `backends = [{ address = "10.0.0.1:80", weight = 3 }, { address = "10.0.0.2:80", weight = 1 }]`},
	{`backends = [{ address = "10.0.0.1:80", weight = 0.5 }, "10.0.0.2:80"]`, `write weight = 1, and weight = 2 where there is none`, `backends = [{ address = "10.0.0.1:80", weight = 1 }, "10.0.0.2:80"]`},
	{`backends = [{ address = "10.0.0.1:80", weight = 131070 }, { address = "10.0.0.2:80", weight = 65536 }]`, `write weight = 65535`, `backends = [{ address = "10.0.0.1:80", weight = 65535 }, { address = "10.0.0.2:80", weight = 32768 }]`},
	{`backends = [{ address = "10.0.0.1:80", weight = -1 }]`, `write weight = 1; drain = true is for a backend that gets no new connections`, `backends = ["10.0.0.1:80"]`},

	// Switches and words.
	{`local = "no"`, `write local = false`, `local = false`},
	{`local = "off"`, `write local = false`, `local = false`},
	{`local = 1`, `write local = true`, `local = true`},
	{`local = yes`, `write local = true`, `local = true`},
	{`local = "perhaps"`, `write local = true, or local = false`, `local = true`},
	{`forward = "yes"`, `write "accept", to let them through`, `forward = "accept"`},
	{`forward = true`, `write "accept", to let them through`, `forward = "accept"`},
	{`forward = "drop"`, `natspread can't drop packets: write "leave", and let a rule of your own in FORWARD drop them`, ``},
	{`clamp_mss = "yes"`, `write clamp_mss = true`, `clamp_mss = true`},
	{`clamp_mss = 0`, `write clamp_mss = false`, `clamp_mss = false`},
	{`clamp_mss = "1260"`, `write clamp_mss = 1260`, `clamp_mss = 1260`},
	{`clamp_mss = "1260 bytes"`, `write clamp_mss = 1260`, `clamp_mss = 1260`},
	{`clamp_mss = 12.6e2`, `write clamp_mss = 1260`, `clamp_mss = 1260`},
	{`clamp_mss = -1260`, `write clamp_mss = 536`, `clamp_mss = 536`},
	{`clamp_mss = "pmtu"`, `write clamp_mss = true, or the number of bytes that a segment may have, as in clamp_mss = 1260`, `clamp_mss = true`},
	{`mss = 1260`, `did you mean clamp_mss?`, `clamp_mss = 1260`},
	{`mtu = 1300`, `write clamp_mss = true`, `clamp_mss = true`},
	{"protocol = \"udp\"\nclamp_mss = true", `take clamp_mss out, which is for tcp only`, `protocol = "udp"`},
	{`protocol = "tcp+tcp"`, `write "tcp"`, `protocol = "tcp"`},
	{`protocol = ["tcp", "tcp+udp"]`, `write "udp"`, `protocol = ["tcp", "udp"]`},
	{`protocol = "tcp+quic"`, `did you mean "tcp"?`, `protocol = "tcp"`},
	{`protocol = "tcp,udp"`, `write ["tcp", "udp"]`, `protocol = ["tcp", "udp"]`},
	{`protocol = ["tcp, udp"]`, `write "tcp", "udp"`, `protocol = ["tcp", "udp"]`},
	{`protocol = "all"`, `write ["tcp", "udp"]`, `protocol = ["tcp", "udp"]`},
	{`protocol = 17`, `write "udp"`, `protocol = "udp"`},
	{`protocol = "https"`, `write "tcp"`, `protocol = "tcp"`},
	{`protocol = "gre"`, `natspread can't: it balances tcp, udp and sctp only`, ``},
	{`protocol = "icmp"`, `natspread can't: it balances tcp, udp and sctp only`, ``},
	{`algorithm = "leastconn"`, `natspread can't count open connections: write "random" or "round-robin"`, ``},
	{`algorithm = "ip_hash"`, `write "source"`, `algorithm = "source"`},
	{`algorithm = "Sticky"`, `write "source"`, `algorithm = "source"`},
	{`algorithm = "wrr"`, `write "round-robin"`, `algorithm = "round-robin"`},
	{`algorithm = ["random"]`, `write "random"`, `algorithm = "random"`},
	{`on_remove = "cut"`, `write "reset"`, `on_remove = "reset"`},
	{`on_remove = "keep"`, `write "drain"`, `on_remove = "drain"`},
	{`snat = "A-B"`, `write one of "masquerade", "none"`, `snat = "masquerade"`},
	{`snat = "192.0.2.20-192.0.2.10"`, `write "192.0.2.10-192.0.2.20"`, `snat = "192.0.2.10-192.0.2.20"`},
	{`snat = ["192.0.2.20-192.0.2.19", "192.0.2.11"]`, `write "192.0.2.19-192.0.2.20"`, `snat = ["192.0.2.19-192.0.2.20", "192.0.2.11"]`},
	{`snat = "192.0.2.10-20"`, `write "192.0.2.10-192.0.2.20"`, `snat = "192.0.2.10-192.0.2.20"`},
	{`snat = "192.0.2.10, 192.0.2.12"`, `write ["192.0.2.10", "192.0.2.12"]`, `snat = ["192.0.2.10", "192.0.2.12"]`},
	{`snat = "192.0.2.10-192.0.2.11 192.0.2.13"`, `write ["192.0.2.10-192.0.2.11", "192.0.2.13"]`, `snat = ["192.0.2.10-192.0.2.11", "192.0.2.13"]`},
	{`snat = "192.0.2.10-2001:db8::1"`, `write ["192.0.2.10", "2001:db8::1"]`, `snat = "192.0.2.10"`},
	{`snat = ["192.0.2.10", "192.0.2.8-192.0.2.12"]`, `take it out`, `snat = "192.0.2.10"`},
	{`snat = ["192.0.2.10", "2001:db8::10"]`, `take it out`, `snat = "192.0.2.10"`},
	{`snat = ["masquerade"]`, `write snat = "masquerade"`, `snat = "masquerade"`},
	{`snat = []`, `write snat = "masquerade"`, `snat = "masquerade"`},
	{`snat = "10.0.0.0-10.255.255.255"`, `natspread can't take more: write fewer of this machine's addresses`, ``},
	{`snat = "192.0.2.10:1024-65535"`, `write "192.0.2.10"`, `snat = "192.0.2.10"`},
	{`snat_ports = "random"`, `write "random-fully"`, `snat_ports = "random-fully"`},
	{`snat_ports = true`, `write "random-fully"`, `snat_ports = "random-fully"`},
	{`random_fully = true`, `write snat_ports = "random-fully"`, `snat_ports = "random-fully"`},
	{"snat = \"none\"\nsnat_ports = \"random-fully\"", `take snat_ports out, or write snat = "masquerade"`, `snat = "none"`},
	{`snat = { mode = "none" }`, `write "none"`, `snat = "none"`},
	{`snat = false`, `write "none", where the backends answer by way of this machine`, `snat = "none"`},
	{`snat = "auto"`, `write "masquerade"`, `snat = "masquerade"`},
	{`snat = "192.0.2.10/32"`, `write "192.0.2.10"`, `snat = "192.0.2.10"`},
	{`interface = "eth0,eth1"`, `write ["eth0", "eth1"]`, `interface = ["eth0", "eth1"]`},
	{`interface = "eth0 eth1"`, `write ["eth0", "eth1"]`, `interface = ["eth0", "eth1"]`},
	{`interface = ["eth0, wg+", "lo"]`, `write "eth0", "wg+"`, `interface = ["eth0", "wg+", "lo"]`},
	{`interface = "eth 0"`, `write "eth0"`, `interface = "eth0"`},
	{`interface = "eth*"`, `write "eth+", which is every name that begins with eth`, `interface = "eth+"`},
	{`interface = "eth?"`, `write "eth+", which is every name that begins with eth`, `interface = "eth+"`},
	{`interface = "+"`, `take interface out, which is any`, ``},
	{`interface = "*"`, `take interface out, which is any`, ``},
	{`interface = "!eth0"`, `natspread can't exclude one: write those that packets come in by, or take interface out, which is any`, ``},
	{`interface = ["eth0", "eth0"]`, `take it out`, `interface = ["eth0"]`},
	{`interface = ["eth0", "eth+"]`, `take it out`, `interface = ["eth+"]`},
	{`interface = " eth0"`, `write "eth0"`, `interface = "eth0"`},

	// Listen addresses.
	{`listen = "2001:db8::10:80"
backends = ["[2001:db8::1]:80"]`, `write "[2001:db8::10]:80", if 80 is the port`, `listen = "[2001:db8::10]:80"
backends = ["[2001:db8::1]:80"]`},
	{`listen = "192.0.2.10:25,465,25"`, `write ["192.0.2.10:465", "192.0.2.10:25"]`, `listen = ["192.0.2.10:465", "192.0.2.10:25"]`},
	{`listen = ["192.0.2.10:20-30", "192.0.2.10:25,465"]`, `write "192.0.2.10:465"`, `listen = ["192.0.2.10:20-30", "192.0.2.10:465"]`},
	{`listen = "192.0.2.10:25,0"`, `write the number of the port, as in "192.0.2.10:80"`, `listen = "192.0.2.10:80"`},
	{`listen = "192.0.2.10:25;465"`, `write ["192.0.2.10:25", "192.0.2.10:465"]`, `listen = ["192.0.2.10:25", "192.0.2.10:465"]`},
	{`listen = ["192.0.2.10:25, 465"]`, `write "192.0.2.10:25", "192.0.2.10:465"`, `listen = ["192.0.2.10:25", "192.0.2.10:465"]`},
	{`listen = "192.0.2.10:80:90"`, `write "192.0.2.10:80-90"`, `listen = "192.0.2.10:80-90"`},
	{`listen = "192.0.2.10:*"`, `write "192.0.2.10:1-65535", which takes the port of sshd, too`, `listen = "192.0.2.10:1-65535"`},
	{`listen = "192.0.2.10:443/tcp"`, `write "192.0.2.10:443" and protocol = "tcp"`, `listen = "192.0.2.10:443"`},
	{`listen = "192.0.2.10:53/udp"`, `write "192.0.2.10:53" and protocol = "udp"`, "listen = \"192.0.2.10:53\"\nprotocol = \"udp\""},
	{`listen = "192.0.2.10:https"`, `write "192.0.2.10:443"`, `listen = "192.0.2.10:443"`},
	{`listen = ":80"`, `write "*:80" for every address of this machine, or one of them`, `listen = "*:80"`},
	{`listen = "80"`, `write "*:80" for every address of this machine, or one of them`, `listen = "*:80"`},
	{`listen = 80`, `write "*:80" for every address of this machine, or one of them`, `listen = "*:80"`},
	{`listen = [80, 443]`, `write "*:80" for every address of this machine, or one of them`, `listen = ["*:80", "*:443"]`},
	{`listen = "0.0.0.0:8080"`, `write "*:8080" for every address of this machine`, `listen = "*:8080"`},
	{`listen = "192.0.2.0/28:80"`, `natspread can't tell which of its addresses are meant: list them, as in ["192.0.2.1:80", "192.0.2.2:80"]`, ``},
	{`listen = "eth0:80"`, `write "*:80" and interface = "eth0"`, "listen = \"*:80\"\ninterface = \"eth0\""},
	{`listen = "http://192.0.2.10:80/"`, `write "192.0.2.10:80"`, `listen = "192.0.2.10:80"`},
	{`listen = "192.0.2.10:80, 192.0.2.11:80"`, `write ["192.0.2.10:80", "192.0.2.11:80"]`, `listen = ["192.0.2.10:80", "192.0.2.11:80"]`},
	{"listen = \"192.0.2.10:80\"\nlisten = \"192.0.2.10:443\"", `write listen = ["192.0.2.10:80", "192.0.2.10:443"] and take this one out`, `listen = ["192.0.2.10:80", "192.0.2.10:443"]`},
	{`listen: "192.0.2.10:80"`, `write listen = "192.0.2.10:80"`, ``},
	{`listen = 192.0.2.10:8080`, `write listen = "192.0.2.10:8080"`, `listen = "192.0.2.10:8080"`},

	// Backends.
	{`backends = ["10.0.0.0/29:80"]`, `natspread can't tell which of its addresses are meant: list them, as in ["10.0.0.1:80", "10.0.0.2:80"]`, ``},
	{`backends = ["10.0.0.1-10.0.0.3:80"]`, `write "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"`, `backends = ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"]`},
	{`backends = ["10.0.0.1-3:80"]`, `write "10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"`, `backends = ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"]`},
	{`backends = ["10.0.0.1-10.0.9.3:80"]`, `natspread can't take a range: list its addresses, as in ["10.0.0.1:80", "10.0.0.2:80"]`, ``},
	{`backends = ["cp1:6443"]`, `write the address that the name stands for, as in "10.0.0.1:6443"`, `backends = ["10.0.0.1:6443"]`},
	{`backends = ["10.0.0.1:8443 weight 2"]`, `write { address = "10.0.0.1:8443", weight = 2 }`, `backends = [{ address = "10.0.0.1:8443", weight = 2 }]`},
	{`backends = ["10.0.0.1:80", 2]`, `write the address of a machine, as in "10.0.0.1:2"`, `backends = ["10.0.0.1:80", "10.0.0.1:2"]`},
	{`backends = [["10.0.0.1:80", 2]]`, `write backends = [{ address = "10.0.0.1:80", weight = 2 }]`, `backends = [{ address = "10.0.0.1:80", weight = 2 }]`},
	{`backends = [["10.0.0.1:80", "10.0.0.2:80"]]`, `write backends = ["10.0.0.1:80", "10.0.0.2:80"]`, `backends = ["10.0.0.1:80", "10.0.0.2:80"]`},
	{`backends = ["10.0.0.1:80", "10.0.0.2:80 down"]`, `write { address = "10.0.0.2:80", drain = true }`, `backends = ["10.0.0.1:80", { address = "10.0.0.2:80", drain = true }]`},
	{`backends = [{ address = "10.0.0.2:80", port = 8443 }]`, `take port out, or write address = "10.0.0.2"`, `backends = ["10.0.0.2:80"]`},
	{`backends = [{ address = "10.0.0.2", port = "8443" }]`, `write port = 8443`, `backends = ["10.0.0.2:8443"]`},
	{`backends = [{ address = "10.0.0.2", port = "https" }]`, `write port = 80, with the number of the port`, `backends = ["10.0.0.2:80"]`},
	{"listen = \"192.0.2.10:8000-8010\"\nbackends = [{ address = \"10.0.0.2\", port = 9000 }, \"10.0.0.1:9000-9010\"]", `write port = "9000-9010"`, "listen = \"192.0.2.10:8000-8010\"\nbackends = [\"10.0.0.2:9000-9010\", \"10.0.0.1:9000-9010\"]"},
	{"listen = \"192.0.2.10\"\nports = { 80 = 8080 }\nbackends = [{ address = \"10.0.0.2\", port = 9000 }]", `take port out`, "listen = \"192.0.2.10\"\nports = { 80 = 8080 }\nbackends = [\"10.0.0.2\"]"},
	{`backends = "10.0.0.1:http"`, `write "10.0.0.1:80"`, `backends = ["10.0.0.1:80"]`},
	{`backends = "10.0.0.1:80, 10.0.0.2:80"`, `write backends = ["10.0.0.1:80", "10.0.0.2:80"]`, `backends = ["10.0.0.1:80", "10.0.0.2:80"]`},
	{"listen = \"192.0.2.10:8000-8010\"\nbackends = [\"10.0.0.1:9000-9011\"]", `write "10.0.0.1:9000-9010"`, "listen = \"192.0.2.10:8000-8010\"\nbackends = [\"10.0.0.1:9000-9010\"]"},
	{"listen = \"192.0.2.10:8000-8010\"\nbackends = [\"10.0.0.1:65530-65535\"]", `write "10.0.0.1:65525-65535"`, "listen = \"192.0.2.10:8000-8010\"\nbackends = [\"10.0.0.1:65525-65535\"]"},
	{"listen = \"192.0.2.10:8000-8010\"\nbackends = [\"10.0.0.1:9000-9010\", \"10.0.0.2:9000\"]", `write "10.0.0.2:9000-9010"`, "listen = \"192.0.2.10:8000-8010\"\nbackends = [\"10.0.0.1:9000-9010\", \"10.0.0.2:9000-9010\"]"},
	{"listen = \"192.0.2.10:8000-8010\"\nbackends = [\"10.0.0.1:9000:9010\"]", `write "10.0.0.1:9000-9010"`, "listen = \"192.0.2.10:8000-8010\"\nbackends = [\"10.0.0.1:9000-9010\"]"},
	{"listen = \"192.0.2.10:8000-8010\"\nbackends = [\"10.0.0.1:9010-9000\"]", `write "10.0.0.1:9000-9010"`, "listen = \"192.0.2.10:8000-8010\"\nbackends = [\"10.0.0.1:9000-9010\"]"},
	{`backends = ["10.0.0.1:9000-9010"]`, `write "10.0.0.1:9000"`, `backends = ["10.0.0.1:9000"]`},
	{"listen = [\"192.0.2.10:80\", \"192.0.2.10:8000-8010\"]\nbackends = [\"10.0.0.1:9000-9010\"]", `natspread can't shift ranges of several lengths at once: write a service for each`, ``},
	{"listen = \"192.0.2.10\"\nports = { 8000-8010 = 9000 }\nbackends = [\"10.0.0.1\"]", `write ports = { "8000-8010" = "9000-9010" }`, "listen = \"192.0.2.10\"\nports = { 8000-8010 = \"9000-9010\" }\nbackends = [\"10.0.0.1\"]"},
	{"listen = \"192.0.2.10\"\nports = { \"8000-8010\" = \"9000-9009\", 80 = \"8080\" }\nbackends = [\"10.0.0.1\"]", `write ports = { "8000-8010" = "9000-9010", 80 = 8080 }`, "listen = \"192.0.2.10\"\nports = { 8000-8010 = \"9000-9010\", 80 = 8080 }\nbackends = [\"10.0.0.1\"]"},
	{"listen = \"192.0.2.10\"\nports = { \"8000-8010\" = \"9000-9010\", 8005 = 80 }\nbackends = [\"10.0.0.1\"]", `write ports = { "8000-8010" = "9000-9010" }`, "listen = \"192.0.2.10\"\nports = { 8000-8010 = \"9000-9010\" }\nbackends = [\"10.0.0.1\"]"},
	{`backends = ["10.0.0.1 backup", "10.0.0.2"]`, `write { address = "10.0.0.1", backup = true }`, `backends = [{ address = "10.0.0.1", backup = true }, "10.0.0.2"]
check = { type = "tcp", port = 80 }`},
	{`backends = ["[10.0.0.1:80"]`, `write "10.0.0.1:80"`, `backends = ["10.0.0.1:80"]`},
	{`backends = ["[web]:80"]`, `write "web:80"`, `backends = ["10.0.0.1:80"]`},
	{"listen = \"*:80\"\nbackends = [\"[2001:zz::1]80\"]", `write it as in "[2001:db8::10]:80"`, "listen = \"*:80\"\nbackends = [\"[2001:db8::10]:80\"]"},
	{"listen = \"*:80\"\nbackends = [\"fd00::1%eth0\"]", `write "fd00::1"; interface = says where traffic comes in`, "listen = \"*:80\"\nbackends = [\"fd00::1\"]"},
	{`snat = "192.0.2.10 none"`, `write "192.0.2.10"`, `snat = "192.0.2.10"`},
	{`check = { type = "tcp", source = "10.0.0.254, 10.0.0.253" }`, `write one address, as in "10.0.0.254"`, `check = { type = "tcp", source = "10.0.0.254" }`},
	{`backends = ["[fe80::1%eth1]:80"]`, `natspread can't use it: write another address of that machine, as in "[2001:db8::1]:80" or "[fd00::1]:80"`, ``},
	{`backends = ["127.0.0.1:80"]`, `write another address of this machine, as in "192.0.2.10:80"`, `backends = ["192.0.2.10:80"]`},
	{`backends = ["10.0.0.1:80", "localhost"]`, `write another address of this machine, as in "192.0.2.10"`, `backends = ["10.0.0.1:80", "192.0.2.10"]`},
	{`backends = ["10.0.0.1:80", "*:8080"]`, `write another address of this machine, as in "192.0.2.10:8080"`, `backends = ["10.0.0.1:80", "192.0.2.10:8080"]`},
	{"listen = \"*:80\"\nbackends = [\"127.0.0.1:8080\"]", `write another address of this machine, as in "10.0.0.1:8080"`, "listen = \"*:80\"\nbackends = [\"10.0.0.1:8080\"]"},
	{`backends = ["http://10.0.0.1:80/app"]`, `write "10.0.0.1:80"`, `backends = ["10.0.0.1:80"]`},
	{`backends = ["10.0.0.1:http"]`, `write "10.0.0.1:80"`, `backends = ["10.0.0.1:80"]`},
	{`backends = [10.0.0.1:80, 10.0.0.2:80]`, `write backends = ["10.0.0.1:80", "10.0.0.2:80"]`, `backends = ["10.0.0.1:80", "10.0.0.2:80"]`},

	// Keys.
	{`backends = ["10.0.0.1:80", { address = "10.0.0.2:80", state = "drain" }]`, `write drain = true`, `backends = ["10.0.0.1:80", { address = "10.0.0.2:80", drain = true }]`},
	{`backends = ["10.0.0.1:80", { address = "10.0.0.2:80", enabled = false }]`, `write drain = true`, `backends = ["10.0.0.1:80", { address = "10.0.0.2:80", drain = true }]`},
	{`backends = ["10.0.0.1:80", { address = "10.0.0.2:80", undrain = true }]`, `take it out; a backend has address, port, weight, drain, backup`, `backends = ["10.0.0.1:80", "10.0.0.2:80"]`},
	{`healthcheck = true`, `write check = "tcp"`, `check = "tcp"`},
	{`check = true`, `write check = "tcp"`, `check = "tcp"`},
	{`check = "no"`, `take check out`, ``},
	{`health_check = "http"`, `did you mean check?`, `check = "http"`},
	{`interval = "5s"`, `write check = { type = "tcp", interval = "5s" }`, `check = { type = "tcp", interval = "5s" }`},
	{"check = \"http\"\ninterval = \"5s\"", `write check = { type = "http", interval = "5s" } and take interval out`, `check = { type = "http", interval = "5s" }`},
	{`check = { type = "https", verify = false }`, `write insecure = true`, `check = { type = "https", insecure = true }`},
	{`check = { type = "https", secure = true }`, `take it out; a check has type, path, host, expect, port, tls_name, insecure, send, receive, interval, timeout, fall, rise, source`, `check = "https"`},
	{`sticky = true`, `write algorithm = "source"`, `algorithm = "source"`},
	{`sticky = false`, `take sticky out`, ``},
	{`balance = "roundrobin"`, `did you mean algorithm?`, `algorithm = "round-robin"`},
	{`mode = "source"`, `did you mean algorithm?`, `algorithm = "source"`},
	{`mode = "udp"`, `did you mean protocol?`, `protocol = "udp"`},
	{`max_conn = 100`, `natspread can't limit connections: take it out; a rule of your own in mangle PREROUTING can, by -m connlimit or -m hashlimit`, ``},
	{`source = "198.51.100.0/24"`, `did you mean allow?`, `allow = "198.51.100.0/24"`},
	{`allow_from = ["198.51.100.0/24"]`, `did you mean allow?`, `allow = ["198.51.100.0/24"]`},
	{`blacklist = ["198.51.100.7"]`, `did you mean deny?`, `deny = ["198.51.100.7"]`},
	{`allow = []`, `write allow = ["198.51.100.0/24"]`, `allow = ["198.51.100.0/24"]`},
	{"allow = [\"198.51.100.0/24\"]\nrefused = \"rst\"", `write "reject"`, "allow = [\"198.51.100.0/24\"]\nrefused = \"reject\""},
	{"deny = \"198.51.100.7\"\nrefused = \"drop\"", `natspread can't drop packets: write "reject"`, "deny = \"198.51.100.7\"\nrefused = \"reject\""},
	{`include = "conf.d/*.toml"`, `take it out, and put the files into the directory conf.d beside natspread.toml, with names that end in .toml`, ``},
	{`masquerade = false`, `write snat = "none"`, `snat = "none"`},
	{`nolocal = true`, "take it out; a service has " + strings.Join(field.Names(serviceKeys), ", "), ``},
	{`port = 443`, `write listen = "192.0.2.10:443" and take port out`, `listen = "192.0.2.10:443"`},
	{`weight = 2`, `take weight out; a backend has it: { address = "10.0.0.1:80", weight = 2 }`, ``},
	{`servers = ["10.0.0.9:80"]`, `did you mean backends?`, `backends = ["10.0.0.9:80"]`},
	{`ports = [80, 443]`, `write listen = ["192.0.2.10:80", "192.0.2.10:443"] and take ports out`, `listen = ["192.0.2.10:80", "192.0.2.10:443"]`},
	{"check = { type = \"http\", fall = 2 }\npath = \"/ok\"", `write check = { type = "http", fall = 2, path = "/ok" } and take path out`, `check = { type = "http", fall = 2, path = "/ok" }`},
	{"path = \"/ok\"\n[service.check]\ntype = \"http\"", `write it below [service.check]`, `check = { type = "http", path = "/ok" }`},
	{`backends = ["10.0.0.1:80", { address = "10.0.0.2:80", state = "up" }]`, `take state out`, `backends = ["10.0.0.1:80", "10.0.0.2:80"]`},
	{`backends = ["10.0.0.1:80", { address = "10.0.0.2:80", enabled = true }]`, `take enabled out`, `backends = ["10.0.0.1:80", "10.0.0.2:80"]`},
	{`backends = ["10.0.0.1:80", { address = "10.0.0.2:80", enabled = false }]`, `write drain = true`, `backends = ["10.0.0.1:80", { address = "10.0.0.2:80", drain = true }]`},
	{`backends = ["10.0.0.1:80", { address = "10.0.0.2:80", disabled = false }]`, `take disabled out`, `backends = ["10.0.0.1:80", "10.0.0.2:80"]`},
	{`backends = ["10.0.0.1:80", { address = "10.0.0.2:80", down = true }]`, `write drain = true`, `backends = ["10.0.0.1:80", { address = "10.0.0.2:80", drain = true }]`},
	{`backends = ["10.0.0.1:80", { ip = "10.0.0.2:80", share = 2 }]`, `did you mean address?`, `backends = ["10.0.0.1:80", { address = "10.0.0.2:80", weight = 2 }]`},
	{`backends = ["10.0.0.1:80", { address = "10.0.0.2:80", max_fails = 2 }]`, `natspread can't: take it out`, ``},
	{`check = { type = "https", verify = true }`, `take verify out`, `check = "https"`},
	{`check = { type = "http", uri = "/ok", status = "200", inter = 5 }`, `did you mean path?`, `check = { type = "http", path = "/ok", expect = "200", interval = "5s" }`},
	{`check = { type = "https", skip_verify = true }`, `did you mean insecure?`, `check = { type = "https", insecure = true }`},
	{`enabled = false`, `natspread can't switch a service off: take it out, or put # before each line of the service`, ``},
	{"protocol = \"tcp\"\nprotocol = \"udp\"", `write protocol = ["tcp", "udp"] and take this one out`, `protocol = ["tcp", "udp"]`},
	{"listen = \"192.0.2.10:80\"\nlisten = \"192.0.2.10:81\"", `write listen = ["192.0.2.10:80", "192.0.2.10:81"] and take this one out`, `listen = ["192.0.2.10:80", "192.0.2.10:81"]`},
	{"local = true\nlocal = false", `take it out, or the other one`, `local = true`},
	{`comment = "the web"`, `write it behind a #`, ``},
	{`wieght = 2`, "take it out; a service has " + strings.Join(field.Names(serviceKeys), ", "), ``},
	{`local = "True"`, `write local = true`, ``},
	{`local = True`, `write local = true`, ``},
	{`local false`, `write local = false`, `local = false`},
	{`snat = 192.0.2.10 # ours`, `write snat = "192.0.2.10"`, `snat = "192.0.2.10"`},
	{"hairpin = [\u201c10.0.0.0/24\u201d]\nsnat = \"none\"", `write hairpin = ["10.0.0.0/24"]`, "snat = \"none\"\nhairpin = [\"10.0.0.0/24\"]"},
	{"hairpin = \"\"\nsnat = \"none\"", `write hairpin = ["10.0.0.0/24"]`, "snat = \"none\"\nhairpin = [\"10.0.0.0/24\"]"},
	{"hairpin = [\"10.0.0.0/255.255.0.0\"]\nsnat = \"none\"", `write a subnet, as in "10.0.0.0/16"`, "snat = \"none\"\nhairpin = [\"10.0.0.0/16\"]"},

	// Names.
	{`name = "minecraft-bedrock-of-the-village-2"`, `write "minecraft-bedrock-of-the-village"`, `name = "minecraft-bedrock-of-the-village"`},
	{`name = "kube.api"`, `write "kube-api"`, `name = "kube-api"`},
	{`name = "Web Server"`, `write "web-server"`, `name = "web-server"`},
}

// TestFixRows tells people what they meant, and what is pasted is that.
func TestFixRows(t *testing.T) {
	for _, row := range fixRows {
		text := withLines(row.written)
		all := faultsOf(text)
		if len(all) == 0 || all[0].Fix != row.fix {
			t.Errorf("%s\nwant %s\ngot %v", row.written, row.fix, all)
			continue
		}
		if strings.HasPrefix(row.fix, cannot) {
			continue
		}
		text = pasteAll(text)
		got, err := Parse("f.toml", []byte(text))
		want, wrong := Parse("f.toml", []byte(withLines(row.then)))
		if wrong != nil || err != nil || !got.Equivalent(want) {
			t.Errorf("%s\nafter %s it is\n%s\n%v %v", row.written, row.fix, text, err, wrong)
		}
	}
}

// withLines returns oneService with some lines in place of those with the same key, or below them.
func withLines(lines string) string {
	var kept []string
	for _, line := range strings.Split(strings.TrimSpace(oneService), "\n") {
		key, _, _ := strings.Cut(line, " = ")
		if !strings.HasPrefix(lines, key+" ") && !strings.Contains(lines, "\n"+key+" ") && !(key == "backends" && strings.HasPrefix(lines, "servers")) {
			kept = append(kept, line)
		}
	}
	return strings.TrimSpace(strings.Join(append(kept, lines), "\n")) + "\n"
}
