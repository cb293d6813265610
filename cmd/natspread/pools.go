package main

import (
	"fmt"

	"natspread/config"
	"natspread/nat"
	"natspread/render"
)

// readPools reads what a generation's config spreads, for the boot path, which
// knows no config.
func readPools(text []byte) ([]nat.Pool, error) {
	cfg, err := config.Parse("natspread.toml", text)
	if err != nil {
		return nil, fmt.Errorf("cannot tell which backends a generation had: %w", err)
	}
	return render.Pools(cfg.Services...), nil
}
