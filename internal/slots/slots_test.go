package slots

import (
	"fmt"
	"net/netip"
	"testing"
)

// TestOf has the slots that the kernel's counters gave for these clients.
func TestOf(t *testing.T) {
	for _, test := range []struct {
		client string
		prefix int
		hash   uint32
		slots  [5]int // of 16, 64, 256, 1024, 4096
	}{
		{"198.51.100.7", 32, 0xf2463fa0, [5]int{15, 60, 242, 969, 3876}},
		{"198.51.100.7", 24, 0x4c852be8, [5]int{4, 19, 76, 306, 1224}},
		{"192.0.2.99", 32, 0x0ea41853, [5]int{0, 3, 14, 58, 234}},
		{"2001:db8::7", 128, 0xd2335725, [5]int{13, 52, 210, 840, 3363}},
		{"2001:db8:1:2:3:4:5:6", 128, 0x66f6370d, [5]int{6, 25, 102, 411, 1647}},
		{"2001:db8:1:2:3:4:5:6", 64, 0xdcf69bc4, [5]int{13, 55, 220, 883, 3535}},
	} {
		client := netip.MustParseAddr(test.client)
		if got := hash(word(client, test.prefix)); got != test.hash {
			t.Errorf("%s/%d: the hash is %08x, not %08x", test.client, test.prefix, got, test.hash)
		}
		for i, count := range []int{16, 64, 256, 1024, 4096} {
			if got := Of(client, test.prefix, count); got != test.slots[i] {
				t.Errorf("%s/%d is slot %d of %d, not %d", test.client, test.prefix, got, count, test.slots[i])
			}
		}
	}
}

// TestWordsMeet has clients that share a slot at any number of slots: the words of an IPv6
// address are joined, so it does not tell in which of them a number stands.
func TestWordsMeet(t *testing.T) {
	a, b := netip.MustParseAddr("2001:db8::3"), netip.MustParseAddr("2001:db8:0:3::")
	if Of(a, 128, Max) != Of(b, 128, Max) {
		t.Error("they have different slots")
	}
}

// TestEvenSlots has the same number of hashes for each slot: the bounds of neighbours are one
// length apart.
func TestEvenSlots(t *testing.T) {
	for count := Min; count <= Max; count *= 2 {
		for slot := range count {
			first := uint64(slot) << 32 / uint64(count)
			if got := first * uint64(count) >> 32; got != uint64(slot) {
				t.Fatalf("hash %08x is slot %d of %d, not %d", first, got, count, slot)
			}
			if got := (first + 1<<32/uint64(count) - 1) * uint64(count) >> 32; got != uint64(slot) {
				t.Fatalf("the last hash of slot %d of %d is one of slot %d", slot, count, got)
			}
		}
	}
}

// TestValid takes powers of two only.
func TestValid(t *testing.T) {
	got := ""
	for count := range 5000 {
		if Valid(count) {
			got += fmt.Sprint(count, " ")
		}
	}
	if got != "16 32 64 128 256 512 1024 2048 4096 " {
		t.Errorf("valid are %s", got)
	}
}
