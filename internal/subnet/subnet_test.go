package subnet_test

import (
	"net/netip"
	"slices"
	"testing"

	"natspread/internal/subnet"
)

// TestWithout takes subnets out of one, down to nothing: then they cover it.
func TestWithout(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		from         string
		others, want []string
	}{
		{"198.51.100.0/24", nil, []string{"198.51.100.0/24"}},
		{"198.51.100.0/24", []string{"198.51.100.0/25"}, []string{"198.51.100.128/25"}},
		{"198.51.100.0/24", []string{"198.51.100.0/25", "198.51.100.128/25"}, nil},
		{"198.51.100.0/24", []string{"198.51.100.0/25", "198.51.100.128/26", "198.51.100.192/26"}, nil},
		{"198.51.100.0/24", []string{"198.51.100.0/25", "198.51.100.64/26"}, []string{"198.51.100.128/25"}},
		{"198.51.100.0/24", []string{"198.51.0.0/16"}, nil},
		{"198.51.100.0/24", []string{"198.51.100.0/24"}, nil},
		{"198.51.100.0/30", []string{"198.51.100.1/32", "203.0.113.0/24"}, []string{"198.51.100.0/32", "198.51.100.2/31"}},
		{"2001:db8::/126", []string{"2001:db8::3/128", "0.0.0.0/0"}, []string{"2001:db8::/127", "2001:db8::2/128"}},
	} {
		whole, others := netip.MustParsePrefix(c.from), prefixes(c.others)
		if got := subnet.Without(whole, others); !slices.Equal(got, prefixes(c.want)) {
			t.Errorf("%s without %v is %v", c.from, c.others, got)
		}
		if covered := subnet.Covered(whole, others); covered != (len(c.want) == 0) {
			t.Errorf("%s is covered by %v: %v", c.from, c.others, covered)
		}
	}
}

// TestLast returns the last address of both families.
func TestLast(t *testing.T) {
	t.Parallel()
	for whole, want := range map[string]string{
		"198.51.100.0/24": "198.51.100.255", "198.51.100.7/32": "198.51.100.7", "0.0.0.0/0": "255.255.255.255", "198.51.100.128/27": "198.51.100.159",
		"2001:db8::/121": "2001:db8::7f",
	} {
		if got := subnet.Last(netip.MustParsePrefix(whole)); got != netip.MustParseAddr(want) {
			t.Errorf("the last address of %s is %v", whole, got)
		}
	}
}

// prefixes reads subnets.
func prefixes(all []string) []netip.Prefix {
	var list []netip.Prefix
	for _, one := range all {
		list = append(list, netip.MustParsePrefix(one))
	}
	return list
}
