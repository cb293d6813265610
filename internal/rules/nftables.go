package rules

// BaseChain is a chain of nftables that the kernel runs at a hook, iptables-nft's too.
type BaseChain struct {
	Family, Table, Name string // in nft's words: ip, ip6, inet, netdev
	Dormant             bool   // its table sleeps: the kernel does not run it
}

// NativeTable is a table of nftables with rules that iptables does not show.
type NativeTable struct {
	Family, Name string
	JSON, Text   []byte // as nft -j and nft -a list it
}
