package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"natspread/internal/rules"
	"natspread/internal/test/killtest"
	"natspread/restore/generation"
)

// clean is a story that nobody was killed in.
type clean struct {
	calls          []killtest.Call
	old, new       kernel
	oldConfig      [2]string // the texts of the files
	newConfig      [2]string
	mode           string                // of the files, and whose they are
	oldGen, newGen generation.Generation // that boot loads
}

// uncounted returns the same without counters.
func (c clean) uncounted() *clean {
	c.old, c.new = c.old.uncounted(), c.new.uncounted()
	return &c
}

// playClean plays the story to its end, and keeps what it was before and is after.
func (p point) playClean(h host) (err error) {
	c := p.clean
	defer func() { err = errors.Join(err, h.endTimers()) }()
	if _, err := h.set(p.story); err != nil {
		return err
	}
	if c.old, c.oldConfig, c.oldGen, err = h.all(); err != nil {
		return err
	}
	if _, c.mode, err = h.config(); err != nil {
		return err
	}
	run, err := h.trace(p)
	if err == nil && run.Code != done {
		err = fmt.Errorf("natspread %s ends with %d", p.story.verb, run.Code)
	}
	if err != nil {
		return err
	}
	c.calls = run.Calls
	c.new, c.newConfig, c.newGen, err = h.all()
	return err
}

// all returns what there is on a machine.
func (h host) all() (k kernel, config [2]string, boots generation.Generation, err error) {
	if k, err = h.read(); err != nil {
		return k, config, boots, err
	}
	if config, _, err = h.config(); err != nil {
		return k, config, boots, err
	}
	boots, err = h.store().Current()
	if errors.Is(err, generation.ErrNone) {
		boots, err = generation.None(), nil
	}
	return k, config, boots, err
}

// trace runs the verb of a point, and kills.
func (h host) trace(p point) (killtest.Run, error) {
	cmd, file, err := h.command(strings.Fields(p.story.verb)...)
	if err != nil {
		return killtest.Run{}, err
	}
	defer file.Close()
	own := slices.Clone(cmd.Args)
	return killtest.Trace(cmd, p.at, func(args []string) bool {
		// What reverts a trial goes on by itself; natspread itself is not the one.
		return slices.Contains(args, "--overdue") && !slices.Equal(args, own)
	})
}

// play plays a point and judges it.
func (p point) play(h host) (run killtest.Run, err error) {
	defer func() { err = errors.Join(err, h.endTimers()) }()
	found, err := h.set(p.story)
	if err != nil {
		return run, fmt.Errorf("before it: %w", err)
	}
	if run, err = h.trace(p); err != nil {
		return run, err
	}
	if run.Killed && run.At().Name == killtest.AddCounters {
		// The rules are there, and their counters lost: iptables-legacy takes two steps.
		h.uncounted, found, p.clean = true, found.uncounted(), p.clean.uncounted()
	}
	for _, step := range []func() error{
		func() error { return p.judge(h, run) },
		func() error { return p.boots(h) },
		func() error { return p.story.again(h, p) },
		func() error { return p.ended(h) },
		func() error { return stopped(h, found) },
		h.swept,
	} {
		if err := step(); err != nil {
			return run, err
		}
	}
	return run, nil
}

// judge judges what a kill left.
func (p point) judge(h host, run killtest.Run) error {
	var wrong []error
	if len(run.After) > 0 {
		wrong = append(wrong, fmt.Errorf("what the dead natspread had begun went on: %v", run.After))
	}
	now, texts, boots, err := h.all()
	if err != nil {
		return errors.Join(append(wrong, err)...)
	}
	_, mode, err := h.config()
	wrong = append(wrong, err, p.judgeKernel(now), p.judgeGeneration(boots), p.judgeStatus(h, now), p.judgeTimer(h, run), p.judgeConfig(texts, mode))
	return errors.Join(wrong...)
}

