package edit

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"natspread/internal/config"

	"natspread/internal/config/source"
)

// TestCompose writes configs from flags.
func TestCompose(t *testing.T) {
	for name, tt := range map[string]struct {
		listen, backends []string
		snat             string
		want             []string // in its lines
	}{
		"nothing": {nil, nil, "", []string{"listen 192.0.2.10:80,", "snat 192.0.2.10", "backend 10.0.0.3:80 weight 1"}},
		"all": {
			[]string{"198.51.100.1:443", "198.51.100.2:443"}, []string{"10.1.0.1:8443", "10.1.0.2"}, "none",
			[]string{"listen 198.51.100.1:443,", "listen 198.51.100.2:443,", "snat none", "backend 10.1.0.1:8443 weight 1", "backend 10.1.0.2 weight 1"},
		},
		"listen alone masquerades": {[]string{"*:80"}, nil, "", []string{"listen *:80, any true", "snat masquerade", "backend 10.0.0.1:80"}},
		"backends alone":           {nil, []string{"10.1.0.1:80"}, "", []string{"listen 192.0.2.10:80,", "snat 192.0.2.10", "backend 10.1.0.1:80"}},
		"snat alone":               {nil, nil, "masquerade", []string{"listen 192.0.2.10:80,", "snat masquerade"}},
		"IPv6":                     {[]string{"[2001:db8::10]:80"}, []string{"2001:db8::1"}, "2001:db8::10", []string{"service web, ipv6 true", "snat 2001:db8::10"}},
	} {
		t.Run(name, func(t *testing.T) {
			text, err := Compose(tt.listen, tt.backends, tt.snat)
			if err != nil {
				t.Fatal(err)
			}
			c, err := config.Parse("f.toml", text)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range tt.want {
				if !strings.Contains(lines(c.Services[0]), want) {
					t.Errorf("got\n%s\nwithout %s", lines(c.Services[0]), want)
				}
			}
			if len(tt.backends) > 0 && len(c.Services[0].Backends) != len(tt.backends) {
				t.Errorf("got backends %v, want %v alone", c.Services[0].Backends, tt.backends)
			}
			if !strings.Contains(string(text), "# hairpin = ") {
				t.Error("the comments are gone")
			}
		})
	}
}

// lines writes what flags may change of a service, one value a line.
func lines(s config.Service) string {
	var b strings.Builder
	fmt.Fprintf(&b, "service %s, ipv6 %v\n", s.Name, s.Is6())
	for _, l := range s.Listen {
		fmt.Fprintf(&b, "  listen %s, any %v\n", l, l.Any())
	}
	fmt.Fprintf(&b, "  snat %s\n", s.SNAT)
	for _, backend := range s.Backends {
		fmt.Fprintf(&b, "  backend %s weight %d\n", backend, backend.Weight)
	}
	return b.String()
}

// TestComposeRefuses gives bad flags the errors of Parse, and lets none of them
// write a line of its own.
func TestComposeRefuses(t *testing.T) {
	for _, bad := range []string{
		"web.example.net:80", `10.0.0.1:80", "10.0.0.2:80`, "10.0.0.1:80\"\n]\n[[service]]", `10.0.0.1:80\`, "10.0.0.1\x00", "10.0.0.\xff", "", "\x7f", "'",
	} {
		for flag, compose := range map[string]func() ([]byte, error){
			"listen":   func() ([]byte, error) { return Compose([]string{bad}, nil, "") },
			"backends": func() ([]byte, error) { return Compose(nil, []string{"10.0.0.9:80", bad}, "") },
			"snat":     func() ([]byte, error) { return Compose(nil, nil, bad+" ") },
		} {
			text, err := compose()
			var all source.Errors
			if !errors.As(err, &all) || len(all) != 1 || text != nil {
				t.Errorf("%s %q: got %q and %v, want one error", flag, bad, text, err)
			}
		}
	}
}
