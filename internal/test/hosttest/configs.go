package hosttest

import (
	"fmt"
	"strings"
	"testing"

	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/render"
)

// Article is the balancer that most tests begin with, in both families.
const Article = `
[[service]]
name     = "web"
listen   = "192.0.2.10:80"
snat     = "192.0.2.10"
backends = ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"]

[[service]]
name     = "web6"
listen   = "[2001:db8::10]:80"
backends = ["[fd00::1]:80", "[fd00::2]:80", "[fd00::3]:80"]
`

// Smaller is Article with a backend less in each family.
const Smaller = `
[[service]]
name     = "web"
listen   = "192.0.2.10:80"
snat     = "192.0.2.10"
backends = ["10.0.0.1:80", "10.0.0.2:80"]

[[service]]
name     = "web6"
listen   = "[2001:db8::10]:80"
backends = ["[fd00::1]:80", "[fd00::2]:80"]
`

// Alone is one IPv4 service of another name.
const Alone = `
[[service]]
name     = "dns"
protocol = "udp"
listen   = "192.0.2.10:53"
backends = ["10.0.0.1:53", "10.0.0.2:53"]
`

// Clamped returns a config in which the segments of every service's connections are made shorter.
func Clamped(toml string) string {
	return strings.ReplaceAll(toml, "[[service]]\n", "[[service]]\nclamp_mss = true\n")
}

// Accepted returns a config in which every service asks for FORWARD to let it through.
func Accepted(toml string) string {
	return strings.ReplaceAll(toml, "\nbackends", "\nforward = \"accept\"\nbackends")
}

// Config returns a config that is checked; t fails if it is not good.
func Config(t testing.TB, toml string) config.Config {
	t.Helper()
	cfg, err := config.Parse("natspread.toml", []byte(toml))
	Must(t, err)
	return cfg
}

// Tables returns the tables that a config asks for.
func Tables(t testing.TB, toml string) rules.Tables {
	t.Helper()
	return render.New(Config(t, toml))
}

// Services returns what a config balances.
func Services(t testing.TB, toml string) []rules.VirtualService {
	t.Helper()
	return render.VirtualServices(Config(t, toml).Services...)
}

// ManyBackends returns a config of one service of a family with so many backends.
func ManyBackends(backends int, algorithm string) string {
	var b strings.Builder
	for _, s := range []struct{ name, listen, address string }{
		{"web", "192.0.2.10:80", "10.0.%d.%d:80"},
		{"web6", "[2001:db8::10]:80", "[fd00::%x:%x]:80"},
	} {
		fmt.Fprintf(&b, "[[service]]\nname = %q\nlisten = %q\nalgorithm = %q\nbackends = [\n", s.name, s.listen, algorithm)
		for i := range backends {
			fmt.Fprintf(&b, "  \""+s.address+"\",\n", i/250+1, i%250+1)
		}
		b.WriteString("]\n")
	}
	return b.String()
}