// judgeConfig is an error unless each file of the config is the old one or the new one, as one is written
// after the other, and both have the mode and the owner that they had.
func (p point) judgeConfig(texts [2]string, mode string) error {
	var wrong []error
	for i, text := range texts {
		if text != p.clean.oldConfig[i] && text != p.clean.newConfig[i] {
			wrong = append(wrong, fmt.Errorf("the text of %s is neither the old one nor the new one:\n%s", configs()[i], text))
		}
	}
	if mode != p.clean.mode {
		wrong = append(wrong, fmt.Errorf("the config is %s, and was %s", mode, p.clean.mode))
	}
	return errors.Join(wrong...)
}

// judgeKernel is an error unless each table is the old one or the new one, the rules of
// others included, and nothing is forwarded that was not before until all tables are new.
func (p point) judgeKernel(now kernel) error {
	var wrong []error
	for i, table := range rules.NoTables().All() {
		if now.tables[i] != p.clean.old.tables[i] && now.tables[i] != p.clean.new.tables[i] {
			wrong = append(wrong, fmt.Errorf("the table %s is neither the old one nor the new one:\n%s", table.String(), now.tables[i]))
		}
	}
	for i, value := range now.forwarding {
		old, new := rune(p.clean.old.forwarding[i]), rune(p.clean.new.forwarding[i])
		switch {
		case value != old && value != new:
			wrong = append(wrong, fmt.Errorf("forwarding is %s, was %s and is to be %s", now.forwarding, p.clean.old.forwarding, p.clean.new.forwarding))
		case value == '1' && old == '0' && now.tables != p.clean.new.tables:
			wrong = append(wrong, fmt.Errorf("it forwards (%s), and its rules are not loaded in whole", now.forwarding))
		}
	}
	return errors.Join(wrong...)
}

// judgeGeneration is an error unless the generation that boot loads is the old one or the
// new one, whole.
func (p point) judgeGeneration(boots generation.Generation) error {
	for _, g := range []generation.Generation{p.clean.oldGen, p.clean.newGen} {
		if boots.Number == g.Number && boots.MadeFrom(g.Config) && boots.Tables.Equal(g.Tables) {
			return nil
		}
	}
	return fmt.Errorf("boot loads generation %d, neither the old %d nor the new %d, or not as it was", boots.Number, p.clean.oldGen.Number, p.clean.newGen.Number)
}

// judgeStatus is an error unless status says what the kernel shows: in sync where all tables
// are of one kind alone, and nothing loaded where none is natspread's.
func (p point) judgeStatus(h host, now kernel) error {
	code, said, err := h.natspread("status")
	if err != nil {
		return err
	}
	whole := now.tables == p.clean.old.tables || now.tables == p.clean.new.tables
	holds := strings.Contains(strings.Join(now.tables[:], ""), "NATSPREAD")
	switch {
	case code == done && whole && holds, code == failed, code == notLoaded && !holds:
		return nil
	}
	return fmt.Errorf("status ends with %d: %s\n%s", code, said, differences(p.clean.old, now))
}

// timerWait is longer than a timer takes to see that nothing waits any more.
const timerWait = 10 * time.Second

// judgeTimer is an error unless somebody waits to revert what waits to be confirmed, and
// nobody else does for long. Where the one who does was killed himself, at his first call or
// in the story of an overdue trial, nobody can.
func (p point) judgeTimer(h host, run killtest.Run) error {
	waits, err := h.isPending()
	himself := p.at.Victim == killtest.Caller && run.At().Name == "execve"
	if err != nil || himself || p.story.name == "overdue" {
		return err
	}
	timers, err := h.timers()
	switch {
	case err != nil:
		return err
	case waits && len(timers) == 0:
		return errors.New("a generation waits to be confirmed, and nobody will revert it")
	case !waits && !within(timerWait, func() bool { timers, err = h.timers(); return err != nil || len(timers) == 0 }):
		return fmt.Errorf("nothing waits to be confirmed, and %d processes wait to revert it", len(timers))
	}
	return err
}

