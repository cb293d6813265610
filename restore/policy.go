package restore

import (
	"context"
	"fmt"
	"strings"

	"natspread/nat"
)

// ForwardPolicy returns the policy of a family's FORWARD chain, which decides on
// what the host forwards beside natspread's connections: ACCEPT or DROP. Where
// there is no filter table everything is let through.
func (h Host) ForwardPolicy(ctx context.Context, family nat.Family) (string, error) {
	kernel, err := h.Kernel(ctx)
	if err != nil {
		return "", err
	}
	if !kernel.mayHold(family, "filter") {
		return "ACCEPT", nil
	}
	path, err := kernel.program(ctx, family, "save")
	if err != nil {
		return "", err
	}
	text, err := kernel.Run(ctx, nil, path, "-t", "filter")
	if err != nil {
		return "", fmt.Errorf("cannot read the filter table: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == ":FORWARD" {
			return words[1], nil
		}
	}
	return "ACCEPT", nil
}
