package selftest

import (
	"math/rand/v2"
	"natspread/internal/subnet"
	"net/netip"
	"slices"
)

// networkOf is the subnet that an address is taken to be in.
func networkOf(address netip.Addr) netip.Prefix {
	bits := 24
	if address.Is6() {
		bits = 64
	}
	return netip.PrefixFrom(address, bits).Masked()
}

// alone is the subnet of one address.
func alone(address netip.Addr) netip.Prefix { return netip.PrefixFrom(address, address.BitLen()) }

// every is the subnet of all addresses of a family.
func every(six bool) netip.Prefix {
	if six {
		return netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	}
	return netip.PrefixFrom(netip.IPv4Unspecified(), 0)
}

// parsePrefixes reads subnets that are written here.
func parsePrefixes(all ...string) []netip.Prefix {
	prefixes := make([]netip.Prefix, len(all))
	for i, one := range all {
		prefixes[i] = netip.MustParsePrefix(one)
	}
	return prefixes
}

// never are subnets that no client has an address of.
func never() []netip.Prefix {
	return parsePrefixes("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3", "::/16", "fe80::/10", "ff00::/8")
}

// inner are subnets that clients from anywhere have no address of, as they belong to a site, or to
// the links.
func inner() []netip.Prefix {
	return parsePrefixes("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "198.18.0.0/15", "::/3", "4000::/2", "8000::/1", "2001::/16")
}

// linkSubnet is the subnet of the links' own addresses, which are for measurements and are on no
// network (RFC 2544, RFC 5180).
func linkSubnet(six bool) netip.Prefix {
	if six {
		return netip.MustParsePrefix("2001:2::/48")
	}
	return netip.MustParsePrefix("198.18.0.0/15")
}

// clientsOf returns the subnets of the clients that some subnets hold and others do not; where the
// first are none, of clients from anywhere.
func clientsOf(six bool, allowed, denied []netip.Prefix) []netip.Prefix {
	denied = slices.Concat(denied, never())
	if len(allowed) == 0 {
		allowed, denied = []netip.Prefix{every(six)}, append(denied, inner()...)
	}
	var open []netip.Prefix
	for _, one := range allowed {
		open = append(open, subnet.Without(one, denied)...)
	}
	return open
}

// draw returns some address of a subnet.
func draw(from *rand.Rand, subnet netip.Prefix) netip.Addr {
	bytes := subnet.Addr().AsSlice()
	for bit := subnet.Bits(); bit < subnet.Addr().BitLen(); bit++ {
		if from.IntN(2) == 1 {
			bytes[bit/8] |= 1 << (7 - bit%8)
		}
	}
	address, _ := netip.AddrFromSlice(bytes)
	return address
}
