package value

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"natspread/internal/config/source"
)

// broadcast reaches every machine of a link, so it names none.
var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// Endpoint is "HOST:PORTS" taken apart before either half is checked.
type Endpoint struct {
	Host, Ports string
	HasPorts    bool
}

// SplitEndpoint takes "10.0.0.1:80", "[2001:db8::1]:80", "*:80" and the same
// without ports apart. An IPv6 address without brackets has no ports.
func SplitEndpoint(text string) (Endpoint, *Fault) {
	if inside, ok := strings.CutPrefix(text, "["); ok {
		host, rest, closed := strings.Cut(inside, "]")
		ports, hasPorts := strings.CutPrefix(rest, ":")
		if !closed || rest != "" && !hasPorts || !strings.Contains(host, ":") {
			return Endpoint{}, &Fault{"brackets go around an IPv6 address, before its port", bracketFix(host, rest)}
		}
		return Endpoint{host, ports, hasPorts}, nil
	}
	host, ports, hasPorts := strings.Cut(text, ":")
	if strings.Contains(ports, ":") && host != "*" && !isIPv4(host) {
		return Endpoint{Host: text}, nil
	}
	return Endpoint{host, ports, hasPorts}, nil
}

// isIPv4 tells whether a text is an IPv4 address.
func isIPv4(text string) bool {
	a, err := netip.ParseAddr(text)
	return err == nil && a.Is4()
}

// bracketFix is the fix for brackets around something else than an IPv6 address: host stands
// behind the opening one, and rest behind the closing one, if there is one.
func bracketFix(host, rest string) string {
	ports := strings.TrimPrefix(rest, ":")
	if last := strings.LastIndex(host, ":"); ports == "" && last >= 0 {
		host, ports = host[:last], host[last+1:]
	}
	if _, err := netip.ParseAddr(host); err == nil || host != "" && !strings.Contains(host, ":") {
		return "write " + source.Quote(Join(host, ports))
	}
	return `write it as in "[2001:db8::10]:80"`
}

// Join writes an address and the ports behind it, where there are any.
func Join(host, ports string) string {
	switch {
	case ports == "":
		return host
	case strings.Contains(host, ":"):
		return "[" + host + "]:" + ports
	}
	return host + ":" + ports
}

// quotedAddress is an address in a fix.
var quotedAddress = regexp.MustCompile(`"[0-9A-Fa-f.:]+"`)

// WithPorts returns the fault of an address behind which ports stand: in its fix they do, too.
func (f *Fault) WithPorts(ports string) *Fault {
	fix := quotedAddress.ReplaceAllStringFunc(f.Fix, func(quoted string) string {
		return source.Quote(Join(strings.Trim(quoted, `"`), ports))
	})
	return &Fault{f.Cause, fix}
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
	likely := "10.0.0.1"
	if a.Is6() {
		likely = "2001:db8::1"
	}
	fix := fmt.Sprintf("write the address of one machine, as in %q", likely)
	switch {
	case a.IsUnspecified():
		return a, &Fault{"it is the unspecified address, which no machine has", fix}
	case a.IsLoopback():
		return a, &Fault{"it is a loopback address, which never leaves its machine", fmt.Sprintf("write another address of this machine, as in %q", likely)}
	case a.IsMulticast():
		return a, &Fault{"it is a multicast address", fix}
	case a == broadcast:
		return a, &Fault{"it is the broadcast address", fix}
	case a.Is6() && a.IsLinkLocalUnicast():
		return a, linkLocal()
	}
	return a, nil
}

// linkLocal is the fault of fe80::/10.
func linkLocal() *Fault {
	return &Fault{"it is a link-local address, which the kernel forwards nothing to or from", `natspread can't use it: write another address of that machine, as in "2001:db8::1" or "fd00::1"`}
}

// parseAddr reads an address in the one form that means the same everywhere.
func parseAddr(text string) (netip.Addr, *Fault) {
	a, err := netip.ParseAddr(text)
	switch {
	case err != nil:
		return a, addrFault(text)
	case a.Zone() != "" && a.IsLinkLocalUnicast():
		return a, linkLocal()
	case a.Zone() != "":
		return a, &Fault{"it has a zone, and zones have no place in nat", fmt.Sprintf("write %q; interface = says where traffic comes in", a.WithZone(""))}
	case a.Is4In6():
		return a, &Fault{"it is an IPv4 address written as IPv6", fmt.Sprintf("write %q", a.Unmap())}
	}
	return a, nil
}

// addrFault says what keeps text from being an address.
func addrFault(text string) *Fault {
	octets := strings.Split(text, ".")
	plain, err := netip.ParseAddr(strings.Join(strings.Fields(text), ""))
	low, high, isRange := strings.Cut(text, "-")
	switch {
	case text == "":
		return &Fault{"its address is missing", `write an address, as in "10.0.0.1"`}
	case text == "*":
		return &Fault{"* stands for this machine, so only listen can have it", `write the address of a machine, as in "10.0.0.1"`}
	case err == nil:
		return &Fault{"no address has a space in it", fmt.Sprintf("write %q", plain)}
	case strings.ContainsAny(text, ", \t\r\n"):
		return &Fault{"no address has a space or a comma in it", "write one address, as in " + source.Quote(firstAddress(text))}
	case strings.Contains(text, "/"):
		return subnetFault(text)
	case isRange && strings.Trim(text, "0123456789.-") == "":
		return rangeFault(low, high)
	case strings.Contains(text, ":"):
		return &Fault{"it is neither an IPv4 address with a port nor an IPv6 address", `write it as in "10.0.0.1:80", "2001:db8::1" or "[2001:db8::1]:80"`}
	case strings.Trim(text, "0123456789.") != "":
		return &Fault{"it is not an address, and names are not looked up because DNS may be away at boot", `write the address that the name stands for, as in "10.0.0.1"`}
	case len(octets) != 4:
		return &Fault{"an IPv4 address has four numbers", "write all four numbers, as in " + source.Quote(fourNumbers(octets))}
	}
	if plain, err := netip.ParseAddr(trimZeros(octets)); err == nil {
		return &Fault{"a leading zero makes a number octal to some programs", fmt.Sprintf("write %q", plain)}
	}
	return &Fault{"the numbers of an IPv4 address are 0 to 255", `write four numbers from 0 to 255, as in "10.0.0.1"`}
}

