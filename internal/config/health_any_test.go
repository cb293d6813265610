package config_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"natspread/internal/config"
	"natspread/internal/test/configtest"
)

// TestCheckText parses what a check says of itself: the same check, on one line.
func TestCheckText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for _, service := range configtest.Config().Draw(t, "config").Services {
			if !service.Checked() {
				continue
			}
			written := service.Check.String()
			if !strings.HasPrefix(written, "{") {
				written = fmt.Sprintf("%q", written)
			}
			if strings.ContainsAny(written, "\n") {
				t.Fatalf("%q is more than one line", written)
			}
			// Backends with ports of both protocols, which any check goes with.
			address, listen := "10.9.9.9:80", "192.0.2.1:80"
			if service.Is6() {
				address, listen = "[fd09::9]:80", "[2001:db8::1]:80"
			}
			text := fmt.Sprintf("[[service]]\nname = \"a\"\nlisten = %q\nbackends = [%q]\nprotocol = [\"tcp\", \"udp\"]\ncheck = %s\n", listen, address, written)
			cfg, err := config.Parse("f.toml", []byte(text))
			if err != nil || cfg.Services[0].Check != service.Check {
				t.Fatalf("%v: %s is\n%+v, not\n%+v", err, written, cfg, service.Check)
			}
		}
	})
}

// TestCheckOf has one check for two services that say the port in two ways.
func TestCheckOf(t *testing.T) {
	asked := config.Check{Type: config.CheckTCP}
	backend := config.Backend{Addr: netip.MustParseAddr("10.0.0.1"), Port: 80}
	target, check := asked.Of(backend)
	asked.Port, backend.Port = 80, 0
	target2, check2 := asked.Of(backend)
	if want := netip.MustParseAddrPort("10.0.0.1:80"); target != want || target2 != want || check != check2 {
		t.Errorf("%v %+v and %v %+v", target, check, target2, check2)
	}
}

// TestExpects tells good status codes from others.
func TestExpects(t *testing.T) {
	for expect, good := range map[string][]int{
		"200-399":         {200, 399},
		"304":             {304},
		"200-299,304,599": {200, 299, 304, 599},
		"":                {},
	} {
		for _, code := range []int{0, 99, 100, 199, 200, 299, 300, 303, 304, 305, 399, 400, 599, 600} {
			wanted := false
			for _, g := range good {
				wanted = wanted || g == code
			}
			if got := (config.Check{Expect: expect}).Expects(code); got != (wanted || expect != "" && between(expect, code)) {
				t.Errorf("%q expects %d: %v", expect, code, got)
			}
		}
	}
}

// between tells whether a code is in the first range of an expect that has one.
func between(expect string, code int) bool {
	var first, last int
	n, _ := fmt.Sscanf(expect, "%d-%d", &first, &last)
	return n == 2 && first <= code && code <= last
}

// TestBackupsServe says who gets new connections: primaries, backups that have joined, and
// backups where there is nothing else.
func TestBackupsServe(t *testing.T) {
	const p, d, b, bd, j = "p", "pd", "b", "bd", "j"
	for _, c := range []struct {
		backends []string
		want     string
	}{
		{[]string{p, p, b}, "0 1"},
		{[]string{d, p, b, j}, "1 3"},
		{[]string{d, b, bd, b}, "1 3"},
		{[]string{d, d, bd}, ""},
		{[]string{d, d, bd, j}, "3"},
		{[]string{b, p}, "1"},
	} {
		service := config.Service{Algorithm: config.Random}
		slotted := service
		slotted.Algorithm, slotted.Slots = config.Source, 64
		for i, kind := range c.backends {
			service.Backends = append(service.Backends, config.Backend{
				Addr: netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), Weight: 1 + i,
				Drain: strings.HasSuffix(kind, "d"), Backup: kind != p && kind != d, Joined: kind == j,
			})
		}
		slotted.Backends = service.Backends
		var active []string
		for _, backend := range service.Active() {
			active = append(active, fmt.Sprint(backend.Addr.As4()[3]))
		}
		if got := strings.Join(active, " "); got != c.want {
			t.Errorf("%v: %s get connections, want %s", c.backends, got, c.want)
		}
		for _, s := range []config.Service{service, slotted} {
			for i, share := range s.Shares(s.Owned()) {
				if serves := strings.Contains(c.want, fmt.Sprint(i)); serves != (share > 0) {
					t.Errorf("%v: %d gets %v", c.backends, i, share)
				}
			}
		}
	}
}
