package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"natspread/internal/config"
	"natspread/internal/paths"
	"natspread/render"
)

// size measures the program's file.
func (b bench) size() error {
	info, err := os.Stat(b.program)
	if err != nil {
		return err
	}
	b.line("program", megabytes(info.Size()), "8 MB", info.Size() <= 8e6)
	return nil
}

// version measures the shortest run there is, beside the shortest of any program.
func (b bench) version() error {
	ours, other, err := b.inTurns(5*b.rounds, b.natspread("version"), command{args: []string{"/bin/true"}})
	if err != nil {
		return err
	}
	b.line("version", milliseconds(ours.wall)+", /bin/true "+milliseconds(other.wall), "5 ms", ours.wall <= 5*time.Millisecond)
	return nil
}

// render measures the way from a checked config to the text of 10,000 services of
// three backends, and the whole program on the same config.
func (b bench) render() error {
	text := services(10_000)
	cfg, err := config.Parse("bench", []byte(text))
	if err != nil {
		return err
	}
	var walls []sample
	var before, after runtime.MemStats
	for range b.rounds {
		runtime.GC()
		runtime.ReadMemStats(&before)
		begin := time.Now()
		plan := render.New(cfg)
		length := len(plan.IPv4.Text()) + len(plan.IPv6.Text())
		wall := time.Since(begin)
		runtime.ReadMemStats(&after)
		if length < 1e6 {
			return fmt.Errorf("the rules are %d bytes only", length)
		}
		walls = append(walls, sample{wall: wall, peak: int64(after.TotalAlloc - before.TotalAlloc)})
	}
	middle := median(walls)
	b.line("render 10,000 x 3: config to text", milliseconds(middle.wall)+", "+megabytes(middle.peak)+" allocated", "150 ms, MB",
		middle.wall <= 150*time.Millisecond && middle.peak <= 150e6)
	return b.renderProgram(text)
}

// renderProgram measures the verb, parsing included.
func (b bench) renderProgram(text string) error {
	path, err := b.write("10000.toml", text)
	if err != nil {
		return err
	}
	ours, _, err := b.inTurns(b.rounds, b.natspread("render", "-o", b.dir, "--config", path), command{args: []string{"/bin/true"}})
	if err != nil {
		return err
	}
	b.line("render 10,000 x 3: file to files, whole program", milliseconds(ours.wall)+", peak "+megabytes(ours.peak), "150 MB", ours.peak <= 150e6)
	return nil
}

// check measures check of the same config: without rights, as far as it then goes,
// and with the proof, beside one bare load of the same rules.
func (b bench) check() error {
	path := filepath.Join(b.dir, "10000.toml")
	unprivileged := append([]string{"setpriv", "--bounding-set=-all", "--inh-caps=-all"}, b.natspread("check", "-q", "--config", path).args...)
	rules, err := os.ReadFile(filepath.Join(b.dir, "rules.v4"))
	if err != nil {
		return err
	}
	ours, _, err := b.inTurns(b.rounds, command{args: unprivileged}, command{args: []string{"/bin/true"}})
	if err != nil {
		return err
	}
	b.line("check 10,000 x 3, without rights", milliseconds(ours.wall), "1 s", ours.wall <= time.Second)
	for _, variant := range variants() {
		proven, bare, err := b.inTurns(3, b.natspread("check", "-q", "--variant", variant, "--config", path), bareRestore(variant, rules))
		if err != nil {
			return err
		}
		b.line("check 10,000 x 3, proven, "+variant, ratio(proven, bare), "none", true)
	}
	return nil
}

// restoreArticle measures what the unit does at boot, for the article's balancer.
func (b bench) restoreArticle() error {
	return b.restore("restore of the article's balancer", string(config.Example()), 3*b.rounds)
}

// restoreMany measures the same for 1,000 services.
func (b bench) restoreMany() error {
	return b.restore("restore of 1,000 x 3", services(1000), b.rounds)
}

// restore measures restore into an empty table beside a bare iptables-restore of
// the same text.
func (b bench) restore(what, text string, rounds int) error {
	path, err := b.write("restore.toml", text)
	if err != nil {
		return err
	}
	for _, variant := range variants() {
		if _, err := timed(b.natspread("apply", "-q", "--variant", variant, "--config", path)); err != nil {
			return err
		}
		rules, err := os.ReadFile(filepath.Join(b.root(), paths.Current, "rules.v4"))
		if err != nil {
			return err
		}
		ours, bare, err := b.inTurns(rounds, b.natspread("restore", "-q", "--variant", variant), bareRestore(variant, rules))
		if err != nil {
			return err
		}
		b.line(what+", "+variant, ratio(ours, bare), "3 x", ours.wall <= 3*bare.wall)
	}
	return nil
}

// ratio prints a figure beside what it is compared to, and the ratio of the processor's time,
// which says more on a machine that is busy with something else.
func ratio(ours, bare sample) string {
	return fmt.Sprintf("%s, bare %s: %.2f x, CPU %.2f x", milliseconds(ours.wall), milliseconds(bare.wall),
		float64(ours.wall)/float64(bare.wall), float64(ours.cpu)/float64(bare.cpu))
}

// bareRestore is what an administrator would type.
func bareRestore(variant string, rules []byte) command {
	return command{stdin: rules, args: []string{"/usr/sbin/iptables-" + variant + "-restore", "-w", "5"}}
}

// variants returns the variants of iptables that are installed.
func variants() []string {
	var found []string
	for _, variant := range []string{"nft", "legacy"} {
		if _, err := exec.LookPath("/usr/sbin/iptables-" + variant + "-restore"); err == nil {
			found = append(found, variant)
		}
	}
	return found
}
