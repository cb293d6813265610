package value

import (
	"net/netip"
	"strconv"
	"strings"
)

// broadcast reaches every machine of a link, so it names none.
var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// endpoint is "HOST:PORTS" taken apart before either half is checked.
type endpoint struct {
	Host, Ports string
	HasPorts    bool
}

// SplitEndpoint takes "10.0.0.1:80", "[2001:db8::1]:80", "*:80" and the same
// without ports apart. An IPv6 address without brackets has no ports.
func SplitEndpoint(text string) (endpoint, *Fault) {
	if inside, ok := strings.CutPrefix(text, "["); ok {
		host, rest, closed := strings.Cut(inside, "]")
		ports, hasPorts := strings.CutPrefix(rest, ":")
		if !closed || rest != "" && !hasPorts || !strings.Contains(host, ":") {
			return endpoint{}, &Fault{"brackets go around an IPv6 address, before its port", `write it as "[2001:db8::10]:80"`}
		}
		return endpoint{host, ports, hasPorts}, nil
	}
	if strings.Count(text, ":") > 1 {
		return endpoint{Host: text}, nil
	}
	host, ports, hasPorts := strings.Cut(text, ":")
	return endpoint{host, ports, hasPorts}, nil
}

// ParsePort reads plain digits, without a sign or a leading zero.
func ParsePort(text string) (uint16, bool) {
	n, err := strconv.ParseUint(text, 10, 16)
	return uint16(n), err == nil && n > 0 && text[0] != '0'
}

// ParseUnicast reads the address of one machine. It returns the address with
// the fault when it is well written but no such address.
func ParseUnicast(text string) (netip.Addr, *Fault) {
	a, why := parseAddr(text)
	if why != nil {
		return netip.Addr{}, why
	}
	const fix = "write the address of one machine, as in 10.0.0.1 or 2001:db8::1"
	switch {
	case a.IsUnspecified():
		return a, &Fault{"it is the unspecified address, which no machine has", fix}
	case a.IsLoopback():
		return a, &Fault{"it is a loopback address, which never leaves its machine", fix}
	case a.IsMulticast():
		return a, &Fault{"it is a multicast address", fix}
	case a == broadcast:
		return a, &Fault{"it is the broadcast address", fix}
	case a.Is6() && a.IsLinkLocalUnicast():
		return a, &Fault{"it is a link-local address, which the kernel forwards nothing to or from", "write another address of that machine, as in 2001:db8::1 or fd00::1"}
	}
	return a, nil
}

// parseAddr reads an address in the one form that means the same everywhere.
func parseAddr(text string) (netip.Addr, *Fault) {
	a, err := netip.ParseAddr(text)
	switch {
	case err != nil:
		return a, addrFault(text)
	case a.Zone() != "" && a.IsLinkLocalUnicast():
		return a, &Fault{"it is a link-local address, which the kernel forwards nothing to or from", "write another address of that machine, as in 2001:db8::1 or fd00::1"}
	case a.Zone() != "":
		return a, &Fault{"it has a zone, and zones have no place in nat", "write " + a.WithZone("").String() + "; interface = says where traffic comes in"}
	case a.Is4In6():
		return a, &Fault{"it is an IPv4 address written as IPv6", "write " + a.Unmap().String()}
	}
	return a, nil
}

// addrFault says what keeps text from being an address.
func addrFault(text string) *Fault {
	octets := strings.Split(text, ".")
	switch {
	case text == "":
		return &Fault{Cause: "its address is missing"}
	case text == "*":
		return &Fault{Cause: "* stands for this machine, so only listen can have it"}
	case strings.ContainsAny(text, ", \t\r\n"):
		return &Fault{"no address has a space or a comma in it", `write one address without spaces; several are a list: ["10.0.0.1:80", "10.0.0.2:80"]`}
	case strings.Contains(text, ":"):
		return &Fault{"it is neither an IPv4 address with a port nor an IPv6 address", "write it as 10.0.0.1:80, 2001:db8::1 or [2001:db8::1]:80"}
	case strings.Trim(text, "0123456789.") != "":
		return &Fault{"it is not an address, and names are not looked up because DNS may be away at boot", "write the address the name stands for, as in 10.0.0.1"}
	case len(octets) != 4:
		return &Fault{"an IPv4 address has four numbers", "write all four numbers, as in 10.0.0.1"}
	}
	if plain, err := netip.ParseAddr(trimZeros(octets)); err == nil {
		return &Fault{"a leading zero makes a number octal to some programs", "write " + plain.String()}
	}
	return &Fault{"the numbers of an IPv4 address are 0 to 255", "write four numbers from 0 to 255, as in 10.0.0.1"}
}

// trimZeros joins the octets of an address without their leading zeros.
func trimZeros(octets []string) string {
	plain := make([]string, len(octets))
	for i, o := range octets {
		plain[i] = strings.TrimLeft(o, "0")
		if plain[i] == "" && o != "" {
			plain[i] = "0"
		}
	}
	return strings.Join(plain, ".")
}

// ParsePrefix reads a subnet whose host bits are zero.
func ParsePrefix(text string) (netip.Prefix, *Fault) {
	host, _, slash := strings.Cut(text, "/")
	a, why := parseAddr(host)
	if why != nil {
		return netip.Prefix{}, why
	}
	p, err := netip.ParsePrefix(text)
	switch {
	case !slash:
		return p, &Fault{"it has no prefix length", "write " + netip.PrefixFrom(a, a.BitLen()).String() + " for this one address"}
	case err != nil:
		return p, &Fault{"its prefix length is not a number from 1 to " + strconv.Itoa(a.BitLen()), "write a subnet, as in 10.0.0.0/24"}
	case p.Bits() == 0:
		return p, &Fault{"it holds every client there is", `write snat = "masquerade" in place of hairpin`}
	case p != p.Masked():
		return p, &Fault{"it has bits set beyond its prefix length", "write " + p.Masked().String()}
	}
	return p, nil
}
