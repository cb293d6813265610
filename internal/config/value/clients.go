package value

import "net/netip"

// ParseClients reads a subnet of clients, or the address of one. "0.0.0.0/0" and "::/0" are every
// client of a family.
func ParseClients(text string) (netip.Prefix, *Fault) {
	if a, why := parseAddr(text); why == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	if p, err := netip.ParsePrefix(text); err == nil && p.Bits() == 0 && p == p.Masked() {
		return p, nil
	}
	return ParsePrefix(text)
}
