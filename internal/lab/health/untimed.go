package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"natspread/internal/lab/netns"
)

// busy is the exit code of natspread where another one is at work.
const busy = 75

// soon bounds what has no time of its own to keep.
const soon = 30 * time.Second

// fast are the keys of checks for scenes that no clock judges.
const fast = `, interval = "500ms", timeout = "300ms", fall = 2, rise = 1`

// untimed are the scenes that no clock judges.
func untimed() []scene {
	return []scene{
		{name: "all-down", limit: 2 * time.Minute, play: playAllDown},
		{name: "link-down", limit: 2 * time.Minute, play: playLinkDown},
		{name: "signals", limit: 2 * time.Minute, play: playSignals},
		{name: "second", limit: time.Minute, play: playSecond},
		{name: "flushed", limit: 2 * time.Minute, play: playFlushed},
		{name: "race", limit: 5 * time.Minute, play: playRace},
	}
}

// watched opens a service of three backends with fast checks, and watches it.
func (s *stage) watched() error {
	if err := s.openWatched(3, check(fast)); err != nil {
		return err
	}
	return s.askMany(30)
}

// inSync is an error if status finds anything wrong.
func (s *stage) inSync() error {
	_, err := s.natspread("status")
	return err
}

// exitCode is that of a run of natspread; -1 is one that a signal ended, or that did not start.
func exitCode(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	return -1
}

// rules are the nat table as it is loaded.
func (s *stage) rules() (string, error) {
	out, err := netns.Pipe("", s.tool()+"-save", "-t", "nat")
	var lines []string
	for line := range strings.Lines(out) {
		if !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, ":") { // comments tell the time, and chains their counters
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, ""), err
}

// wantRules is an error if other rules are loaded than before.
func (s *stage) wantRules(before string) error {
	now, err := s.rules()
	if err == nil && now != before {
		err = fmt.Errorf("other rules are loaded:\n%s\nbefore:\n%s", now, before)
	}
	return err
}

// awaitRules waits until the same rules are loaded as before.
func (s *stage) awaitRules(before string) error {
	if netns.Await(soon, "", func() bool { return s.wantRules(before) == nil }) == nil {
		return nil
	}
	return s.wantRules(before)
}

// playAllDown lets all backends die, for which all get connections, and come back.
func playAllDown(s *stage) (string, error) {
	if err := s.watched(); err != nil {
		return "", err
	}
	before, err := s.rules()
	for i := range s.site.services[0] {
		err = errors.Join(err, s.refuse(i, true))
	}
	err = errors.Join(err, s.awaitDown(3, soon))
	if err = errors.Join(err, s.awaitRules(before), s.inSync()); err != nil {
		return "", err
	}
	err = s.refuse(0, false)
	err = errors.Join(err, s.awaitDeath(2, soon))
	if err = errors.Join(err, s.askMany(100), s.inSync()); err != nil {
		return "", err
	}
	for i := 1; i < 3; i++ {
		err = errors.Join(err, s.refuse(i, false))
	}
	return "none up: all get connections; one up: 100 of 100 good; all back",
		errors.Join(err, s.awaitDown(0, soon), s.awaitRules(before), s.askMany(100), s.inSync())
}

// playLinkDown takes the balancer's own link to the backends down.
func playLinkDown(s *stage) (string, error) {
	if err := s.watched(); err != nil {
		return "", err
	}
	before, err := s.rules()
	err = errors.Join(err, netns.IP("", "link set back down\n"), s.awaitDown(3, soon), s.awaitRules(before))
	up := "link set back up\n"
	if s.family == 6 { // the kernel takes IPv6 addresses from a link that goes down
		up += s.address(s.inner, "back") + fmt.Sprintf("route replace %s via %v\n", s.network, s.beyond)
	}
	return "the rules stay those of the generation", errors.Join(err, netns.IP("", up), s.awaitDown(0, soon), s.awaitRules(before), s.askMany(100), s.inSync())
}

