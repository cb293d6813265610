package rules

// Variant is one of the two kernel interfaces that iptables programs speak. A host may
// have both, and each holds rules that the other does not show.
type Variant string

// The variants; Auto is the one behind the host's own iptables-restore.
const (
	Auto   Variant = "auto"
	NFT    Variant = "nft"
	Legacy Variant = "legacy"
)

// Other returns the other variant.
func (v Variant) Other() Variant {
	if v == NFT {
		return Legacy
	}
	return NFT
}
