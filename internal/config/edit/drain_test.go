package edit

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"natspread/internal/config"
	"natspread/internal/configfiles"
)

// drainText has backends in each form, with a comment at each place.
const drainText = `# natspread.toml
[[service]] # the first
name = "web"   # its name
listen = "192.0.2.10:80"
backends = [ # all of them
	"10.0.0.1:80",# tight
	'10.0.0.2:80' , # loose
  { address = "10.0.0.3:80" },
  {address="10.0.0.4:80",weight=2},
  { weight = 1_0 , address = "10.0.0.5:80" }, # before
  { weight = 0x0A, "address" = "10.0.0.6" }, { address = "10.0.0.7:80", weight = 0 },
  """10.0.0.8:80""", "10.0.0.8:81",
  { drain = true, address = "10.0.0.9:80" }, { address = "10.0.0.9:81", drain = false, weight = 3 },
]

[[service]]
  backends = ["[fd00::1]:80", "fd00::2"]   # one line
  listen = "*:80"
name = "web6"

[[service]]
  name = "game"
  listen = "192.0.2.10:8000-8010"
  backends = ["10.0.0.1:9000-9010", { address = "10.0.0.2:9000-9010", weight = 2 }]

[[service]]
  name = "bare"
  listen = "192.0.2.10:81"
  backends = "10.0.0.11:81"

[[service]]
  name = "table"
  listen = "192.0.2.10:82"
  backends = { address = "10.0.0.11", port = 82 }
`

// TestDrained compares what was edited, the line that is another one.
func TestDrained(t *testing.T) {
	for name, tt := range map[string]struct{ service, backend, was, is string }{
		"a string":              {"web", "10.0.0.1:80", `"10.0.0.1:80",#`, `{ address = "10.0.0.1:80", drain = true },#`},
		"a literal string":      {"web", "10.0.0.2:80", `'10.0.0.2:80' ,`, `{ address = '10.0.0.2:80', drain = true } ,`},
		"a string of lines":     {"web", "10.0.0.8:80", `"""10.0.0.8:80"""`, `{ address = """10.0.0.8:80""", drain = true }`},
		"a table":               {"web", "10.0.0.3:80", `{ address = "10.0.0.3:80" }`, `{ address = "10.0.0.3:80", drain = true }`},
		"a table with a weight": {"web", "10.0.0.4:80", `weight=2}`, `weight=2, drain = true}`},
		"a weight before":       {"web", "10.0.0.5:80", `"10.0.0.5:80" }`, `"10.0.0.5:80", drain = true }`},
		"without a port":        {"web", "10.0.0.6", `"10.0.0.6" }`, `"10.0.0.6", drain = true }`},
		"by its address alone":  {"web", "10.0.0.4", `weight=2}`, `weight=2, drain = true}`},
		"by weight 0 already":   {"web", "10.0.0.7:80", "", ""},
		"drained already":       {"web", "10.0.0.9:80", "", ""},
		"not drained as yet":    {"web", "10.0.0.9:81", "false", "true"},
		"two on a line":         {"web6", "[fd00::1]:80", `"[fd00::1]:80"`, `{ address = "[fd00::1]:80", drain = true }`},
		"IPv6 without a port":   {"web6", "fd00::2", `"fd00::2"`, `{ address = "fd00::2", drain = true }`},
		"a range of ports":      {"game", "10.0.0.1:9000-9010", `"10.0.0.1:9000-9010"`, `{ address = "10.0.0.1:9000-9010", drain = true }`},
		"a range by its first":  {"game", "10.0.0.1:9000", `"10.0.0.1:9000-9010"`, `{ address = "10.0.0.1:9000-9010", drain = true }`},
		"a range in a table":    {"game", "10.0.0.2", `weight = 2 }]`, `weight = 2, drain = true }]`},
		"one without brackets":  {"bare", "10.0.0.11:81", `"10.0.0.11:81"`, `{ address = "10.0.0.11:81", drain = true }`},
		"a table without them":  {"table", "10.0.0.11:82", `port = 82 }`, `port = 82, drain = true }`},
		"another spelling":      {"web6", "[fd00:0::1]:80", `"[fd00::1]:80"`, `{ address = "[fd00::1]:80", drain = true }`},
	} {
		t.Run(name, func(t *testing.T) {
			for _, text := range []string{drainText, strings.ReplaceAll(drainText, "\n", "\r\n")} {
				got, edited, err := SetDrain(configfiles.Alone("f.toml", []byte(text)), tt.service, tt.backend, true, nil)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(strings.Replace(text, tt.was, tt.is, 1), string(got.Main())); diff != "" {
					t.Errorf("want -, got +:\n%s", diff)
				}
				if len(edited) != 1 || edited[0].Service != tt.service {
					t.Errorf("returned %+v", edited)
				}
			}
		})
	}
}

