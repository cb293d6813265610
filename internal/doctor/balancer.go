package doctor

import (
	"fmt"
	"net/netip"
	"strings"

	"natspread/internal/rules"
)

// Balancer is what is to work on a host.
type Balancer struct {
	Services   []Service
	Generation Generation
	Variant    string    // of iptables, the one in use: nft or legacy
	Rulesets   []Ruleset // of each family and variant that the host has
	Native     []byte    // the rules of nftables, as nft(8) prints them
	Unread     error     // why rulesets could not be read

	Config    string   // path of the config below the root; "" for one that is no file
	ConfigBad error    // why that one is not what the services are from; nil when they are
	State     []string // paths below the root of what boot loads
	Trial     Trial
}

// Service is one balanced service.
type Service struct {
	Name      string
	Family    rules.Family
	Listen    []Listen
	Protocols []string         // tcp, udp, sctp
	Backends  []netip.AddrPort // that get new connections; port 0 keeps the client's
	Source    Source
	Hairpin   []netip.Prefix
	Interface string // the one that connections come in by; "" is any
	Accepted  bool   // natspread has rules in FORWARD that let the connections through
}

// Listen is what clients connect to; no valid Addr means every address of the host.
type Listen struct {
	Addr        netip.Addr
	First, Last uint16 // ports
}

// String writes l as the config does: 192.0.2.10:80, [2001:db8::10]:80-89, *:80.
func (l Listen) String() string {
	host := "*"
	if l.Addr.IsValid() {
		host = l.Addr.String()
	}
	if l.Addr.Is6() {
		host = "[" + host + "]"
	}
	if l.First == l.Last {
		return fmt.Sprintf("%s:%d", host, l.First)
	}
	return fmt.Sprintf("%s:%d-%d", host, l.First, l.Last)
}

// Source is whose address backends see as the client's: a fixed one, the client's own,
// or with neither that of the interface on the way out.
type Source struct {
	Addr netip.Addr
	None bool
}

// Generation is the one that boot is to load.
type Generation struct {
	Number  int    // 0 when nothing was ever applied
	Variant string // that it was proven with
	Bad     error  // why boot cannot load it
}

// Trial is a generation that is loaded until somebody confirms it.
type Trial struct {
	Number int   // 0 when none waits
	Over   bool  // its time is, and it should have been taken back
	Bad    error // why it cannot be told whether one waits
}

// Ruleset is what one variant of iptables holds of a family, as iptables-save prints
// it: all tables.
type Ruleset struct {
	Family  rules.Family
	Variant string
	Text    []byte
}

// families returns those that a balancer has services of.
func (b Balancer) families() []rules.Family {
	var families []rules.Family
	for _, family := range rules.Families() {
		for _, service := range b.Services {
			if service.Family == family {
				families = append(families, family)
				break
			}
		}
	}
	return families
}

// few joins words, the first three of many.
func few(words []string) string {
	const most = 3
	if len(words) <= most {
		return strings.Join(words, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(words[:most], ", "), len(words)-most)
}
