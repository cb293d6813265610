package config

import (
	"net/netip"
	"testing"
)

// TestListening asks for addresses of both families, of ranges, of "*" and of nobody.
func TestListening(t *testing.T) {
	cfg, err := Parse("test", []byte(`[[service]]
name = "web"
listen = ["192.0.2.10:80", "192.0.2.10:8000-8010"]
backends = ["10.0.0.1"]
[[service]]
name = "any"
listen = "*:53"
protocol = ["udp", "sctp"]
backends = ["[fd00::1]:53"]
`))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		protocol Protocol
		to, want string
		byAny    bool
	}{
		{TCP, "192.0.2.10:80", "web", false},
		{TCP, "192.0.2.10:8000", "web", false},
		{TCP, "192.0.2.10:8010", "web", false},
		{TCP, "192.0.2.10:8011", "", false},
		{TCP, "192.0.2.11:80", "", false},
		{UDP, "192.0.2.10:80", "", false},
		{UDP, "[2001:db8::10]:53", "any", true},
		{SCTP, "[2001:db8::10]:53", "any", true},
		{TCP, "[2001:db8::10]:53", "", false},
		{UDP, "192.0.2.10:53", "", false}, // "*" is of the family of the backends
	} {
		var got string
		for service, byAny := range cfg.Listening(c.protocol, netip.MustParseAddrPort(c.to)) {
			if got += service.Name; byAny != c.byAny {
				t.Errorf("%s %s: %q, %v", c.protocol, c.to, service.Name, byAny)
			}
		}
		if got != c.want {
			t.Errorf("%s %s: %q", c.protocol, c.to, got)
		}
	}
}