// firstAddress returns the first address of several that stand in one string.
func firstAddress(text string) string {
	for part := range strings.FieldsFuncSeq(text, Separates) {
		if _, err := netip.ParseAddr(part); err == nil {
			return part
		}
	}
	return "10.0.0.1"
}

// Separates tells whether people put a character between two values that stand in one string.
func Separates(r rune) bool { return strings.ContainsRune(",; \t\r\n|", r) }

// subnetFault is the fault of a subnet in place of an address.
func subnetFault(text string) *Fault {
	const cause = "it is a subnet, not an address"
	p, err := netip.ParsePrefix(text)
	if err == nil && p.IsSingleIP() {
		return &Fault{cause, fmt.Sprintf("write %q", p.Addr())}
	}
	first := netip.AddrFrom4([4]byte{10, 0, 0, 1})
	if err == nil {
		first = p.Masked().Addr().Next()
	}
	return &Fault{cause, fmt.Sprintf("natspread can't tell which of its addresses are meant: list them, as in [%q, %q]", first, first.Next())}
}

// mostListed is how many addresses of a range the fix lists.
const mostListed = 16

// rangeFault is the fault of a range in place of an address. The last one may be its last number
// alone.
func rangeFault(low, high string) *Fault {
	const cause = "it is a range of addresses"
	first, err := netip.ParseAddr(low)
	if dot := strings.LastIndex(low, "."); !strings.Contains(high, ".") && dot > 0 {
		high = low[:dot+1] + high
	}
	last, err2 := netip.ParseAddr(high)
	var all []string
	for a := first; err == nil && err2 == nil && a.Compare(last) <= 0 && len(all) <= mostListed; a = a.Next() {
		all = append(all, a.String())
	}
	if len(all) == 0 || len(all) > mostListed {
		return &Fault{cause, `natspread can't take a range: list its addresses, as in ["10.0.0.1", "10.0.0.2"]`}
	}
	return &Fault{cause, "write [" + strings.Join(source.QuoteAll(all), ", ") + "]"}
}

// fourNumbers writes an address with fewer than four numbers in full, as inet_aton(3) takes it:
// the zeros that are missing stand before the last one. With more it is an example.
func fourNumbers(octets []string) string {
	if n := len(octets); n == 2 || n == 3 {
		filled := slices.Concat(octets[:n-1], []string{"0", "0"}[:4-n], octets[n-1:])
		if a, err := netip.ParseAddr(strings.Join(filled, ".")); err == nil {
			return a.String()
		}
	}
	return "10.0.0.1"
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
	host, length, slash := strings.Cut(text, "/")
	a, why := parseAddr(host)
	if why != nil {
		if padded, err := netip.ParsePrefix(padZeros(host) + "/" + length); err == nil {
			return netip.Prefix{}, &Fault{why.Cause, fmt.Sprintf("write %q", padded.Masked())}
		}
		if strings.Contains(host, ":") {
			return netip.Prefix{}, &Fault{why.Cause, `write a subnet, as in "2001:db8::/64"`}
		}
		return netip.Prefix{}, &Fault{why.Cause, `write a subnet, as in "10.0.0.0/24"`}
	}
	p, err := netip.ParsePrefix(text)
	switch {
	case !slash:
		return p, &Fault{"it has no prefix length", fmt.Sprintf("write %q for this one address", netip.PrefixFrom(a, a.BitLen()))}
	case err != nil:
		return p, &Fault{fmt.Sprintf("its prefix length is not a number from 1 to %d", a.BitLen()), "write a subnet, as in " + source.Quote(prefixFor(a, length).String())}
	case p.Bits() == 0:
		return p, &Fault{"it holds every client there is", `write snat = "masquerade" and take hairpin out`}
	case p != p.Masked():
		return p, &Fault{"it has bits set beyond its prefix length", fmt.Sprintf("write %q", p.Masked())}
	}
	return p, nil
}

// padZeros writes the address of a subnet with fewer than four numbers in full: 10.0.0 is 10.0.0.0.
func padZeros(host string) string {
	return host + strings.Repeat(".0", max(0, 3-strings.Count(host, ".")))
}

// prefixFor returns the subnet of an address that was likely meant by what stands for its length: a
// mask of IPv4, or nothing that is known.
func prefixFor(a netip.Addr, written string) netip.Prefix {
	length := 24
	if a.Is6() {
		length = 64
	}
	if isIPv4(written) && a.Is4() {
		length = max(1, bits.OnesCount32(binary.BigEndian.Uint32(netip.MustParseAddr(written).AsSlice())))
	}
	return netip.PrefixFrom(a, length).Masked()
}
