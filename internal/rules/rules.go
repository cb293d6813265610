// Package rules is natspread's part of iptables' tables as iptables-save prints it,
// the whole nat table and a few chains of the filter and mangle tables: typed rules, and their
// canonical text both ways. Rules of others it reads as text.
//
// It is the one language that the rooms above share, so it knows no config, no
// file, no process and no systemd.
package rules

import (
	"crypto/sha256"
	"encoding/base32"
	"net/netip"
	"strconv"
	"strings"
)

// Family is an address family. Each has a nat table, a rules file and iptables
// programs of its own.
type Family uint8

// The two families, in the order in which they are printed and loaded.
const (
	IPv4 Family = iota
	IPv6
)

// Families lists both families in the order in which they are handled.
func Families() []Family { return []Family{IPv4, IPv6} }

// FamilyOf returns the family of an address.
func FamilyOf(address netip.Addr) Family {
	if address.Is4() {
		return IPv4
	}
	return IPv6
}

// String returns "ipv4" or "ipv6".
func (f Family) String() string {
	if f == IPv6 {
		return "ipv6"
	}
	return "ipv4"
}

// NFTWord returns the family in nft's words: "ip" or "ip6".
func (f Family) NFTWord() string {
	if f == IPv6 {
		return "ip6"
	}
	return "ip"
}

// TableName is one of iptables' tables that natspread has a part in. The nat table
// spreads; the filter table lets through what was spread, and the mangle table makes TCP's segments
// shorter, where that is asked for.
type TableName uint8

// The tables, in the order of Tables.All.
const (
	NAT TableName = iota
	Filter
	Mangle
)

// String returns the name of the table, as in iptables -t.
func (k TableName) String() string {
	switch k {
	case Filter:
		return "filter"
	case Mangle:
		return "mangle"
	}
	return "nat"
}

// The built-in chains of the tables.
const (
	Prerouting  = "PREROUTING"
	Input       = "INPUT"
	Forward     = "FORWARD"
	Output      = "OUTPUT"
	Postrouting = "POSTROUTING"
)

// Own chains: every name begins with Prefix. Those that the jumps lead to are in
// capitals, so no service, whose name is in small letters, can meet them.
const (
	Prefix         = "NATSPREAD"
	ServicePre     = Prefix + "-PRE"
	ServiceOut     = Prefix + "-OUT"
	ServicePost    = Prefix + "-POST"
	ServiceForward = Prefix + "-FORWARD"
	ServiceRelated = Prefix + "-RELATED"
	// ServiceTakeover lets through what backends begin in place of clients.
	ServiceTakeover = Prefix + "-TAKEOVER"
	// ServiceMSS corrects what both ends of a connection say of the segments that they take.
	ServiceMSS = Prefix + "-MSS"
)

// Comment stood in each jump that natspread 0.1 loaded: see Table.CommentedJumps.
const Comment = "natspread"

// BuiltIn lists the built-in chains of the table in the order of iptables-save.
func (k TableName) BuiltIn() []string {
	switch k {
	case Filter:
		return []string{Input, Forward, Output}
	case Mangle:
		return []string{Prerouting, Input, Forward, Output, Postrouting}
	}
	return []string{Prerouting, Input, Output, Postrouting}
}

// EntryChains maps a built-in chain to the own chains that its jumps lead to, in their order;
// none for those where nothing of ours stands.
func (k TableName) EntryChains(builtIn string) []string {
	switch {
	case k == Filter && builtIn == Forward:
		return []string{ServiceForward, ServiceRelated, ServiceTakeover}
	case k == Mangle && builtIn == Forward:
		return []string{ServiceMSS}
	case k != NAT:
		return nil
	case builtIn == Prerouting:
		return []string{ServicePre}
	case builtIn == Output:
		return []string{ServiceOut}
	case builtIn == Postrouting:
		return []string{ServicePost}
	}
	return nil
}

// ServiceChain returns the name of the chain that picks a service's backend. It stays within
// the 28 bytes that the kernel takes (XT_EXTENSION_MAXNAMELEN less its NUL).
func ServiceChain(service string) string { return Prefix + "-" + ShortName(service) }

// maxShort is the longest short name: MaxChain less Prefix, its dash, and the three bytes of
// PickChain.
const maxShort = 15

// ShortName returns what the chains of a service are called by: its name, or for a longer one
// its first four letters, a point, which no name of a service has there, and letters that stand for
// all of it. The same name always has the same short one, whatever other services there are.
func ShortName(service string) string {
	if len(service) <= maxShort {
		return service
	}
	return service[:4] + "." + Digest(service)[:maxShort-5]
}

