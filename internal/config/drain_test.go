package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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
]

[[service]]
  backends = ["[fd00::1]:80", "fd00::2"]   # one line
  listen = "*:80"
name = "web6"
`

// TestDrained compares what was edited, the line that is another one.
func TestDrained(t *testing.T) {
	for name, tt := range map[string]struct{ service, backend, was, is string }{
		"a string":              {"web", "10.0.0.1:80", `"10.0.0.1:80",#`, `{ address = "10.0.0.1:80", weight = 0 },#`},
		"a literal string":      {"web", "10.0.0.2:80", `'10.0.0.2:80' ,`, `{ address = '10.0.0.2:80', weight = 0 } ,`},
		"a string of lines":     {"web", "10.0.0.8:80", `"""10.0.0.8:80"""`, `{ address = """10.0.0.8:80""", weight = 0 }`},
		"a table":               {"web", "10.0.0.3:80", `{ address = "10.0.0.3:80" }`, `{ address = "10.0.0.3:80", weight = 0 }`},
		"a table with a weight": {"web", "10.0.0.4:80", `weight=2`, `weight=0`},
		"a weight before":       {"web", "10.0.0.5:80", `weight = 1_0 ,`, `weight = 0 ,`},
		"without a port":        {"web", "10.0.0.6", `0x0A`, `0`},
		"by its address alone":  {"web", "10.0.0.4", `weight=2`, `weight=0`},
		"drained already":       {"web", "10.0.0.7:80", "", ""},
		"two on a line":         {"web6", "[fd00::1]:80", `"[fd00::1]:80"`, `{ address = "[fd00::1]:80", weight = 0 }`},
		"IPv6 without a port":   {"web6", "fd00::2", `"fd00::2"`, `{ address = "fd00::2", weight = 0 }`},
		"another spelling":      {"web6", "[fd00:0::1]:80", `"[fd00::1]:80"`, `{ address = "[fd00::1]:80", weight = 0 }`},
	} {
		t.Run(name, func(t *testing.T) {
			for _, text := range []string{drainText, strings.ReplaceAll(drainText, "\n", "\r\n")} {
				got, backend, err := Drained("f.toml", []byte(text), tt.service, tt.backend)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(strings.Replace(text, tt.was, tt.is, 1), string(got)); diff != "" {
					t.Errorf("want -, got +:\n%s", diff)
				}
				if backend.Weight != 0 {
					t.Errorf("returned %+v", backend)
				}
			}
		})
	}
}

// TestDrainedRefuses names what is there for what is not.
func TestDrainedRefuses(t *testing.T) {
	for _, tt := range []struct{ service, backend, want string }{
		{"wep", "10.0.0.1:80", `there is no service "wep": did you mean web?`},
		{"nothing-like", "10.0.0.1:80", `there is no service "nothing-like", but web, web6`},
		{"web6", "10.0.0.1:80", `service web6 has no backend 10.0.0.1:80, but [fd00::1]:80, fd00::2`},
		{"web6", "fd00::9", `service web6 has no backend fd00::9, but [fd00::1]:80, fd00::2`},
		{"web6", "[fd00::2]:80", `service web6 has no backend [fd00::2]:80, but [fd00::1]:80, fd00::2`},
		{"web", "10.0.0.8", `service web has more than one backend 10.0.0.8: name its port too`},
		{"web6", "one", `cannot take "one" for a backend: it is not an address, and names are not looked up because DNS may be away at boot; service web6 has [fd00::1]:80, fd00::2`},
	} {
		if got, _, err := Drained("f.toml", []byte(drainText), tt.service, tt.backend); err == nil || err.Error() != tt.want || got != nil {
			t.Errorf("%s %s: %v\nwant %s", tt.service, tt.backend, err, tt.want)
		}
	}
	if _, _, err := Drained("f.toml", []byte("[[service]]\nnam = 1\n"), "web", "10.0.0.1:80"); err == nil || !strings.HasPrefix(err.Error(), "f.toml:1:3: ") {
		t.Errorf("a text that does not parse: %v", err)
	}
}
