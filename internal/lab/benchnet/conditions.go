package main

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"

	"natspread/internal/text"
)

// The layouts whose price is asked: one service of three backends as it is, with more conditions, and
// another way to say it.
const (
	namePlain   = "natspread, no gate"
	nameClamped = "natspread, clamp_mss"
	nameMapped  = "natspread, a map of 2 ports"
	nameTwo     = "natspread, 2 services"
)

// gateName is the name of a figure of a service that serves all but so many subnets, or only those.
func gateName(key string, subnets int, variant string) string {
	return fmt.Sprintf("natspread, %s of %s subnets, %s", key, thousands(subnets), variant)
}

// conditionProbes are the figures of what a service may ask beside its address. The client is in none of
// the subnets that are denied, and in the last one that is allowed: it is looked for as long as any.
func conditionProbes(variant string, size sizes) []probe {
	s := wide(perService)[0]
	alone := func(name, line string) probe {
		return asking(name, &layout{name, variant, func() ([]byte, error) { return natspreadWith([]service{s}, line) }}, []service{s}, s)
	}
	probes := []probe{alone(namePlain+", "+variant, ""), alone(nameClamped+", "+variant, "clamp_mss = true")}
	for _, n := range size.gates {
		subnets := strangers(n)
		probes = append(probes, alone(gateName("deny", n, variant), gateLine("deny", subnets)))
		own, _ := netip.MustParseAddr(clientAddress).Prefix(24)
		subnets[n-1] = own
		probes = append(probes, alone(gateName("allow", n, variant), gateLine("allow", subnets)))
	}
	return append(probes, mapProbes(variant)...)
}

// gateLine writes a list of subnets.
func gateLine(key string, subnets []netip.Prefix) string {
	return key + ` = ["` + strings.Join(text.Strings(subnets), `", "`) + `"]`
}

// strangers returns subnets of clients that do not meet each other, this lab or an address that nobody has,
// the same at each call.
func strangers(n int) []netip.Prefix {
	random := rand.New(rand.NewPCG(1, 2))
	known := map[netip.Prefix]bool{}
	var all []netip.Prefix
	for len(all) < n {
		subnet := netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(20 + random.IntN(80)), byte(random.IntN(256)), byte(random.IntN(256))}), 24)
		if !known[subnet] {
			known[subnet] = true
			all = append(all, subnet)
		}
	}
	return all
}

// mapProbes ask for the second port of a service that maps two, and of two services that say the same.
func mapProbes(variant string) []probe {
	const backends = 3
	var first, second service
	var hosts []string
	first.listen, second.listen = netip.MustParseAddrPort(vip+":80"), netip.MustParseAddrPort(vip+":443")
	for i := range backends {
		host := backendAddress(i, 0).Addr()
		hosts = append(hosts, fmt.Sprintf("%q", host))
		first.backends = append(first.backends, netip.AddrPortFrom(host, 8080))
		second.backends = append(second.backends, netip.AddrPortFrom(host, 8443))
	}
	both := []service{first, second}
	mapped := fmt.Sprintf("[[service]]\nname = \"s\"\nlisten = %q\nports = { 80 = 8080, 443 = 8443 }\nbackends = [%s]\n", vip, strings.Join(hosts, ", "))
	return []probe{
		asking(nameTwo+", "+variant, &layout{nameTwo, variant, func() ([]byte, error) { return natspread(both) }}, both, second),
		asking(nameMapped+", "+variant, &layout{nameMapped, variant, func() ([]byte, error) { return natspreadText([]byte(mapped)) }}, both, second),
	}
}

// conditionTargets prints the ratios that are wanted of them: long lists of clients cost little more than
// none, and one service for two ports no more than two.
func conditionTargets(f figures, variant string, size sizes) {
	plain := namePlain + ", " + variant
	for _, n := range size.gates {
		f.ratio(gateName("deny", n, variant), plain, 1.15)
		f.ratio(gateName("allow", n, variant), plain, 1.15)
	}
	f.ratio(nameMapped+", "+variant, nameTwo+", "+variant, 1.1)
	f.ratio(nameClamped+", "+variant, plain, 1.25)
}