// TestUndrained takes out what Drained wrote, and what natspread 0.1 wrote.
func TestUndrained(t *testing.T) {
	weightOf := func(service string, b config.Backend) int {
		if service != "web" || b.Addr.String() != "10.0.0.7" {
			t.Errorf("asked for the weight of %s %v", service, b)
		}
		return 7
	}
	for name, tt := range map[string]struct{ backend, was, is string }{
		"not drained":        {"10.0.0.5:80", "", ""},
		"by weight 0":        {"10.0.0.7:80", `weight = 0 }`, `weight = 7 }`},
		"drain as the first": {"10.0.0.9:80", `{ drain = true, address`, `{ address`},
		"drain = false":      {"10.0.0.9:81", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, edited, err := SetDrain(configfiles.Alone("f.toml", []byte(drainText)), "web", tt.backend, false, weightOf)
			if err != nil || len(edited) != 1 {
				t.Fatal(edited, err)
			}
			want := strings.Replace(drainText, tt.was, tt.is, 1)
			if diff := cmp.Diff(want, string(got.Main())); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
		})
	}
}

// servicesOf names the services of what was edited, in order.
func servicesOf(edited []Edited) string {
	names := make([]string, len(edited))
	for i, e := range edited {
		names[i] = e.Service
	}
	return strings.Join(names, " ")
}

// TestDrainedEverywhere drains an address in every service that has it.
func TestDrainedEverywhere(t *testing.T) {
	text := []byte(`[[service]]
name = "a"
listen = "192.0.2.10:80"
backends = ["10.0.0.1:80", "10.0.0.2:80"]
[[service]]
name = "b"
listen = "192.0.2.10:81"
backends = ["10.0.0.2:81", { address = "10.0.0.2:82", weight = 2 }]
`)
	for backend, want := range map[string]string{"10.0.0.2": "a b b", "10.0.0.2:82": "b", "10.0.0.1": "a"} {
		got, edited, err := SetDrain(configfiles.Alone("f.toml", text), "", backend, true, nil)
		if err != nil {
			t.Fatal(err)
		}
		if is := servicesOf(edited); is != want {
			t.Errorf("%s: drained in %s, want %s", backend, is, want)
		}
		if n := strings.Count(string(got.Main()), "drain = true"); n != len(edited) {
			t.Errorf("%s: %d drained in\n%s", backend, n, got.Main())
		}
		back, _, err := SetDrain(got, "", backend, false, nil)
		if cfg, e := config.ParseSet(back); e != nil || err != nil || cfg.Services[1].Backends[1].Weight != 2 || strings.Contains(string(back.Main()), "drain") {
			t.Errorf("%v, %v\n%s", err, e, back.Main())
		}
	}
	if _, _, err := SetDrain(configfiles.Alone("f.toml", text), "", "10.0.0.9", true, nil); err == nil || err.Error() != "no service has a backend 10.0.0.9" {
		t.Errorf("an address of no backend: %v", err)
	}
}

