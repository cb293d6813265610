package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"natspread/internal/health"
	"natspread/internal/lab/netns"
	"natspread/internal/paths"
)

// siteRoot is where natspread keeps its files in a scene: in memory, since /run is its own.
const siteRoot = "/run/site"

// firstListen is the port of the first service.
const firstListen = 10000

// interval is that of a check that names none.
const interval = 2 * time.Second

// site is what is balanced.
type site struct {
	virtual  netip.Addr
	services [][]netip.Addr // the backends of each
	check    string
}

// listens are the addresses of its services.
func (s site) listens() []string {
	var all []string
	for i := range s.services {
		all = append(all, netip.AddrPortFrom(s.virtual, uint16(firstListen+i)).String())
	}
	return all
}

// text is its config.
func (s site) text() string {
	var b strings.Builder
	for i, listen := range s.listens() {
		fmt.Fprintf(&b, "[[service]]\nname = \"web%d\"\nlisten = %q\nbackends = [\n", i, listen)
		for _, backend := range s.services[i] {
			fmt.Fprintf(&b, "  %q,\n", netip.AddrPortFrom(backend, port))
		}
		fmt.Fprintf(&b, "]\n%s\n", s.check)
	}
	return b.String()
}

// check is of HTTP, with further keys.
func check(keys string) string { return "check = { type = \"http\"" + keys + " }" }

// open gives the few backends of a service their addresses, and applies a config of it.
func (s *stage) open(backends int, check string) error {
	s.site = site{virtual: s.virtual, check: check, services: make([][]netip.Addr, 1)}
	var batch strings.Builder
	for i := range backends {
		s.site.services[0] = append(s.site.services[0], few(s.family, i))
		batch.WriteString(s.address(few(s.family, i), "eth0"))
	}
	if err := netns.IP(backendsName, batch.String()); err != nil {
		return err
	}
	return s.apply()
}

// openMany applies a config of so many services of three of the many backends.
func (s *stage) openMany(services int, check string) error {
	s.site = site{virtual: s.virtual, check: check}
	for i := range services {
		s.site.services = append(s.site.services, []netip.Addr{many(s.family, 3*i), many(s.family, 3*i+1), many(s.family, 3*i+2)})
	}
	return s.apply()
}

// apply writes the config and applies it.
func (s *stage) apply() error {
	file := filepath.Join(siteRoot, paths.Config)
	err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(s.site.text()), 0o644))
	if err != nil {
		return err
	}
	_, err = s.natspread("apply")
	return err
}

// natspread runs a verb, and returns what it printed.
func (s *stage) natspread(args ...string) (string, error) {
	cmd := exec.Command(s.program, s.args(args...)...)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("natspread %s: %w: %s%s", strings.Join(args, " "), err, out, said.String())
	}
	return string(out), nil
}

// args are those of a run of natspread.
func (s *stage) args(args ...string) []string {
	return append([]string{"--root", siteRoot, "--live", "--variant", s.variant}, args...)
}

// watcher is a natspread health that runs.
type watcher struct {
	cmd   *exec.Cmd
	mu    sync.Mutex
	said  strings.Builder
	loads []load
}

// load is a change of rules that the watcher told of.
type load struct {
	at  time.Time
	out int // how many backends are out then
}

// loadLine is what it says of a load.
var loadLine = regexp.MustCompile(`rules changed: (\d+) backends? out|rules changed: `)

// Write implements io.Writer: log packages and fmt write a line at a time.
func (w *watcher) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if said := loadLine.FindSubmatch(line); said != nil {
		out, _ := strconv.Atoi(string(said[1])) // none without a number
		w.loads = append(w.loads, load{time.Now(), out})
	}
	return w.said.Write(line)
}

// loaded are the watcher's changes of rules so far.
func (s *stage) loaded() []load {
	s.watcher.mu.Lock()
	defer s.watcher.mu.Unlock()
	return slices.Clone(s.watcher.loads)
}

