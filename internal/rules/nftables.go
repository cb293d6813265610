package rules

// Hooks is what decides about packets beside natspread's own rules, as it was read: of
// iptables the tables by which packets of a service come, less most of natspread's own
// chains in the nat tables.
type Hooks struct {
	Rulesets []Ruleset // of each family and variant that the host has
	Native   []NativeTable
	Chains   []BaseChain // in the order in which they were made
	Partly   []PartlyShown
}

// BaseChain is a chain of nftables that the kernel leads packets to, iptables-nft's too.
type BaseChain struct {
	Family, Table, Name string // in nft's words: ip, ip6, inet, netdev
	Dormant             bool   // its table sleeps: the kernel leads no packet there
}

// NativeTable is a table of nftables with rules that iptables does not show.
type NativeTable struct {
	Family, Name string // in nft's words
	JSON, Text   []byte // as nft -j and nft -a list it
}

// PartlyShown is a rule of which iptables-nft shows only a part, as it has expressions that
// only nft knows.
type PartlyShown struct {
	Family       Family
	Table, Chain string
	Place        int // in its chain, from 1
}