// TestDrainIsLinear counts what is allocated to drain a machine in many services: for four times as
// many, about four times as much.
func TestDrainIsLinear(t *testing.T) {
	allocated := func(n int) float64 {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "[[service]]\nname = \"s%d\"\nlisten = \"192.0.%d.%d:80\"\nbackends = [\"10.0.0.1:80\", \"10.0.0.2:80\"]\n", i, i>>7, 1+i&127)
		}
		return testing.AllocsPerRun(1, func() {
			if _, edited, err := SetDrain(configfiles.Alone("f.toml", []byte(b.String())), "", "10.0.0.1", true, nil); err != nil || len(edited) != n {
				t.Fatal(len(edited), err)
			}
		})
	}
	if few, many := allocated(500), allocated(2000); many > 5*few {
		t.Errorf("%.0f allocations for 500, and %.0f for 2,000", few, many)
	}
}

// TestDrainedPool drains a backend of a pool by one of its services: in all of them, in one place.
func TestDrainedPool(t *testing.T) {
	text := `[pool.web]
backends = ["10.0.0.1", { address = "10.0.0.2", weight = 0 }] # of both
[[service]]
name = "a"
listen = "192.0.2.10:80"
pool = "web"
[[service]]
name = "b"
listen = "192.0.2.10:81"
backends = ["10.0.0.1:81"]
[[service]]
name = "c"
listen = "192.0.2.10:443"
pool = "web"
`
	for service, want := range map[string]string{"a": "a c", "c": "a c", "": "a b c", "b": "b"} {
		got, edited, err := SetDrain(configfiles.Alone("f.toml", []byte(text)), service, "10.0.0.1", true, nil)
		if err != nil {
			t.Fatal(err)
		}
		if is := servicesOf(edited); is != want {
			t.Errorf("%q: drained in %s, want %s", service, is, want)
		}
		if n, places := strings.Count(string(got.Main()), "drain = true"), len(strings.Split(strings.Replace(want, "a c", "a", 1), " ")); service != "" && n != places {
			t.Errorf("%q: %d edits in\n%s", service, n, got.Main())
		}
	}
	asked := 0
	got, edited, err := SetDrain(configfiles.Alone("f.toml", []byte(text)), "", "10.0.0.2", false, func(string, config.Backend) int { asked++; return 5 + asked })
	if err != nil || len(edited) != 2 || asked != 1 || !strings.Contains(string(got.Main()), "weight = 6 }") {
		t.Errorf("%v, asked %d times, %+v\n%s", err, asked, edited, got)
	}
}

// TestDrainedFamilies drains backends of a service of both families, which may stand in any order.
func TestDrainedFamilies(t *testing.T) {
	text := `[pool.dual]
backends = ["[fd00::1]:80", { address = "10.0.0.1:80" }, "fd00::2", "10.0.0.2"]
[[service]]
name = "a"
listen = ["192.0.2.10:80", "[2001:db8::10]:80"]
pool = "dual"
[[service]]
name = "b"
listen = "[2001:db8::10]:81"
pool = "dual"
[[service]]
name = "c"
listen = "*:82"
backends = ["10.0.0.1:82", "[fd00::1]:82"]
`
	for _, c := range []struct{ service, backend, want, is string }{
		{"a", "10.0.0.1", "a", `{ address = "10.0.0.1:80", drain = true }`},
		{"a", "fd00::2", "a.6 b", `{ address = "fd00::2", drain = true }`},
		{"a.6", "fd00::1", "a.6 b", `{ address = "[fd00::1]:80", drain = true }`},
		{"b", "[fd00::1]:80", "a.6 b", `{ address = "[fd00::1]:80", drain = true }`},
		{"c", "fd00::1", "c.6", `{ address = "[fd00::1]:82", drain = true }`},
		{"", "10.0.0.1", "a c", `{ address = "10.0.0.1:82", drain = true }`},
	} {
		got, edited, err := SetDrain(configfiles.Alone("f.toml", []byte(text)), c.service, c.backend, true, nil)
		if err != nil {
			t.Fatal(err)
		}
		if is := servicesOf(edited); is != c.want || !strings.Contains(string(got.Main()), c.is) {
			t.Errorf("%q %s: drained in %s, want %s\n%s", c.service, c.backend, is, c.want, got)
		}
	}
	if _, _, err := SetDrain(configfiles.Alone("f.toml", []byte(text)), "b", "10.0.0.1", true, nil); err == nil {
		t.Error("drained what a service of IPv6 has not")
	}
}

