package compare

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"natspread/internal/config"
)

// changed parses two configs and writes what becomes of the services.
func changed(t *testing.T, before, after string) string {
	t.Helper()
	was, err := config.Parse("before", []byte(before))
	if err != nil {
		t.Fatal(err)
	}
	is, err := config.Parse("after", []byte(after))
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, change := range Configs(was, is) {
		fmt.Fprintf(&text, "%s before=%t after=%t reordered=%t\n", change.Name(), change.Before != nil, change.After != nil, change.Reordered)
		for _, setting := range change.Settings {
			fmt.Fprintf(&text, "  %s: %s, %s\n", setting.Key, setting.Before, setting.After)
		}
		for _, backend := range change.Backends {
			fmt.Fprintf(&text, "  %v: %s, %s\n", backend.Backend, shareText(backend.Before), shareText(backend.After))
		}
	}
	return text.String()
}

// shareText writes a share, or that there is none.
func shareText(share *Share) string {
	if share == nil {
		return "none"
	}
	text := fmt.Sprintf("%d is %.4f", share.Weight, share.Share)
	if share.Backup {
		text += ", a backup"
	}
	return text
}

// serviceOf is a config of one service with these backends and further lines.
func serviceOf(backends string, lines ...string) string {
	return "[[service]]\nname = \"web\"\nlisten = \"192.0.2.10:80\"\nbackends = [" + backends + "]\n" + strings.Join(lines, "\n") + "\n"
}

func TestChanges(t *testing.T) {
	t.Parallel()
	two := serviceOf(`"10.0.0.1:80", "10.0.0.2:80"`)
	other := strings.NewReplacer("web", "other", ":80\"\n", ":81\"\n").Replace(two)
	for _, c := range []struct{ name, before, after, want string }{
		{"nothing", two, "# a comment\n" + two, ""},
		{"another order of services", two + other, other + two, ""},
		{"a service comes, another goes", two, other, `other before=false after=true reordered=false
  10.0.0.1:80: none, 1 is 0.5000
  10.0.0.2:80: none, 1 is 0.5000
web before=true after=false reordered=false
  10.0.0.1:80: 1 is 0.5000, none
  10.0.0.2:80: 1 is 0.5000, none
`},
		{"one port becomes a range", strings.Replace(serviceOf(`"10.0.0.1:9000"`), ":80\"", ":8000-8010\"", 1), strings.Replace(serviceOf(`"10.0.0.1:9000-9010"`), ":80\"", ":8000-8010\"", 1), `web before=true after=true reordered=false
  10.0.0.1:9000-9010: none, 1 is 1.0000
  10.0.0.1:9000: 1 is 1.0000, none
`},
		{"a weight", two, serviceOf(`"10.0.0.1:80", { address = "10.0.0.2:80", weight = 3 }`), `web before=true after=true reordered=false
  10.0.0.1:80: 1 is 0.5000, 1 is 0.2500
  10.0.0.2:80: 1 is 0.5000, 3 is 0.7500
`},
		{"all weights alike", two, serviceOf(`{ address = "10.0.0.1:80", weight = 2 }, { address = "10.0.0.2:80", weight = 2 }`), `web before=true after=true reordered=false
  10.0.0.1:80: 1 is 0.5000, 2 is 0.5000
  10.0.0.2:80: 1 is 0.5000, 2 is 0.5000
`},
		{"a backend by another, in front", two, serviceOf(`"10.0.0.3:80", "10.0.0.1:80"`), `web before=true after=true reordered=false
  10.0.0.3:80: none, 1 is 0.5000
  10.0.0.1:80: 1 is 0.5000, 1 is 0.5000
  10.0.0.2:80: 1 is 0.5000, none
`},
		{"another port is another backend", serviceOf(`"10.0.0.1:80"`), serviceOf(`"10.0.0.1:81"`), `web before=true after=true reordered=false
  10.0.0.1:81: none, 1 is 1.0000
  10.0.0.1:80: 1 is 1.0000, none
`},
		{"another order of backends", two, serviceOf(`"10.0.0.2:80", "10.0.0.1:80"`), `web before=true after=true reordered=true
  10.0.0.2:80: 1 is 0.5000, 1 is 0.5000
  10.0.0.1:80: 1 is 0.5000, 1 is 0.5000
`},
		{"the last one drained", serviceOf(`"10.0.0.1:80"`), serviceOf(`{ address = "10.0.0.1:80", weight = 0 }`), `web before=true after=true reordered=false
  10.0.0.1:80: 1 is 1.0000, 0 is 0.0000
`},
		{"a check, and a backup", two, serviceOf(`"10.0.0.1:80", { address = "10.0.0.2:80", backup = true }`, `check = { type = "http", expect = ["304", "200"] }`, `on_down = "reset"`), `web before=true after=true reordered=false
  check: none, { type = "http", expect = ["200", "304"] }
  min_up: none, 1
  on_down: none, reset
  10.0.0.1:80: 1 is 0.5000, 1 is 1.0000
  10.0.0.2:80: 1 is 0.5000, 1 is 0.0000, a backup
`},
		{"a backup that no share tells of", serviceOf(`"10.0.0.1:80", { address = "10.0.0.2:80", drain = true }`, `check = "tcp"`), serviceOf(`"10.0.0.1:80", { address = "10.0.0.2:80", drain = true, backup = true }`, `check = { type = "tcp" }`), `web before=true after=true reordered=false
  10.0.0.1:80: 1 is 1.0000, 1 is 1.0000
  10.0.0.2:80: 1 is 0.0000, 1 is 0.0000, a backup
`},
		{"a setting", two, serviceOf(`"10.0.0.1:80", "10.0.0.2:80"`, `snat = "192.0.2.10"`, `protocol = ["tcp", "udp"]`), `web before=true after=true reordered=false
  protocol: tcp, tcp, udp
  snat: masquerade, 192.0.2.10
  10.0.0.1:80: 1 is 0.5000, 1 is 0.5000
  10.0.0.2:80: 1 is 0.5000, 1 is 0.5000
`},
	} {
		if diff := cmp.Diff(c.want, changed(t, c.before, c.after)); diff != "" {
			t.Errorf("%s: -want +got\n%s", c.name, diff)
		}
	}
}
