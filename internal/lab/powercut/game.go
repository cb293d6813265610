package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// game is what stays the same over all cuts.
type game struct {
	program string // natspread
	disk    disk
	configs [2]choice
	out     io.Writer
}

// play cuts the power that often and judges each state. One that may not be is
// told, and the disk made anew.
func (g game) play(cuts int) error {
	var seen tally
	known, moment, err := g.fresh(false)
	for cut := 1; cut <= cuts && err == nil; cut++ {
		before := moment
		var left state
		left, moment, err = g.boot(&known)
		seen.add(left, err)
		switch {
		case errors.Is(err, errCannot):
			return err
		case err == nil:
			fmt.Fprintf(g.out, "PASS %s: cut %d, %s: generation %d\n", g.disk.kind, cut, before, left.number)
		default:
			fmt.Fprintf(g.out, "FAIL %s: cut %d, %s: %v\n", g.disk.kind, cut, before, err)
			known, moment, err = g.fresh(true)
		}
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(g.out, "%s: %v\n", g.disk.kind, seen)
	if cuts >= enough && seen.unwritten == 0 {
		return errors.New("no cut fell into a write: this has proven nothing")
	}
	return nil
}

// enough is how many cuts cannot all miss what they are aimed at.
const enough = 60

// tally counts the states that were judged.
type tally struct{ good, bad, unwritten, newer int }

// add counts one state.
func (t *tally) add(left state, err error) {
	if err != nil {
		t.bad++
		return
	}
	t.good++
	if left.unwritten {
		t.unwritten++
	}
	if left.newer {
		t.newer++
	}
}

// String tells what the states were like.
func (t tally) String() string {
	return fmt.Sprintf("%d states good, %d not; of the good ones %d had a generation on its way, %d a current one that was not yet reported",
		t.good, t.bad, t.unwritten, t.newer)
}

// fresh makes a disk on which one apply has returned, and takes the power away. After
// a failure it syncs before, so that one lost first generation is not all that is seen.
func (g game) fresh(sync bool) (known report, moment string, err error) {
	if err := errors.Join(g.disk.format(), g.disk.on()); err != nil {
		if !sync {
			err = fmt.Errorf("%w: %w", errCannot, err)
		}
		return report{}, "", err
	}
	ctx, kill := context.WithCancel(context.Background())
	defer kill()
	l, ready := g.begin(ctx, report{}, func(l *life) error {
		defer kill() // one is enough
		return l.apply(0)
	})
	err = <-ready
	if sync {
		unix.Sync()
	}
	known, errEnd := l.end(kill)
	return known, "as the first apply returned", errors.Join(err, errEnd, g.disk.off())
}

// boot judges what the last cut left, lets apply run on the disk, and cuts the
// power again; it says at which moment.
func (g game) boot(known *report) (left state, moment string, err error) {
	if err := g.disk.on(); err != nil {
		return state{}, "", err
	}
	ctx, kill := context.WithCancel(context.Background())
	defer kill()
	l, ready := g.begin(ctx, *known, func(l *life) (err error) {
		left, err = l.look()
		return err
	})
	var others sync.WaitGroup
	if err = <-ready; err == nil {
		if rand.IntN(2) == 0 {
			moment = "another program syncing, "
			others.Go(func() { g.disk.noise(ctx) })
		}
		moment += g.await()
	}
	after, errEnd := l.end(kill)
	others.Wait()
	*known = after
	return left, moment, errors.Join(err, errEnd, g.disk.off())
}

// look is the boot after a cut: the disk is judged, restore loads what is current,
// and the next apply works and leaves nothing on its way.
func (l *life) look() (left state, err error) {
	if left, err = l.game.judge(l.known); err != nil {
		return left, err
	}
	loaded, err := l.natspread("restore")
	if err == nil && loaded != left.number {
		err = fmt.Errorf("restore loaded generation %d, not %d", loaded, left.number)
	}
	if err != nil {
		return left, err
	}
	l.known = report{generation: left.number, config: left.config}
	if err := l.applyOther(); err != nil {
		return left, err
	}
	unswept, err := leftOvers(l.game.disk.root)
	if err == nil && len(unswept) > 0 {
		err = fmt.Errorf("apply left %s", strings.Join(unswept, ", "))
	}
	return left, err
}

// await waits until the power is to be cut, and says when that is: at any moment,
// or aimed, as most of the time of an apply nothing is on its way to the disk.
func (g game) await() string {
	switch rand.IntN(4) {
	case 0:
		return "as apply returned"
	case 1:
		return pause(300*time.Millisecond) + " of applying"
	case 2:
		until(func() bool { left, err := leftOvers(g.disk.root); return err != nil || len(left) > 0 })
		return pause(4*time.Millisecond) + " of a write"
	}
	before := g.current()
	until(func() bool { return g.current() != before })
	return pause(4*time.Millisecond) + " of a new current"
}

// until waits for something that each apply does.
func until(happened func() bool) {
	for limit := time.Now().Add(time.Second); !happened() && time.Now().Before(limit); {
		time.Sleep(50 * time.Microsecond)
	}
}

// pause sleeps for a random part of a time and says for how long.
func pause(longest time.Duration) string {
	length := rand.N(longest)
	time.Sleep(length)
	return "after " + length.Round(time.Microsecond).String()
}
