package iptables

import (
	"testing"

	"natspread/internal/rules"
)

// TestPutBack puts back what is not there any more, and nothing that still is.
func TestPutBack(t *testing.T) {
	now, err := rules.ParseSaved(rules.NAT, []byte(`*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:NATSPREAD-PRE - [0:0]
-A PREROUTING -j NATSPREAD-PRE
-A PREROUTING -p tcp -j RETURN
-A PREROUTING -p udp -j RETURN
COMMIT
`))
	if err != nil {
		t.Fatal(err)
	}
	in := func(chain string, place int, text string, held int) rules.Taken {
		return rules.Taken{Chain: chain, Place: place, Text: text, Held: held}
	}
	jumps := stateOfSaved(now).jumps
	for name, c := range map[string]struct {
		taken []rules.Taken
		want  string
	}{
		"still there":           {[]rules.Taken{in("PREROUTING", 1, "-p tcp -j RETURN", 1)}, ""},
		"gone":                  {[]rules.Taken{in("PREROUTING", 2, "-p sctp -j RETURN", 1)}, "-I PREROUTING 3 -p sctp -j RETURN\n"},
		"one of two":            {[]rules.Taken{in("PREROUTING", 1, "-p tcp -j RETURN", 2), in("PREROUTING", 2, "-p tcp -j RETURN", 2)}, "-I PREROUTING 2 -p tcp -j RETURN\n"},
		"two, the last first":   {[]rules.Taken{in("PREROUTING", 4, "-j RETURN", 1), in("PREROUTING", 1, "-p sctp -j RETURN", 1)}, "-I PREROUTING 2 -p sctp -j RETURN\n-I PREROUTING 5 -j RETURN\n"},
		"behind what went, too": {[]rules.Taken{in("PREROUTING", 9, "-j RETURN", 1)}, "-I PREROUTING 4 -j RETURN\n"},
		"with its chain":        {[]rules.Taken{in("OLD", 1, "-j RETURN", 1), in("OLD", 0, "", 0)}, "-N OLD\n-I OLD 1 -j RETURN\n"},
	} {
		if got := string(putBack(now, jumps, c.taken)); got != c.want {
			t.Errorf("%s:\n%swant\n%s", name, got, c.want)
		}
	}
}
