package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"natspread/internal/netnstest"
	"natspread/nat"
	"natspread/restore"
)

// write puts a generation of one config on the disk, with the IPv6 rules of another.
func write(t *testing.T, g game, config, config6 int) {
	t.Helper()
	store := restore.Store{Root: g.disk.root}
	number, err := store.Write(restore.Generation{
		Manifest: restore.Manifest{Variant: restore.NFT, Proven: true},
		Tables:   restore.Tables{IPv4: g.configs[config].tables[nat.IPv4], IPv6: g.configs[config6].tables[nat.IPv6]},
		Config:   g.configs[config].text,
	})
	if err == nil {
		err = store.SetCurrent(number)
	}
	if err != nil || number == 0 {
		t.Fatalf("generation %d: %v", number, err)
	}
}

// TestJudge judges disks on which generation 1 is of config 0 and 2 of config 1, 3 of both
// and 4 of config 0 again, up to the one that is current.
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
		{name: "twice the same", current: 4, known: report{generation: 4, config: 0}, want: "3 and 4 are of the same config: one was never current"},
		{name: "none", current: 2, known: report{generation: 2, config: 1}, want: "no generation has been applied", spoil: func(dir string) error {
			return os.Remove(filepath.Join(dir, stateDir, "current"))
		}},
		{name: "cut short", current: 2, known: report{generation: 2, config: 1}, want: "is not good", spoil: func(dir string) error {
			return os.Truncate(filepath.Join(dir, generations, "2", "rules.v6"), 100)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			configs, err := writeConfigs(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			g := game{configs: configs, disk: disk{root: t.TempDir()}}
			write(t, g, 0, 0)
			write(t, g, 1, 1)
			write(t, g, 0, 1)
			write(t, g, 0, 0)
			if err := (restore.Store{Root: g.disk.root}).SetCurrent(c.current); err != nil {
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
