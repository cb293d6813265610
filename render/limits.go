package render

import "natspread/internal/rules"

// limits says how long a chain may be before it becomes a tree of chains. What the
// kernel does with a new connection is the same in every layout.
type limits struct {
	entries  int // rules of PRE and OUT without branches
	sources  int // rules of POST without branches: a conntrack match costs nft ten times what an address does
	leaf     int // rules of the last chain of a way through a dispatch tree
	backends int // backends of a service, or turns of its period, without branches
	pick     int // backends in the last chain of a way through a service's tree
	gates    int // chains of gates that may lead to one another below the tree that is PRE's alone
}

// measured is the layout in which a new connection costs least: see
// docs/benchmarks.md. Up to its bounds the rules are a plain list, in the order of
// the config, that reads like the article's.
var measured = limits{entries: 16, sources: 8, leaf: 4, backends: 8, pick: 4}

// fanOut is how many ways a chain of a tree parts. With four, a way has half as
// many chains as with two, and the miss of three rules costs about as much as one
// chain more.
const fanOut = 4

// treeDepth bounds the chains on a way through a dispatch tree, so that with the one
// at its root, a service's own and its tree of backends there are rules.MaxDepth.
const treeDepth = rules.MaxDepth - 2 - pickDepth

// pickDepth is the depth of a service's tree: fanOut to that power times the
// smallest last chain is config.MaxBackends, and config.MaxTurns.
const pickDepth = 5