// Digest returns 16 letters and digits that stand for a text in the name of a chain.
func Digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:10]))
}

// GateChain returns the name of the chain that turns away the clients that a service is not for. The
// names of chains below it are longer by a capital letter, or begin with Prefix, a dash and "G".
func GateChain(service string) string { return ServiceChain(service) + "G" }

// IsGate tells whether a chain belongs to the gate of some service.
func IsGate(chain string) bool {
	if service := ServiceOf(chain); service != "" {
		rest, gate := strings.CutPrefix(chain, GateChain(service))
		return gate && (rest == "" || rest == "A" || rest == "R")
	}
	return strings.HasPrefix(chain, Prefix+"-G")
}

// PickChain returns the name of a chain of the tree below a service's: the service's,
// a capital letter for its level from 0 to 25, which no service's name can hold, and
// its place in the level, from 0 to 1,295, in two digits of base 36.
func PickChain(service string, level, place int) string {
	digits := strconv.FormatInt(int64(36*36+place), 36)
	return ServiceChain(service) + string(rune('A'+level)) + digits[1:]
}

// ServiceOf returns the short name of the service whose backends a chain picks from, "" for a
// chain that picks none.
func ServiceOf(chain string) string {
	rest, _ := strings.CutPrefix(chain, Prefix+"-")
	if i := strings.IndexFunc(rest, func(r rune) bool { return 'A' <= r && r <= 'Z' }); i >= 0 {
		rest = rest[:i]
	}
	if !IsOwn(chain) || rest == chain {
		return ""
	}
	return rest
}

// MaxChain is the longest name of a chain, in bytes: XT_EXTENSION_MAXNAMELEN less
// its NUL.
const MaxChain = 28

// MaxDepth is how many own chains may lead to one another below a built-in one: nft
// refuses a packet's way through more than 16 chains, whether by -j or by -g
// (NFT_JUMP_STACK_SIZE).
const MaxDepth = 15

// IsOwn tells whether a chain is ours by its name.
func IsOwn(chain string) bool {
	return chain == Prefix || strings.HasPrefix(chain, Prefix+"-")
}

// Ports is a range of ports, both ends included; First == Last is one port, and
// the zero value is no condition on the port at all.
type Ports struct{ First, Last uint16 }

// parsePorts reads one port, or two with a separator between them, as natspread writes them.
func parsePorts(text, separator string) (ports Ports, ok bool) {
	ports, ok = readPorts(text, separator)
	return ports, ok && 0 < ports.First && ports.First <= ports.Last
}

// readPorts reads one port, or two with a separator between them. Others begin a range with
// 0, too.
func readPorts(text, separator string) (ports Ports, ok bool) {
	first, last, ranged := strings.Cut(text, separator)
	if !ranged {
		last = first
	}
	low, errLow := strconv.ParseUint(first, 10, 16)
	high, errHigh := strconv.ParseUint(last, 10, 16)
	return Ports{uint16(low), uint16(high)}, errLow == nil && errHigh == nil
}

// ReadPortList reads the ports that a rule asks for: PORT and FIRST:LAST, with commas.
func ReadPortList(text string) (list []Ports, ok bool) {
	for one := range strings.SplitSeq(text, ",") {
		ports, ok := readPorts(one, ":")
		if !ok {
			return nil, false
		}
		list = append(list, ports)
	}
	return list, true
}

// appendTo appends the ports: 80, or with a separator 8000:8010.
func (p Ports) appendTo(b []byte, separator byte) []byte {
	b = strconv.AppendUint(b, uint64(p.First), 10)
	if p.Last != p.First {
		b = strconv.AppendUint(append(b, separator), uint64(p.Last), 10)
	}
	return b
}

// contains tells whether a port satisfies the condition.
func (p Ports) contains(port uint16) bool {
	return p == Ports{} || p.First <= port && port <= p.Last
}

// appendAddress appends an address as inet_ntop(3) prints it, which is what
// iptables-save uses: unlike netip it writes ::102:304 as ::1.2.3.4.
func appendAddress(b []byte, address netip.Addr) []byte {
	if !address.Is6() || !dottedTail(address.As16()) {
		return address.AppendTo(b)
	}
	raw := address.As16()
	return netip.AddrFrom4([4]byte(raw[12:])).AppendTo(append(b, "::"...))
}

// dottedTail tells whether exactly the first 96 bits are the run of zeros that
// inet_ntop(3) shortens, in which case it takes the rest for an IPv4 address.
func dottedTail(raw [16]byte) bool {
	return [12]byte(raw[:12]) == [12]byte{} && (raw[12] != 0 || raw[13] != 0)
}
