package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"natspread/internal/config"
	"natspread/internal/configfiles"
	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/render"
	"natspread/restore"
)

// The targets of what it costs to take one backend out, of 10,000 services.
const (
	overlayOfApply = 1 / 10. // of an apply of all of them, by nft
	overlayGrowth  = 20.     // of the same of ten services, by nft
)

// overlays measures what a watcher waits for when a backend goes down, from the tables to what
// the kernel was read to hold, with few services and with many. The legacy variant sends a whole
// table for each change, and has no target.
func (b bench) overlays() error {
	for _, variant := range variants() {
		few, _, err := b.overlayOf(10, rules.Variant(variant))
		if err != nil {
			return err
		}
		many, apply, err := b.overlayOf(10_000, rules.Variant(variant))
		if err != nil {
			return err
		}
		part, growth := float64(many.wall)/float64(apply.wall), float64(many.wall)/float64(few.wall)
		what := "one backend out of 10,000 x 3, " + variant
		target, met := targetOf(variant, part, overlayOfApply)
		b.line(what, fmt.Sprintf("%s: %.3f x of apply", milliseconds(many.wall), part), target, met)
		target, met = targetOf(variant, growth, overlayGrowth)
		b.line(what, fmt.Sprintf("%.1f x of 10 x 3, %s", growth, milliseconds(few.wall)), target, met)
	}
	return nil
}

// targetOf is the most that a ratio may be, and whether it is met: nft alone has one.
func targetOf(variant string, ratio, most float64) (target string, met bool) {
	if variant != string(rules.NFT) {
		return "none", true
	}
	return fmt.Sprint(most, " x"), ratio <= most
}

// overlayOf applies so many services and takes one backend out and in again, over and over, in
// the network namespace of this process, which it leaves without rules.
func (b bench) overlayOf(n int, variant rules.Variant) (change, apply sample, err error) {
	root := filepath.Join(b.dir, "overlay")
	defer os.RemoveAll(root)
	host := restore.Host{Root: root, Run: program.Exec(), Variant: variant, Version: "bench", Memory: &restore.Memory{}}
	text := services(n)
	all, err := planned(text)
	if err != nil {
		return sample{}, sample{}, err
	}
	less, err := planned(strings.Replace(text, `"10.1.0.1:80"`, `{ address = "10.1.0.1:80", drain = true }`, 1))
	if err != nil {
		return sample{}, sample{}, err
	}
	if err := os.Mkdir(root, 0o700); err != nil {
		return sample{}, sample{}, err
	}
	begin := time.Now()
	if _, err := host.Apply(context.Background(), restore.Request{Tables: all.tables, Services: all.services, Config: configfiles.Alone("bench", []byte(text)), Command: "apply", Now: begin}); err != nil {
		return sample{}, sample{}, err
	}
	apply.wall = time.Since(begin)
	defer func() {
		_, failed := host.Stop(context.Background())
		err = errors.Join(err, failed)
	}()
	var walls []sample
	before := ""
	for i := range 2 * b.rounds {
		o := restore.Overlay{Base: 1, Before: before, Tables: less.tables, Note: []byte("{}"), None: i%2 == 1}
		begin := time.Now()
		result, err := host.LoadOverlay(context.Background(), o, restore.Freed{})
		if err != nil {
			return sample{}, sample{}, err
		}
		walls = append(walls, sample{wall: time.Since(begin)})
		before = result.Overlay
	}
	return median(walls[2:]), apply, nil // the first two warm the memory
}

// plan is what a config asks for.
type plan struct {
	tables   rules.Tables
	services []byte
}

// planned plans a config.
func planned(text string) (plan, error) {
	cfg, err := config.Parse("bench", []byte(text))
	if err != nil {
		return plan{}, err
	}
	return plan{render.New(cfg), rules.EncodeServices(render.VirtualServices(cfg.Services...))}, nil
}
