package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"natspread/internal/lab/netns"
	"natspread/internal/paths"
)

// rate is how many new connections the client makes in a second.
const rate = 100

// scene is one story.
type scene struct {
	name  string
	timed bool // a clock judges it
	alone bool // it keeps the processors busy: no other is played beside it
	bench bool // it measures what health costs
	limit time.Duration
	play  func(s *stage) (said string, err error)
}

// scenes are all of them.
func scenes() []scene {
	dies := func(by death, most float64) func(*stage) (string, error) {
		return func(s *stage) (string, error) { return s.dies(by, most) }
	}
	half := func(by death, most float64) func(*stage) (string, error) {
		return func(s *stage) (string, error) { return s.halfDies(by, most) }
	}
	return append([]scene{
		{name: "refused", timed: true, limit: 3 * time.Minute, play: playRefused},
		{name: "status-500", timed: true, limit: time.Minute, play: dies(status500(), 2)},
		{name: "gone", timed: true, limit: time.Minute, play: dies(gone(), 3.5)},
		{name: "silent", timed: true, limit: 3 * time.Minute, play: playSilent},
		{name: "half-refused", timed: true, alone: true, limit: 2 * time.Minute, play: half(refused(), 2.5)},
		{name: "half-silent", timed: true, alone: true, limit: 2 * time.Minute, play: half(silent(), 3.5)},
		{name: "flapping", timed: true, limit: 2 * time.Minute, play: playFlapping},
		{name: "lock", timed: true, limit: time.Minute, play: playLock},
		{name: "cost", timed: true, alone: true, bench: true, limit: 10 * time.Minute, play: playCost},
	}, untimed()...)
}

// phase waits for up to an interval, so that a death meets the checks anywhere.
func phase() { time.Sleep(rand.N(interval)) }

// kill lets backends die, and tells when.
func (s *stage) kill(by death, backends netip.Prefix) (time.Time, error) {
	at := time.Now()
	return at, by.set(s, backends, true)
}

// playRefused lets five of six backends end one after the other, and all come back.
func playRefused(s *stage) (string, error) {
	const runs, lead = 5, 3 * interval
	if err := s.openWatched(runs+1, check("")); err != nil {
		return "", err
	}
	c, err := s.startClient(rate)
	if err != nil {
		return "", err
	}
	var at [runs]time.Time
	for i := range at {
		phase()
		at[i] = time.Now()
		if err := s.refuse(i, true); err != nil {
			return "", err
		}
		time.Sleep(lead)
	}
	revived := time.Now()
	for i := range at {
		if err := s.refuse(i, false); err != nil {
			return "", err
		}
	}
	time.Sleep(2 * lead)
	shots, err := c.finish()
	if err != nil {
		return "", err
	}
	return judgeRefused(s, shots, at[:], lead, revived)
}

// judgeRefused judges the last connection that reached a dead backend, and when each got
// connections again.
func judgeRefused(s *stage, shots []shot, at []time.Time, lead time.Duration, revived time.Time) (string, error) {
	var lasts, backs []time.Duration
	for i, from := range at {
		lasts = append(lasts, lastLost(shots, from, from.Add(lead)))
		back, found := firstOf(shots, few(s.family, i).String(), revived)
		if !found {
			return "", fmt.Errorf("backend %d never came back: %v", i+1, outcomes(shots))
		}
		backs = append(backs, back)
	}
	var each []string
	for _, last := range lasts {
		each = append(each, intervals(last))
	}
	said := fmt.Sprintf("last misdirected connection after %s intervals, median %s; back after at most %s; %v",
		strings.Join(each, " "), intervals(median(lasts)), intervals(slices.Max(backs)), outcomes(shots))
	if lost := lostAfter(shots, revived); lost > 0 {
		return said, fmt.Errorf("%d connections were lost when backends came back", lost)
	}
	return said, errors.Join(
		atMost("the median of the last misdirected connections", median(lasts), 1.7),
		atMost("the last misdirected connection of all", slices.Max(lasts), 2),
		atMost("the last backend that came back", slices.Max(backs), 3))
}

// dies lets one of three backends die, and come back.
func (s *stage) dies(by death, most float64) (string, error) {
	if err := s.openWatched(3, check("")); err != nil {
		return "", err
	}
	backend := alone(few(s.family, 0))
	shots, at, err := s.diesOnce(by, backend)
	if err != nil {
		return "", err
	}
	last := lastLost(shots, at, time.Now())
	said := fmt.Sprintf("last loss after %s intervals, %d lost of %d: %v", intervals(last), lostAfter(shots, at), len(shots), outcomes(shots))
	if last == 0 {
		return said, errors.New("no connection reached the dead backend: it did not die")
	}
	if err := by.set(s, backend, false); err != nil {
		return said, err
	}
	return said, errors.Join(atMost("the last loss", last, most), s.awaitBack(5*interval), s.askMany(200))
}

