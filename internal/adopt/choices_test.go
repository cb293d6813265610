package adopt

import "testing"

// TestWrong knows answers that are none, each with its flag.
func TestWrong(t *testing.T) {
	t.Parallel()
	for want, choices := range map[string]Choices{
		"": {Listen: []string{"*", "192.0.2.10", "2001:db8::1"}, Shares: Kept, SNAT: "192.0.2.10-192.0.2.12"},
		`--listen "0.0.0.0" is not * or an address of this host`:                 {Listen: []string{"*", "0.0.0.0"}},
		`--listen "eth0" is not * or an address of this host`:                    {Listen: []string{"eth0"}},
		`--shares "half" is none of meant, made, kept`:                           {Shares: "half"},
		`--snat "MASQUERADE" is not masquerade, none or an address of this host`: {SNAT: "MASQUERADE"},
	} {
		if got := choices.Wrong(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
