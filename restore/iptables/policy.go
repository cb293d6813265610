package iptables

import (
	"context"
	"fmt"
	"strings"

	"natspread/internal/rules"
)

// ForwardPolicy returns the policy of a family's FORWARD chain, which decides on
// what the host forwards beside natspread's connections: ACCEPT or DROP. Where
// there is no filter table everything is let through.
func (k Kernel) ForwardPolicy(ctx context.Context, family rules.Family) (string, error) {
	if !k.mayHold(family, rules.Filter) {
		return "ACCEPT", nil
	}
	path, err := k.program(ctx, family, "restore")
	if err != nil {
		return "", err
	}
	// It lists that chain alone, and changes nothing; iptables-nft-save reads the rules of
	// every table before it prints one.
	text, err := k.Run(ctx, []byte("*filter\n-S FORWARD\nCOMMIT\n"), path, listing()...)
	if err != nil {
		return "", fmt.Errorf("cannot read the filter table: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) > 2 && words[0] == "-P" && words[1] == "FORWARD" {
			return words[2], nil
		}
	}
	return "ACCEPT", nil
}