// playSignals stops the watcher and kills it, with a backend out: the kernel goes on.
func playSignals(s *stage) (string, error) {
	if err := s.watched(); err != nil {
		return "", err
	}
	before, err := s.rules()
	err = errors.Join(err, s.refuse(0, true), s.awaitDeath(1, soon))
	if err != nil {
		return "", err
	}
	for _, signal := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGKILL} {
		if err := errors.Join(s.watcher.cmd.Process.Signal(signal), s.askMany(200)); err != nil {
			return "", fmt.Errorf("after %v: %w", signal, err)
		}
	}
	_ = s.watcher.cmd.Wait() // it was killed
	if err := s.watch(); err != nil {
		return "", err
	}
	err = errors.Join(s.askMany(200), s.inSync(), s.refuse(0, false))
	return "stopped, killed, and started again: 200 of 200 good each", errors.Join(err, s.awaitRules(before), s.askMany(200), s.inSync())
}

// playSecond starts another watcher.
func playSecond(s *stage) (string, error) {
	if err := s.watched(); err != nil {
		return "", err
	}
	_, err := s.natspread("health")
	if exitCode(err) != busy {
		return "", fmt.Errorf("a second watcher: %w", err)
	}
	return "a second watcher ends with 75", s.askMany(30)
}

// playFlushed flushes the table: nothing is put back by a death and a return.
func playFlushed(s *stage) (string, error) {
	if err := s.watched(); err != nil {
		return "", err
	}
	if err := errors.Join(s.iptables("", "-t nat -F"), s.iptables("", "-t nat -X")); err != nil {
		return "", err
	}
	before, err := s.rules()
	for _, down := range []int{1, 0} {
		err = errors.Join(err, s.refuse(0, down == 1), s.awaitDown(down, soon), s.wantRules(before))
	}
	if err != nil {
		return "", err
	}
	_, err = s.natspread("restore")
	return "nothing is put back that others flushed; restore does", errors.Join(err, s.askMany(100), s.inSync())
}

// playRace runs random verbs while a backend dies and comes back all the time.
func playRace(s *stage) (string, error) {
	if err := s.watched(); err != nil {
		return "", err
	}
	stop := make(chan struct{})
	var wait sync.WaitGroup
	wait.Go(func() { s.flap(stop) })
	ran, err := s.runVerbs()
	close(stop)
	wait.Wait()
	if err != nil {
		return "", err
	}
	_, _ = s.natspread("confirm") // where none waits it fails
	// The backend is back, and the watcher may not have seen that yet: it is not to die before.
	err = errors.Join(s.apply(), s.awaitBack(soon), s.refuse(0, true), s.awaitDeath(1, soon), s.inSync(), s.askMany(100))
	err = errors.Join(err, s.refuse(0, false), s.awaitBack(soon), s.inSync(), s.askMany(100))
	return fmt.Sprint(ran, ": in sync after each death and return"), err
}

// runVerbs runs random verbs, and counts them. A verb may fail (1), find nothing loaded (3), or
// find another one at work; any other end is an error.
func (s *stage) runVerbs() (map[string]int, error) {
	ran := map[string]int{}
	for range s.verbs {
		verb := s.randomVerb()
		if _, err := s.natspread(verb...); !slices.Contains([]int{0, 1, 3, busy}, exitCode(err)) {
			return nil, err
		}
		ran[verb[0]]++
	}
	return ran, nil
}

// flap lets the first backend die and come back until it is told to stop.
func (s *stage) flap(stop chan struct{}) {
	for dead := true; ; dead = !dead {
		_ = s.refuse(0, dead) // the end of the scene tells
		select {
		case <-stop:
			if dead {
				_ = s.refuse(0, false)
			}
			return
		case <-time.After(rand.N(time.Second)):
		}
	}
}

// randomVerb is a run of natspread that changes something, or looks.
func (s *stage) randomVerb() []string {
	backend := few(s.family, rand.N(3)).String()
	all := [][]string{
		{"apply"}, {"restore"}, {"rollback"}, {"status"}, {"diff"}, {"drain", "web0", backend}, {"undrain", "web0", backend},
		{"apply", "--confirm", "60s"}, {"confirm"}, {"stop"},
	}
	return all[rand.N(len(all))]
}