// TestDrainedBackup drains a backup, and the last primary, below a service whose check stands in
// a table of its own.
func TestDrainedBackup(t *testing.T) {
	text := `[[service]]
name = "a"
listen = "192.0.2.10:80"
backends = ["10.0.0.1:80", { address = "10.0.0.9:80", backup = true }]
min_up = 1
[service.check]
type = "tcp" # of a
[[service]]
name = "b"
listen = "192.0.2.10:81"
backends = ["10.0.0.1:81", { backup = true, address = "10.0.0.9:81" }]
check = "tcp"
`
	for backend, want := range map[string][2]string{
		"10.0.0.9": {`backup = true }`, `backup = true, drain = true }`},
		"10.0.0.1": {`"10.0.0.1:81"`, `{ address = "10.0.0.1:81", drain = true }`},
	} {
		got, edited, err := SetDrain(configfiles.Alone("f.toml", []byte(text)), "", backend, true, nil)
		if err != nil || len(edited) != 2 || strings.Count(string(got.Main()), "drain = true") != 2 || !strings.Contains(string(got.Main()), want[1]) {
			t.Errorf("%s: %v, %+v\n%s", backend, err, edited, got)
		}
		back, _, err := SetDrain(got, "", backend, false, nil)
		if cfg, e := config.ParseSet(back); e != nil || err != nil || len(cfg.Services[0].Active()) != 1 || strings.Contains(string(back.Main()), "drain") {
			t.Errorf("%v, %v\n%s", err, e, back.Main())
		}
	}
}

// TestDrainedRefuses names what is there for what is not.
func TestDrainedRefuses(t *testing.T) {
	for _, tt := range []struct{ service, backend, want string }{
		{"wep", "10.0.0.1:80", `there is no service "wep": did you mean web?`},
		{"nothing-like", "10.0.0.1:80", `there is no service "nothing-like", but web, web6, game, bare, table`},
		{"web6", "10.0.0.1:80", `service web6 has no backend 10.0.0.1:80, but [fd00::1]:80, fd00::2`},
		{"web6", "fd00::9", `service web6 has no backend fd00::9, but [fd00::1]:80, fd00::2`},
		{"web6", "[fd00::2]:80", `service web6 has no backend [fd00::2]:80, but [fd00::1]:80, fd00::2`},
		{"web", "10.0.0.8", `service web has more than one backend 10.0.0.8: name its port too`},
		{"web6", "one", `cannot take "one" for a backend: it is not an address, and names are not looked up because DNS may be away at boot; service web6 has [fd00::1]:80, fd00::2`},
	} {
		if got, _, err := SetDrain(configfiles.Alone("f.toml", []byte(drainText)), tt.service, tt.backend, true, nil); err == nil || err.Error() != tt.want || got != nil {
			t.Errorf("%s %s: %v\nwant %s", tt.service, tt.backend, err, tt.want)
		}
	}
	if _, _, err := SetDrain(configfiles.Alone("f.toml", []byte("[[service]]\nnam = 1\n")), "web", "10.0.0.1:80", true, nil); err == nil || !strings.HasPrefix(err.Error(), "f.toml:1:3: ") {
		t.Errorf("a text that does not parse: %v", err)
	}
}
