package restore_test

import (
	"strings"
	"testing"

	"natspread/internal/rules"
	"natspread/internal/test/hosttest"
)

// TestClampBehindMarks has a rule before the jump that every packet gets past: the jump stays behind it, also
// when its chain changes.
func TestClampBehindMarks(t *testing.T) {
	hosttest.EachVariant(t, func(t *testing.T, variant rules.Variant) {
		host := newHost(t, variant)
		apply(t, host, hosttest.Clamped(hosttest.Article))
		hosttest.IPTablesOn(t, variant, rules.IPv4, rules.Mangle, "-I FORWARD -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1400")
		wantInSync(t, host)
		for _, toml := range []string{strings.ReplaceAll(hosttest.Clamped(hosttest.Article), "= true", "= 1260"), hosttest.Clamped(hosttest.Article)} {
			apply(t, host, toml)
			hosttest.WantLoaded(t, variant, toml)
			wantInSync(t, host)
			if saved := hosttest.SaveTables(t, variant, rules.IPv4)[rules.Mangle]; !strings.Contains(saved, "--set-mss 1400\n[0:0] -A FORWARD -p tcp -m tcp --tcp-flags SYN,RST SYN -m conntrack --ctstate DNAT -j NATSPREAD-MSS\n") {
				t.Errorf("the jump was moved:\n%s", saved)
			}
		}
	})
}
