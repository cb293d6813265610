package iptables

import (
	"strings"
	"testing"

	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/internal/test/netnstest"
)

// TestRulesetID has another number after every change that anybody makes, and the same one
// as long as nobody does. For the legacy variant there is none.
func TestRulesetID(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	kernel := Kernel{Run: program.Exec(), Variant: rules.NFT}
	last := kernel.RulesetID()
	if last == 0 || kernel.RulesetID() != last {
		t.Errorf("%d, then %d", last, kernel.RulesetID())
	}
	for _, change := range []struct{ name, program, line string }{
		{"a rule", "iptables-nft", "-t nat -A PREROUTING -j ACCEPT"},
		{"a rule of the other family", "ip6tables-nft", "-A FORWARD -j DROP"},
		{"a table of nft's own", "nft", "add table inet other"},
	} {
		netnstest.Self().Command(t, "", change.program, strings.Fields(change.line)...)
		now := kernel.RulesetID()
		if now == last {
			t.Errorf("%s: still %d", change.name, now)
		}
		last = now
	}
	netnstest.Self().Command(t, "", "iptables-legacy", "-t", "nat", "-A", "PREROUTING", "-j", "ACCEPT")
	if now := kernel.RulesetID(); now != last {
		t.Errorf("the legacy variant's change made it %d", now)
	}
	if legacy := (Kernel{Run: program.Exec(), Variant: rules.Legacy}).RulesetID(); legacy != 0 {
		t.Errorf("legacy: %d", legacy)
	}
}