// watch starts a watcher, and waits until it has written its record.
func (s *stage) watch() error {
	before, _ := s.record() // none is one of no beat
	w := &watcher{cmd: exec.Command(s.program, s.args("health")...)}
	w.cmd.Stdout, w.cmd.Stderr = w, w
	if err := w.cmd.Start(); err != nil {
		return err
	}
	s.watcher = w
	return netns.Await(time.Minute, "the watcher has checked all", func() bool {
		now, err := s.record()
		return err == nil && now.Beat > before.Beat && !slices.ContainsFunc(now.Checks, func(c health.CheckRecord) bool { return c.State == health.New })
	})
}

// openWatched opens a service of so many backends, and watches it.
func (s *stage) openWatched(backends int, check string) error {
	if err := s.open(backends, check); err != nil {
		return err
	}
	return s.watch()
}

// unwatch ends the watcher as systemd does.
func (s *stage) unwatch() error {
	err := s.watcher.cmd.Process.Signal(os.Interrupt)
	return errors.Join(err, s.watcher.cmd.Wait())
}

// heardMost is how many of the watcher's lines are shown.
const heardMost = 60

// heard is what the watcher said last.
func (s *stage) heard() string {
	if s.watcher == nil {
		return "nothing"
	}
	s.watcher.mu.Lock()
	defer s.watcher.mu.Unlock()
	lines := strings.SplitAfter(s.watcher.said.String(), "\n")
	return strings.Join(lines[max(0, len(lines)-heardMost):], "")
}

// record reads what the watcher has written last.
func (s *stage) record() (health.Record, error) {
	var record health.Record
	text, err := os.ReadFile(filepath.Join(siteRoot, paths.Run, "health.json"))
	if err == nil {
		err = json.Unmarshal(text, &record)
	}
	return record, err
}

// down counts the checks that are down; -1 is a record that cannot be read.
func (s *stage) down() int {
	record, err := s.record()
	if err != nil {
		return -1
	}
	n := 0
	for _, check := range record.Checks {
		if check.State == health.Down {
			n++
		}
	}
	return n
}

// awaitDown waits until so many checks are down.
func (s *stage) awaitDown(n int, bound time.Duration) error {
	return netns.Await(bound, fmt.Sprintf("%d checks are down", n), func() bool { return s.down() == n })
}

// awaitOut waits until so many checks are down and the rules were changed for them.
func (s *stage) awaitOut(n int, bound time.Duration) error {
	return errors.Join(s.awaitDown(n, bound), netns.Await(bound, fmt.Sprintf("%d backends are out", n), func() bool {
		out := 0
		for _, load := range s.loaded() {
			out = load.out
		}
		return out == n
	}))
}

// shots makes so many connections in turn to the services.
func (s *stage) shots(n int) ([]shot, error) {
	c, err := s.startClient(200)
	if err != nil {
		return nil, err
	}
	if err := netns.Await(time.Minute, fmt.Sprintf("%d connections", n), func() bool { return len(c.Said()) >= n }); err != nil {
		return nil, err
	}
	return c.finish()
}

// askMany is an error if one of so many connections is not good.
func (s *stage) askMany(n int) error {
	shots, err := s.shots(n)
	if err != nil {
		return err
	}
	if lost := lostAfter(shots, time.Time{}); lost > 0 {
		return fmt.Errorf("%d of %d connections were lost: %v", lost, len(shots), outcomes(shots))
	}
	return nil
}

// awaitDeath waits until so many checks are down and no connection is lost.
func (s *stage) awaitDeath(n int, bound time.Duration) error {
	return errors.Join(s.awaitDown(n, bound), netns.Await(bound, "no connection is lost", func() bool { return s.askMany(50) == nil }))
}

// awaitBack waits until no check is down and the first backend gets connections.
func (s *stage) awaitBack(bound time.Duration) error {
	return errors.Join(s.awaitDown(0, bound), netns.Await(bound, "the first backend gets connections", func() bool {
		shots, err := s.shots(50)
		_, found := firstOf(shots, few(s.family, 0).String(), time.Time{})
		return err == nil && found
	}))
}
