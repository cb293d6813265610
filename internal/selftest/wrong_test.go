package selftest_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"natspread/internal/nethost"
	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/screen"
	"natspread/internal/selftest"
	"natspread/internal/test/hosttest"
	"natspread/render"
	"natspread/restore/iptables"
)

// service is a config whose keys the cases change.
const service = `
[[service]]
name = "web"
listen = ["192.0.2.10:80", "192.0.2.11:80"]
snat = "192.0.2.10"
backends = [{ address = "10.0.0.1:80", weight = 2 }, "10.0.0.2:80"]
`

// TestWrongRules loads the rules of another config than the one that is tried: each way in which
// rules can be wrong is found.
func TestWrongRules(t *testing.T) {
	for name, c := range map[string]struct{ add, old, new, want string }{
		"another share":     {"", "weight = 2", "weight = 9", "and should get"},
		"a backend less":    {"", `, "10.0.0.2:80"`, ``, "gets 100.00 %"},
		"a stranger":        {"", `"10.0.0.2:80"`, `"10.0.0.3:80"`, "10.0.0.2:80"},
		"another port":      {"", `"10.0.0.2:80"`, `"10.0.0.2:81"`, "is refused at tcp 192.0.2.1"},
		"a drained backend": {"", `"10.0.0.2:80"`, `{ address = "10.0.0.2:80", drain = true }`, "10.0.0.1:80 gets 100.00 %"},
		"another source":    {"", `snat = "192.0.2.10"`, `snat = "192.0.2.11"`, `sees 192.0.2.11 and not 192.0.2.10 as its client`},
		"a kept source":     {"", `snat = "192.0.2.10"`, `snat = "none"`, `and not 192.0.2.10 as its client`},
		"no deny":           {`deny = "203.0.113.0/24"`, `deny = "203.0.113.0/24"`, ``, ", and should be refused"},
		"no allow":          {`allow = "203.0.113.0/24"`, `allow = "203.0.113.0/24"`, ``, ", and should be refused"},
		"another allow":     {`allow = "203.0.113.0/24"`, `203.0.113.0/24`, `198.51.100.0/24`, "client 203.0.113."},
		"refused by itself": {"deny = \"203.0.113.0/24\"\nrefused = \"host\"", `refused = "host"`, ``, "and should get what the host itself has there"},
		"not by interface":  {`interface = "eth0"`, `interface = "eth0"`, ``, "by another interface than the service's, is served"},
		"not local":         {"", `name = "web"`, "name = \"web\"\nlocal = false", "the balancer itself is refused"},
		"local":             {"local = false", "local = false", "", "the balancer itself is served by"},
		"another address":   {"", `, "192.0.2.11:80"]`, `, "192.0.2.12:80"]`, "is refused at tcp 192.0.2.11:80"},
		"no affinity":       {`algorithm = "source"`, `algorithm = "source"`, ``, "it does not keep its backend"},
		"no hairpin":        {"hairpin = [\"10.0.0.0/24\"]\n", `hairpin = ["10.0.0.0/24"]`, ``, "gets no answer"},
	} {
		t.Run(name, func(t *testing.T) {
			hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
				toml := service + c.add
				if strings.Contains(c.add, "hairpin") {
					toml = strings.Replace(toml, `snat = "192.0.2.10"`, `snat = "none"`, 1)
				}
				other := strings.Replace(toml, c.old, c.new, 1)
				cfg, loaded := hosttest.Config(t, toml), hosttest.Config(t, other)
				if cfg.Equivalent(loaded) {
					t.Fatal("both configs are the same")
				}
				kernel := iptables.Kernel{Run: program.Exec(), Variant: variant}
				result, err := selftest.Run(t.Context(), kernel, cfg, render.New(loaded), cfg.Services)
				hosttest.Must(t, err)
				if said := result.Text(screen.Screen{}); result.Good || !strings.Contains(said, c.want) || !strings.Contains(said, "wrong: ") {
					t.Errorf("good %v, without %q:\n%s", result.Good, c.want, said)
				}
			})
		})
	}
}

// TestSummary counts what was found, and what was left out.
func TestSummary(t *testing.T) {
	t.Parallel()
	good := selftest.Result{Variant: rules.NFT, Good: true, Services: make([]selftest.Service, 100), LeftOut: 200}
	if got := good.Summary(); got != "tried 100 services (of 300, as some are enough) with the nft variant of iptables: all as the config says" {
		t.Error(got)
	}
	bad := selftest.Result{Variant: rules.Legacy, Services: []selftest.Service{{Findings: make([]selftest.Finding, 2)}}}
	if got := bad.Summary(); got != "tried 1 service with the legacy variant of iptables: 2 findings" {
		t.Error(got)
	}
}

// TestMany tries a hundred services of many, and says so.
func TestMany(t *testing.T) {
	hosttest.EachVariantAsRoot(t, func(t *testing.T, variant rules.Variant) {
		var toml strings.Builder
		for i := range 150 {
			fmt.Fprintf(&toml, "[[service]]\nname = \"s%d\"\nlisten = \"192.0.%d.10:80\"\nbackends = [\"10.0.%d.1:80\", \"10.0.%d.2:80\"]\n", i, i, i, i)
		}
		cfg := hosttest.Config(t, toml.String())
		result, err := selftest.Run(t.Context(), iptables.Kernel{Run: program.Exec(), Variant: variant}, cfg, render.New(cfg), cfg.Services)
		hosttest.Must(t, err)
		if len(result.Services) != 100 || result.LeftOut != 50 || !result.Good {
			t.Errorf("%d services, %d left out, good %v", len(result.Services), result.LeftOut, result.Good)
		}
	})
}

// TestHostAddress has a backend at an address of this host, which the config does not tell from
// others: it is a program here, and sees the clients.
func TestHostAddress(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		const toml = "[[service]]\nname = \"app\"\nlisten = \"*:80\"\nbackends = [\"192.0.2.10:7701\"]\n"
		sources := func() string { return strings.Join(try(t, variant, toml).Services[0].Sources, " ") }
		if got := sources(); got != "the balancer" {
			t.Errorf("elsewhere it sees %s", got)
		}
		hosttest.Must(t, nethost.Self().AddAddresses("lo", netip.MustParsePrefix("192.0.2.10/32")))
		if got := sources(); got != "the client" {
			t.Errorf("here it sees %s", got)
		}
	})
}
