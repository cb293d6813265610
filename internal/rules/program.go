package rules

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
