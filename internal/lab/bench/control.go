package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"natspread/internal/paths"
)

// The targets of what control costs, at most and for the largest number of services.
const (
	changeTimes = 1 / 10. // of an apply from nothing
	growthTimes = 1.3     // of ten times what a tenth of the services cost
	peakMost    = 200e6
)

// applyTimes is the target of an apply from nothing, in times of a bare iptables-restore of the
// same rules.
func applyTimes(variant string) float64 {
	if variant == "legacy" {
		return 3
	}
	return 2.5
}

// restoreTimes is that of a restore.
func restoreTimes(variant string) float64 {
	if variant == "legacy" {
		return 1.6
	}
	return 1.5
}

// control measures apply from nothing, a change of one backend, and restore, with many
// services, half and a tenth of them, alone and beside the rules of others.
func (b bench) control() error {
	for _, variant := range variants() {
		for _, beside := range []string{"", foreign()} {
			var walls [3]walls
			for i, n := range []int{1000, 5000, 10_000} {
				var err error
				if walls[i], err = b.controlOf(n, variant, beside, 0); err != nil {
					return err
				}
			}
			for i, name := range []string{"apply", "one backend", "restore"} {
				growth := float64(walls[2][i]) / float64(walls[0][i]) / 10
				b.line(fmt.Sprintf("%s, growth from 1,000 to 10,000, %s", name, where(variant, beside)),
					fmt.Sprintf("%.2f x linear", growth), fmt.Sprint(growthTimes, " x"), growth <= growthTimes)
			}
		}
	}
	return nil
}

// slots measures the same of services whose clients keep their backends, which takes a rule for
// most of the slots.
func (b bench) slots() error {
	for _, variant := range variants() {
		for _, slots := range []int{64, 256} {
			if _, err := b.controlOf(1000, variant, "", slots); err != nil {
				return err
			}
		}
	}
	return nil
}

// walls are the times of apply, a change of one backend, and restore.
type walls [3]time.Duration

// where says what a figure is of.
func where(variant, beside string) string {
	if beside != "" {
		return variant + ", beside 200 foreign rules"
	}
	return variant
}

// controlOf measures so many services, with slots or without.
func (b bench) controlOf(n int, variant, beside string, slots int) (walls, error) {
	config, of := services(n), fmt.Sprintf("%d x 3, %s", n, where(variant, beside))
	if slots != 0 {
		config = strings.ReplaceAll(config, "]\n\n", fmt.Sprintf("]\nalgorithm = \"source\"\nslots = %d\n\n", slots))
		of = fmt.Sprintf("%d x 3 by %d slots, %s", n, slots, variant)
	}
	path, err := b.write("control.toml", config)
	if err != nil {
		return walls{}, err
	}
	changed, err := b.write("changed.toml", strings.Replace(config, "\"10.1.0.1:80\"", "\"10.1.255.1:80\"", 1))
	if err != nil {
		return walls{}, err
	}
	var others []command
	if beside != "" {
		others = []command{bareRestore(variant, []byte(beside))}
	}
	verb := func(name, config string) command {
		return b.natspread(name, "-q", "--variant", variant, "--config", config)
	}
	apply := verb("apply", path)
	apply.prepare = append([]command{{args: []string{"rm", "-rf", b.root() + "/var", b.root() + "/run"}}}, others...)
	if _, err := timed(apply); err != nil {
		return walls{}, err
	}
	rules, err := os.ReadFile(filepath.Join(b.root(), paths.Current, "rules.v4"))
	if err != nil {
		return walls{}, err
	}
	return b.compare(of, variant, n == 10_000, apply, verb("apply", changed), b.natspread("restore", "-q", "--variant", variant), bareRestore(variant, rules), others)
}

// compare measures the three verbs, apply and restore in turns with a bare restore. The change
// may have a target by nft.
func (b bench) compare(of, variant string, changes bool, apply, change, restore, bare command, others []command) (walls, error) {
	rounds := max(3, b.rounds/2)
	applied, loaded, err := b.inTurns(rounds, apply, bare)
	if err != nil {
		return walls{}, err
	}
	change.prepare = append(apply.prepare, command{args: apply.args})
	changed, _, err := b.inTurns(rounds, change, bare)
	if err != nil {
		return walls{}, err
	}
	restore.prepare = others
	restored, again, err := b.inTurns(rounds, restore, bare)
	if err != nil {
		return walls{}, err
	}
	b.line("apply from nothing, "+of, ratio(applied, loaded), fmt.Sprint(applyTimes(variant), " x"), applied.wall <= times(applyTimes(variant), loaded))
	b.line("apply from nothing, peak, "+of, megabytes(applied.peak), megabytes(peakMost), applied.peak <= peakMost)
	target, met := "none", true
	if changes && variant == "nft" {
		target, met = "0.1 x", changed.wall <= times(changeTimes, applied)
	}
	b.line("one backend changed, "+of, fmt.Sprintf("%s: %.2f x of apply", milliseconds(changed.wall), float64(changed.wall)/float64(applied.wall)), target, met)
	b.line("restore, "+of, ratio(restored, again), fmt.Sprint(restoreTimes(variant), " x"), restored.wall <= times(restoreTimes(variant), again))
	return walls{applied.wall, changed.wall, restored.wall}, nil
}

// times multiplies the time of a sample.
func times(factor float64, s sample) time.Duration { return time.Duration(factor * float64(s.wall)) }

// foreign is a nat table of somebody else's: 20 chains and 200 rules.
func foreign() string {
	var chains, rules strings.Builder
	for i := range 20 {
		fmt.Fprintf(&chains, ":OTHER-%d - [0:0]\n", i)
		fmt.Fprintf(&rules, "-A PREROUTING -d 203.0.113.%d/32 -j OTHER-%d\n", i, i)
		for port := range 9 {
			fmt.Fprintf(&rules, "-A OTHER-%d -p tcp -m tcp --dport %d -j DNAT --to-destination 172.16.0.%d:%d\n", i, 8000+port, i+1, 8000+port)
		}
	}
	return "*nat\n:PREROUTING ACCEPT [0:0]\n:INPUT ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\n" + chains.String() + rules.String() + "COMMIT\n"
}
