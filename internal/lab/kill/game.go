package main

import (
	"cmp"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"natspread/internal/lab/netns"
	"natspread/internal/rules"
	"natspread/internal/test/killtest"
	"natspread/internal/test/netnstest"
)

// point is one kill of one story.
type point struct {
	story   story
	variant rules.Variant
	at      killtest.Point
	clean   *clean // the same story without a kill
}

// name names the story and the variant.
func (p point) name() string { return fmt.Sprintf("%s/%s/", p.story.name, p.variant) }

// String names the point as the flag -only takes it.
func (p point) String() string { return fmt.Sprintf("%s%d/%s", p.name(), p.at.Nth, p.at.Victim) }

// game is what stays the same over all points.
type game struct {
	options
	out   io.Writer
	plays *regexp.Regexp // the calls that are played

	mutex  sync.Mutex
	played int
	killed int
	failed int
	begun  int // makes the directories' names
}

// points plays every story once to its end, and returns every point that it can be killed
// at: of a sample, in the order that the seed draws.
func (g *game) points() ([]point, error) {
	var whole []point
	for _, variant := range []rules.Variant{rules.NFT, rules.Legacy} {
		for _, s := range stories() {
			p := point{story: s, variant: variant, clean: &clean{}}
			if name := p.name(); strings.HasPrefix(name, g.only) || strings.HasPrefix(g.only, name) {
				whole = append(whole, p)
			}
		}
	}
	failures := make(chan error, len(whole))
	g.each(len(whole), func(i int) {
		p := whole[i]
		if err := g.onHost(func(dir string) error { return p.playClean(g.host(dir, p.variant)) }); err != nil {
			failures <- fmt.Errorf("%s not killed: %w", p.name(), err)
		}
	})
	close(failures)
	var points []point
	for _, p := range whole {
		points = append(points, p.each()...)
	}
	points = slices.DeleteFunc(points, func(p point) bool {
		call := p.clean.calls[p.at.Nth-1].String()
		return !g.plays.MatchString(call) || !strings.HasPrefix(p.String()+"/", g.only)
	})
	if g.budget > 0 {
		slices.SortFunc(points, func(a, b point) int { return cmp.Compare(g.draw(a), g.draw(b)) })
	}
	return points, <-failures
}

// each does something so many times, by several workers.
func (g *game) each(count int, do func(i int)) {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range g.workers {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < count; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	workers.Wait()
}

// draw returns a number by which points are sorted for a sample. It depends on the seed and
// the name alone, so that the seed draws the same points from a list that is longer by one.
func (g *game) draw(p point) uint64 {
	sum := fnv.New64a()
	fmt.Fprint(sum, g.seed, p)
	return sum.Sum64()
}

// each returns the points of a story that was played to its end: who makes the call is
// killed, and where that is a program that natspread runs, natspread instead of it.
func (p point) each() []point {
	var points []point
	for i, call := range p.clean.calls {
		victims := []killtest.Victim{killtest.Program, killtest.Caller}
		if call.Own {
			victims = victims[:1]
		}
		for _, victim := range victims {
			one := p
			one.at = killtest.Point{Nth: i + 1, Victim: victim}
			points = append(points, one)
		}
	}
	return points
}

// playAll plays points, of a sample until the time is over, and one in any case.
func (g *game) playAll(points []point) {
	until := time.Now().Add(g.budget)
	g.each(len(points), func(i int) {
		if i == 0 || g.budget == 0 || time.Now().Before(until) {
			g.play(points[i])
		}
	})
}

// play plays a point, and prints the line that plays it again where its state is not good.
func (g *game) play(p point) {
	var run killtest.Run
	err := g.onHost(func(dir string) (err error) {
		run, err = p.play(g.host(dir, p.variant))
		return err
	})
	g.mutex.Lock()
	defer g.mutex.Unlock()
	g.played++
	if run.Killed {
		g.killed++
	}
	if err != nil {
		g.failed++
		fmt.Fprintf(g.out, "FAIL %v, at %v: %v\n  again: make kill-test ONLY=%v\n", p, run.At(), err, p)
	}
}

// onHost does something on a thread in a new network namespace, and in a new directory.
func (g *game) onHost(do func(dir string) error) (err error) {
	g.mutex.Lock()
	g.begun++
	dir := filepath.Join(g.dir, fmt.Sprint("host", g.begun))
	g.mutex.Unlock()
	netnstest.OnThread(func() {
		err = errors.Join(os.Mkdir(dir, 0o755), unix.Unshare(unix.CLONE_NEWNET))
		if err == nil {
			err = giveRoutes()
		}
		if err == nil {
			err = do(dir)
		}
	})
	return errors.Join(err, os.RemoveAll(dir))
}

// giveRoutes gives the calling thread's namespace routes to the backends: without one, status
// calls a service broken.
func giveRoutes() error {
	_, err := netns.Pipe("link set lo up\nroute add 10.0.0.0/24 dev lo\nroute add 2001:db8:1::/64 dev lo\n", "ip", "-batch", "-")
	return err
}

// host returns the host that lives in a directory and in the calling thread's namespace.
func (g *game) host(dir string, variant rules.Variant) host {
	return host{program: g.program, dir: dir, variant: variant, others: g}
}

// tell prints what came of it all.
func (g *game) tell(points int) error {
	fmt.Fprintf(g.out, "%d of %d points played, somebody killed at %d of them, seed %d\n", g.played, points, g.killed, g.seed)
	fmt.Fprintf(g.out, "kill-test: %d passed, %d failed\n", g.played-g.failed, g.failed)
	switch {
	case g.failed > 0:
		return fmt.Errorf("%d states are not good", g.failed)
	case g.killed == 0:
		return errors.New("nobody was killed: this has proven nothing")
	}
	return nil
}
