package audience

import (
	"net/netip"
	"testing"
)

// whom makes an audience of interfaces and of subnets, those of deny with ! before them.
func whom(words ...string) Audience {
	var a Audience
	for _, word := range words {
		switch prefix, err := netip.ParsePrefix(word); {
		case word[0] == '!':
			a.Deny = append(a.Deny, netip.MustParsePrefix(word[1:]))
		case err == nil:
			a.Allow = append(a.Allow, prefix)
		default:
			a.Interfaces = append(a.Interfaces, word)
		}
	}
	return a
}

// TestApart compares audiences both ways.
func TestApart(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b Audience
		want bool
	}{
		{whom(), whom(), false},
		{whom("eth0"), whom(), false},
		{whom("eth0"), whom("eth0"), false},
		{whom("eth0"), whom("eth1"), true},
		{whom("eth0", "eth2"), whom("eth1", "eth2"), false},
		{whom("eth0"), whom("eth+"), false},
		{whom("eth+"), whom("et+"), false},
		{whom("eth+"), whom("eth"), false},
		{whom("eth1+"), whom("eth2+", "eth0"), true},
		{whom("10.0.0.0/24"), whom("10.0.1.0/24"), true},
		{whom("10.0.0.0/24"), whom("10.0.0.0/25"), false},
		{whom("10.0.0.0/24"), whom(), false},
		{whom("10.0.0.0/24"), whom("!10.0.0.0/24"), true},
		{whom("10.0.0.0/24"), whom("!10.0.0.0/25"), false},
		{whom("10.0.0.0/24"), whom("!10.0.0.0/25", "!10.0.0.128/26", "!10.0.0.192/26"), true},
		{whom("10.0.0.0/24"), whom("!10.0.0.0/25", "!10.0.0.128/26", "!10.0.0.192/27"), false},
		{whom("10.0.0.0/24"), whom("!10.0.0.0/26", "!10.0.0.128/25"), false},
		{whom("10.0.0.0/24", "10.0.9.0/24"), whom("!10.0.0.0/16"), true},
		{whom("!10.0.0.0/24"), whom("!10.0.1.0/24"), false},
		{whom("eth0", "10.0.0.0/24"), whom("eth0", "10.0.1.0/24"), true},
		{whom("eth0", "10.0.0.0/24"), whom("eth1", "10.0.0.0/24"), true},
		{whom("2001:db8::/32"), whom("!2001:db8::/33", "!2001:db8:8000::/33"), true},
	} {
		if c.a.Apart(c.b) != c.want || c.b.Apart(c.a) != c.want {
			t.Errorf("%v and %v are apart: %v and %v, want %v", c.a, c.b, c.a.Apart(c.b), c.b.Apart(c.a), c.want)
		}
	}
}
