package selftest

import "natspread/internal/rules"

// Result is what came of all services that were tried.
type Result struct {
	Variant  rules.Variant `json:"variant"` // of iptables: nft, legacy
	Good     bool          `json:"good"`    // all that was tried is as the config says
	Services []Service     `json:"services"`
	LeftOut  int           `json:"left_out,omitempty"` // services that were not tried, as there are many
}

// Service is what came of one service.
type Service struct {
	Name        string    `json:"name"`
	Listen      []string  `json:"listen"`
	Protocols   []string  `json:"protocols"`
	Algorithm   string    `json:"algorithm"`
	SNAT        string    `json:"snat"`
	Connections int       `json:"connections"` // that the shares were counted of
	Backends    []Backend `json:"backends"`
	Clients     []Client  `json:"clients"`
	Sources     []string  `json:"sources"` // the addresses that backends saw as their clients
	Findings    []Finding `json:"findings"`
	NotTried    []string  `json:"not_tried,omitempty"`
}

// Backend is what a backend got of the connections.
type Backend struct {
	Address       string  `json:"address"`
	WantedShare   float64 `json:"wanted_share"`   // 0 to 1
	ObservedShare float64 `json:"observed_share"` // the same, as counted
	LeastShare    float64 `json:"least_share"`    // chance alone gives less, or more than most_share, once in a million runs
	MostShare     float64 `json:"most_share"`
	Connections   int     `json:"connections"`
}

// Client is what came of the connections of clients in one place, which all should get the same.
type Client struct {
	Place       place  `json:"place"`             // outside, beside, itself, other_interface
	Address     string `json:"address,omitempty"` // the first one's; "" on the balancer itself
	Clients     int    `json:"clients"`           // how many there are
	Wanted      answer `json:"wanted"`            // served, refused, host
	Connections int    `json:"connections"`
	AsWanted    int    `json:"as_wanted"` // how many of these came to what was wanted
}

// Finding is what is not as the config says.
type Finding struct {
	What string `json:"what"`
	Fix  string `json:"fix,omitempty"`
}
