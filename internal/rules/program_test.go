package rules

import "testing"

// TestProgram names programs with and without a variant and a verb.
func TestProgram(t *testing.T) {
	for _, c := range []struct {
		family  Family
		variant Variant
		verb    string
		want    string
	}{
		{IPv4, "nft", "restore", "iptables-nft-restore"}, {IPv6, "legacy", "save", "ip6tables-legacy-save"},
		{IPv4, "", "restore", "iptables-restore"}, {IPv6, "", "save", "ip6tables-save"},
		{IPv4, "nft", "", "iptables-nft"}, {IPv6, "legacy", "", "ip6tables-legacy"},
		{IPv4, "", "", "iptables"}, {IPv6, "", "", "ip6tables"},
	} {
		if got := Program(c.family, c.variant, c.verb); got != c.want {
			t.Errorf("%v %q %q: %s, not %s", c.family, c.variant, c.verb, got, c.want)
		}
	}
}
