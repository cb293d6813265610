package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"natspread/internal/rules"
	"natspread/internal/test/netnstest"
	"natspread/restore/generation"
)

// write puts a generation of one config on the disk, with those tables.
func write(t *testing.T, g game, config int, tables rules.Tables) {
	t.Helper()
	store := generation.Store{Root: g.disk.root}
	number, err := store.Write(generation.Generation{
		Manifest: generation.Manifest{Variant: rules.NFT, Proven: true},
		Tables:   tables,
		Config:   g.configs[config].files,
	})
	if err == nil {
		err = store.SetCurrent(number)
	}
	if err != nil || number == 0 {
		t.Fatalf("generation %d: %v", number, err)
	}
}

// TestJudge judges disks on which generation 1 is of config 0 and 2 of config 1; those up to
// 7 are of config 0, which accepts in FORWARD and shortens segments, each with a table of config 1, and 8 is whole.
func TestJudge(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	for _, c := range []struct {
		name    string
		current int
		known   report
		spoil   func(dir string) error
		want    string // in the error
	}{
		{name: "as reported", current: 2, known: report{generation: 2, config: 1}},
		{name: "as reported, another began", current: 2, known: report{generation: 2, config: 1, begun: true}},
		{name: "newer, and begun", current: 2, known: report{generation: 1, config: 0, begun: true}},
		{name: "newer, and not begun", current: 2, known: report{generation: 1, config: 0}, want: "nobody asked for it"},
		{name: "newer, of the config that was there", current: 2, known: report{generation: 1, config: 1, begun: true}, want: "nobody asked for it"},
		{name: "older", current: 1, known: report{generation: 2, config: 1}, want: "older than 2"},
		{name: "the other config", current: 2, known: report{generation: 2, config: 0}, want: "not of the config"},
		{name: "mixed families", current: 3, known: report{generation: 3, config: 0}, want: "not the ipv6 rules of its own config"},
		{name: "ipv4 filter table of the other", current: 4, known: report{generation: 4, config: 0}, want: "not the ipv4 filter rules of its own config"},
		{name: "ipv6 filter table of the other", current: 5, known: report{generation: 5, config: 0}, want: "not the ipv6 filter rules of its own config"},
		{name: "ipv4 mangle table of the other", current: 6, known: report{generation: 6, config: 0}, want: "not the ipv4 mangle rules of its own config"},
		{name: "ipv6 mangle table of the other", current: 7, known: report{generation: 7, config: 0}, want: "not the ipv6 mangle rules of its own config"},
		{name: "twice the same", current: 8, known: report{generation: 8, config: 0}, want: "7 and 8 are of the same config: one was never current"},
		{name: "none", current: 2, known: report{generation: 2, config: 1}, want: "no generation has been applied", spoil: func(dir string) error {
			return os.Remove(filepath.Join(dir, stateDir, "current"))
		}},
		{name: "cut short", current: 2, known: report{generation: 2, config: 1}, want: "is not good", spoil: func(dir string) error {
			return os.Truncate(filepath.Join(dir, generations, "2", "rules.v6"), 100)
		}},
		{name: "without its filter table", current: 1, known: report{generation: 1, config: 0}, want: "is not good", spoil: func(dir string) error {
			return os.Remove(filepath.Join(dir, generations, "1", "filter.v6"))
		}},
		{name: "without its mangle table", current: 1, known: report{generation: 1, config: 0}, want: "is not good", spoil: func(dir string) error {
			return os.Remove(filepath.Join(dir, generations, "1", "mangle.v4"))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			configs, err := writeConfigs(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			g := game{configs: configs, disk: disk{root: t.TempDir()}}
			first, second := configs[0].tables, configs[1].tables
			write(t, g, 0, first)
			write(t, g, 1, second)
			for _, place := range []int{1, 2, 3, 4, 5} {
				mixed := first
				*mixed.Places()[place] = *second.Places()[place]
				write(t, g, 0, mixed)
			}
			write(t, g, 0, first)
			if err := (generation.Store{Root: g.disk.root}).SetCurrent(c.current); err != nil {
				t.Fatal(err)
			}
			if c.spoil != nil {
				if err := c.spoil(g.disk.root); err != nil {
					t.Fatal(err)
				}
			}
			_, err = g.judge(c.known)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("judged %v, want %q", err, c.want)
			}
		})
	}
}
