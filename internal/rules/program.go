package rules

import "fmt"

// Program returns the name of one of iptables' programs for a family: of the restore
// program of the variant nft, iptables-nft-restore. Without a variant it is the name
// behind which the host chose one, without a verb that of iptables itself.
func Program(family Family, variant Variant, verb string) string {
	name := "iptables"
	if family == IPv6 {
		name = "ip6tables"
	}
	for _, part := range []string{string(variant), verb} {
		if part != "" {
			name += "-" + part
		}
	}
	return name
}

// CloseForward is the line after which a host forwards what is balanced, and else only what FORWARD has an accept for.
func CloseForward(family Family) string {
	return fmt.Sprintf("%[1]s -I FORWARD -m conntrack --ctstate DNAT -j ACCEPT && %[1]s -P FORWARD DROP # until the next boot", Program(family, "", ""))
}
