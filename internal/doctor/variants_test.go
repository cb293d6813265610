package doctor

import (
	"slices"
	"testing"

	"natspread/internal/rules"
)

// TestWhoseRules tells natspread's rules from others' in what iptables-save printed.
func TestWhoseRules(t *testing.T) {
	for name, c := range map[string]struct {
		text           string
		filled, others bool
	}{
		"nothing":                 {"", false, false},
		"chains only":             {"*filter\n:FORWARD ACCEPT [0:0]\n:DOCKER - [0:0]\nCOMMIT\n", false, false},
		"a policy":                {"*filter\n:FORWARD DROP [0:0]\nCOMMIT\n", true, true},
		"a rule of others":        {"*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j NOTRACK\nCOMMIT\n", true, true},
		"an own chain":            {"*nat\n:NATSPREAD-web - [0:0]\nCOMMIT\n", false, false},
		"an own rule":             {"*nat\n:NATSPREAD-web - [0:0]\n-A NATSPREAD-web -j RETURN\nCOMMIT\n", true, false},
		"a jump":                  {"*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j NATSPREAD-PRE\nCOMMIT\n", true, false},
		"both":                    {"*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j NATSPREAD-PRE\n-A PREROUTING -j DOCKER\nCOMMIT\n", true, true},
		"a comment of that words": {"*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -m comment --comment \"-j NATSPREAD-PRE\" -j DOCKER\nCOMMIT\n", true, true},
	} {
		r := rules.ParseRuleset(rules.IPv4, "nft", []byte(c.text))
		if filled(r) != c.filled || othersFilled(r) != c.others {
			t.Errorf("%s: filled %v, others filled it %v", name, filled(r), othersFilled(r))
		}
	}
}

// TestSharedChains names each chain of others once that is in the same table of both.
func TestSharedChains(t *testing.T) {
	one := rules.ParseRuleset(rules.IPv4, "nft", []byte("*nat\n:OUTPUT ACCEPT [0:0]\n:DOCKER - [0:0]\n:NATSPREAD-web - [0:0]\n:B - [0:0]\n:A - [0:0]\n*filter\n:DOCKER - [0:0]\n:C - [0:0]\n"))
	other := rules.ParseRuleset(rules.IPv4, "legacy", []byte("*nat\n:OUTPUT ACCEPT [0:0]\n:A - [0:0]\n:DOCKER - [0:0]\n:NATSPREAD-web - [0:0]\n:C - [0:0]\n*filter\n:DOCKER - [0:0]\n:B - [0:0]\n"))
	if shared := sharedChains(one, other); !slices.Equal(shared, []string{"A", "DOCKER"}) {
		t.Errorf("%v", shared)
	}
}
