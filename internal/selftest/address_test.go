package selftest

import (
	"math/rand/v2"
	"net/netip"
	"testing"
)

// TestDraw stays within the subnets, and reaches both ends of them.
func TestDraw(t *testing.T) {
	t.Parallel()
	from := rand.New(rand.NewPCG(1, 2))
	for _, subnet := range parsePrefixes("198.51.100.0/31", "198.51.100.7/32", "2001:db8::/127", "0.0.0.0/0") {
		seen := map[netip.Addr]bool{}
		for range 100 {
			address := draw(from, subnet)
			if !subnet.Contains(address) {
				t.Fatalf("%v is not in %v", address, subnet)
			}
			seen[address] = true
		}
		if want := min(100, 1<<(subnet.Addr().BitLen()-subnet.Bits())); len(seen) < want-5 {
			t.Errorf("%v has %d addresses", subnet, len(seen))
		}
	}
}

// TestClientsOf has clients from anywhere nowhere that a site or the links have addresses.
func TestClientsOf(t *testing.T) {
	t.Parallel()
	for _, six := range []bool{false, true} {
		open := clientsOf(six, nil, nil)
		if len(open) == 0 {
			t.Errorf("IPv6 %v: nobody", six)
		}
		for _, subnet := range open {
			for _, other := range append(never(), inner()...) {
				if subnet.Overlaps(other) || subnet.Overlaps(linkSubnet(six)) {
					t.Errorf("%v is in %v", subnet, other)
				}
			}
		}
	}
}