// diesOnce lets a backend die under the client, and returns its connections up to some
// intervals later.
func (s *stage) diesOnce(by death, backend netip.Prefix) (shots []shot, at time.Time, err error) {
	c, err := s.startClient(rate)
	if err != nil {
		return nil, at, err
	}
	phase()
	if at, err = s.kill(by, backend); err != nil {
		return nil, at, err
	}
	time.Sleep(4*interval + patience)
	shots, err = c.finish()
	return shots, at, err
}

// playSilent compares what a silent backend costs with what it costs a natspread that deletes
// no unanswered entries, in turns.
func playSilent(s *stage) (string, error) {
	if s.keeping == "" {
		return "", errors.New("it needs -keeping: a natspread to compare with")
	}
	const turns = 4
	if err := s.open(turns, check("")); err != nil {
		return "", err
	}
	programs := []string{s.keeping, s.program}
	var lost [2]int
	var last time.Duration
	for turn := range turns {
		s.program = programs[turn%2]
		if err := s.watch(); err != nil {
			return "", err
		}
		backend := alone(few(s.family, turn)) // each falls once: flap damping lets a second fall last longer
		shots, at, err := s.diesOnce(silent(), backend)
		if err != nil {
			return "", err
		}
		lost[turn%2] += lostAfter(shots, at)
		if turn%2 == 1 {
			last = max(last, lastLost(shots, at, time.Now()))
		}
		err = errors.Join(silent().set(s, backend, false), s.awaitDown(0, 5*interval), s.unwatch())
		if err != nil {
			return "", err
		}
	}
	share := float64(lost[1]) / float64(lost[0])
	said := fmt.Sprintf("%d lost, %d where unanswered entries are kept: %.2f; last loss after %s intervals", lost[1], lost[0], share, intervals(last))
	if lost[0] == 0 || share > 0.7 {
		return said, errors.New("a silent backend costs more than 0.7 of what it costs without the deletion")
	}
	return said, nil
}

// halfDies lets half of 3,000 backends die at once.
func (s *stage) halfDies(by death, most float64) (string, error) {
	const services, loadsMost = 1000, 8
	err := s.openMany(services, check(""))
	if err == nil {
		err = s.watch()
	}
	if err != nil {
		return "", err
	}
	before := len(s.loaded())
	at, err := s.kill(by, doomed(s.family))
	if err == nil {
		err = s.awaitDown(services*3/2, 30*time.Second)
	}
	down := time.Since(at)
	if err == nil {
		err = s.awaitOut(services*3/2, 30*time.Second)
	}
	if err != nil {
		return "", err
	}
	loads := s.loaded()[before:]
	out := loads[len(loads)-1].at.Sub(at)
	said := fmt.Sprintf("%d loads, all down after %s intervals, and out after %s", len(loads), intervals(down), intervals(out))
	if len(loads) > loadsMost {
		return said, fmt.Errorf("%d loads, more than %d", len(loads), loadsMost)
	}
	return said, errors.Join(atMost("all are out", out, most), s.askMany(3*services))
}

// playFlapping lets a backend die and live every three seconds for a minute.
func playFlapping(s *stage) (string, error) {
	const half, times, most = 3 * time.Second, 10, 5
	if err := s.openWatched(3, check("")); err != nil {
		return "", err
	}
	before := len(s.loaded())
	var err error
	for range times {
		for _, dead := range []bool{true, false} {
			err = errors.Join(err, s.refuse(0, dead))
			time.Sleep(half)
		}
	}
	loads := len(s.loaded()) - before
	said := fmt.Sprintf("%d loads for %d deaths", loads, times)
	if err != nil {
		return said, err
	}
	if loads == 0 || loads > most {
		return said, fmt.Errorf("%d loads, not 1 to %d", loads, most)
	}
	return said, nil
}

// playLock holds natspread's lock while a backend dies: checks go on, and the rules change when
// it is free.
func playLock(s *stage) (string, error) {
	if err := s.openWatched(3, check("")); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(siteRoot, paths.Run, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return "", err
	}
	if err := s.refuse(0, true); err != nil {
		return "", err
	}
	if err := netns.Await(5*interval, "a check is down though the lock is held", func() bool { return s.down() == 1 }); err != nil {
		return "", err
	}
	time.Sleep(7 * time.Second)
	before := len(s.loaded())
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_UN); err != nil {
		return "", err
	}
	free := time.Now()
	err = netns.Await(10*time.Second, "the rules change", func() bool { return len(s.loaded()) > before })
	said := fmt.Sprintf("loaded %.1f s after the lock was free", time.Since(free).Seconds())
	return said, errors.Join(err, atMost("the rules change", time.Since(free), 1), s.askMany(200))
}
