package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// patience bounds one run of natspread.
const patience = 30 * time.Second

// life is what runs between two cuts. The kernel forgets with each cut, so a life
// has a network namespace of its own.
type life struct {
	game  game
	ctx   context.Context // ends with the cut
	ended chan struct{}   // closed when nothing runs any more

	lock  sync.Mutex
	known report
	cut   bool  // the power is about to go: what fails from here on is no wonder
	err   error // what failed before
}

// begin starts a life: it looks at what the last cut left, on a thread in a new
// network namespace, and goes on applying one config after the other until the cut,
// if what it saw was good. The thread is never unlocked, so it ends with the life.
func (g game) begin(ctx context.Context, known report, look func(*life) error) (*life, <-chan error) {
	l := &life{game: g, ctx: ctx, known: known, ended: make(chan struct{})}
	ready := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer close(l.ended)
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			err = look(l)
		}
		ready <- err
		for err == nil && ctx.Err() == nil {
			err = l.applyOther()
		}
	}()
	return l, ready
}

// apply runs natspread apply and keeps what it reported. What it says once the power
// is about to go does not count, as nobody would hear it: xfs lets a sync of a
// directory succeed after the shutdown that lost its changes.
func (l *life) apply(config int) error {
	l.lock.Lock()
	l.known.begun = true
	l.lock.Unlock()
	generation, err := l.natspread("apply", "--config", l.game.configs[config].file)
	l.lock.Lock()
	defer l.lock.Unlock()
	switch {
	case l.cut:
		return errCut
	case err == nil && generation <= l.known.generation:
		err = fmt.Errorf("apply made generation %d after %d", generation, l.known.generation)
	case err == nil:
		l.known = report{generation: generation, config: config}
	}
	l.err = err
	return err
}

// errCut ends what runs when the power goes.
var errCut = errors.New("the power is cut")

// applyOther applies the config that was not reported last.
func (l *life) applyOther() error { return l.apply(1 - l.known.config) }

// end takes the power away and returns what had been reported by then.
func (l *life) end(kill func()) (report, error) {
	l.lock.Lock()
	l.cut = true
	l.lock.Unlock()
	err := l.game.disk.cut()
	kill()
	<-l.ended
	if l.err != nil {
		err = errors.Join(err, fmt.Errorf("before the cut: %w", l.err))
	}
	return l.known, err
}

// natspread runs it with the disk for a root, in the namespace of the thread, and
// returns the generation that it speaks of.
func (l *life) natspread(args ...string) (generation int, err error) {
	ctx, cancel := context.WithTimeout(l.ctx, patience)
	defer cancel()
	var stderr strings.Builder
	cmd := exec.CommandContext(ctx, l.game.program, append([]string{"--root", l.game.disk.root, "--live", "--variant", "nft", "--json"}, args...)...)
	cmd.Stderr = &stderr
	cmd.WaitDelay = time.Second
	stdout, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("natspread %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	var said struct {
		Generation int `json:"generation"`
	}
	if err := json.Unmarshal(stdout, &said); err != nil {
		return 0, fmt.Errorf("natspread %s: cannot read %q: %w", args[0], stdout, err)
	}
	return said.Generation, nil
}

// noise is another program, which syncs a file of its own now and then and with it,
// by chance, what natspread has not synced.
func (d disk) noise(ctx context.Context) {
	file, err := os.Create(filepath.Join(d.root, "noise"))
	if err != nil {
		return // the power is gone already
	}
	defer file.Close()
	for err == nil && ctx.Err() == nil {
		pause(8 * time.Millisecond)
		if _, err = file.WriteString("x"); err == nil {
			err = file.Sync()
		}
	}
}
