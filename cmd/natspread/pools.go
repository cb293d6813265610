package main

import (
	"bytes"
	"fmt"

	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/render"
)

// pools is readPools, which need not read again what was checked just now.
func (c checked) pools(text []byte) ([]rules.VirtualService, error) {
	if bytes.Equal(text, c.text) {
		return render.VirtualServices(c.config.Services...), nil
	}
	return readPools(text)
}

// readPools reads what a generation's config spreads, for the boot path, which
// knows no config.
func readPools(text []byte) ([]rules.VirtualService, error) {
	cfg, err := config.Parse("natspread.toml", text)
	if err != nil {
		return nil, fmt.Errorf("cannot tell which backends a generation had: %w", err)
	}
	return render.VirtualServices(cfg.Services...), nil
}