// boots lets the machine boot from a copy of its disk: restore loads the generation that is
// current, in whole, and says that all is well; where none is, it says that.
func (p point) boots(h host) error {
	current, err := h.store().Current()
	none := errors.Is(err, generation.ErrNone)
	if err != nil && !none {
		return err
	}
	return h.others.onHost(func(dir string) error {
		booted := h.others.host(dir, h.variant)
		if out, err := exec.Command("cp", "-a", h.root(), booted.root()).CombinedOutput(); err != nil {
			return fmt.Errorf("cannot copy the disk: %w: %s", err, out)
		}
		if err := rebooted(booted); err != nil {
			return err
		}
		if none {
			return errors.Join(booted.must("restore", failed), p.firstBoot(booted))
		}
		if err := booted.must("restore", done); err != nil {
			return fmt.Errorf("at boot: %w", err)
		}
		return booted.holds(current)
	})
}

// firstBoot is an error unless the kernel has nothing of natspread's, where none was current
// yet, or the new generation: killed between the last two steps of the first apply, that one
// has its number, and nobody can tell that the link to it was never there.
func (p point) firstBoot(h host) error {
	if h.holds(p.clean.newGen) == nil {
		return nil
	}
	return h.holds(generation.None())
}

// holds is an error unless the kernel has just the rules of a generation.
func (h host) holds(g generation.Generation) error {
	now, err := h.read()
	if err != nil {
		return err
	}
	for i, table := range g.Tables.All() {
		saved, err := rules.ParseSaved(table.Name, []byte(now.tables[i]+"COMMIT\n"))
		if err != nil {
			return err
		}
		if own := saved.OwnText(); !bytes.Equal(own, table.Text()) {
			return fmt.Errorf("the table %s is not that of generation %d:\n%s", table.String(), g.Number, own)
		}
	}
	return nil
}

// ended is an error unless all is as the verb was to make it.
func (p point) ended(h host) error {
	if err := h.must("status", p.story.ends); err != nil {
		return err
	}
	now, config, _, err := h.all()
	if err != nil {
		return err
	}
	if now.tables != p.clean.new.tables || now.forwarding != p.clean.new.forwarding {
		return fmt.Errorf("at the end the kernel is not as the verb was to make it:\n%s", differences(p.clean.new, now))
	}
	if config != p.clean.newConfig {
		return fmt.Errorf("at the end the config is not as the verb was to make it:\n%s", config)
	}
	if waits, err := h.isPending(); err != nil || waits {
		return errors.Join(err, errors.New("at the end a generation waits to be confirmed"))
	}
	return nil
}

// stopped is an error unless stop leaves the kernel as it was found.
func stopped(h host, found kernel) error {
	if err := h.must("stop", done); err != nil {
		return err
	}
	now, err := h.read()
	if err == nil && now != found {
		err = fmt.Errorf("stop does not leave what was found:\n%s", differences(found, now))
	}
	return errors.Join(err, h.must("status", notLoaded))
}

// differences returns the tables that two kernels differ in.
func differences(want, got kernel) string {
	var text strings.Builder
	for i, table := range rules.NoTables().All() {
		if want.tables[i] != got.tables[i] {
			fmt.Fprintf(&text, "%s, wanted\n%sand is\n%s", table.String(), want.tables[i], got.tables[i])
		}
	}
	if want.forwarding != got.forwarding {
		fmt.Fprintf(&text, "forwarding wanted %s, and is %s", want.forwarding, got.forwarding)
	}
	return text.String()
}

// swept is an error where something has a temporary name below the root. The verb that was
// killed was run once more, and stop was run: both sweep where they write, also when there is
// nothing else to do.
func (h host) swept() error {
	return filepath.WalkDir(h.root(), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(entry.Name(), ".") {
			err = fmt.Errorf("left behind: %s", path)
		}
		return err
	})
}
