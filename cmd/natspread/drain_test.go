package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink/nl"

	"natspread/internal/console"
	"natspread/internal/paths"
	"natspread/internal/program"
	"natspread/internal/test/netnstest"
)

// drain --wait waits for what is open, no longer than it may, and keeps it.
func TestDrainWaits(t *testing.T) {
	t.Parallel()
	for _, variant := range netnstest.VariantsFor(t, t.Name()) {
		t.Run(variant, func(t *testing.T) {
			if isolate(t) {
				drainOpen(t, variant)
			}
		})
	}
}

// Drains at once leave each backend drained that one of them named, in the config
// and in what was applied: none writes over another's.
func TestDrainsAtOnce(t *testing.T) {
	if !isolate(t) {
		return
	}
	root := rootWith(t, strings.Replace(article, `["`, `["10.0.0.4:80", "`, 1))
	natspread := func(args ...string) outcome {
		return inProcess(append([]string{"--root", root, "--live", "--variant", "nft"}, args...)...)
	}
	natspread("apply").want(t, exitDone)
	var drains sync.WaitGroup
	for _, backend := range []string{"10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"} {
		drains.Go(func() {
			asProgram(t, "natspread", "--root", root, "--live", "--variant", "nft", "drain", "web", backend).want(t, exitDone)
		})
	}
	drains.Wait()
	config, err := os.ReadFile(filepath.Join(root, paths.Config))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(config), "drain = true"); n != 3 {
		t.Errorf("%d of 3 are drained:\n%s", n, config)
	}
	natspread("diff").want(t, exitDone)
}

// drainOpen drains a backend with two open connections.
func drainOpen(t *testing.T, variant string) {
	root := rootWith(t, strings.Replace(liveConfig, "weight = 0", "weight = 1", 1))
	network := netnstest.NewNetwork(t, netnstest.Layout{Backends: 2})
	servers := network.Serve(t, "tcp", 4, 80)
	natspread := func(args ...string) outcome {
		return inProcess(append([]string{"--root", root, "--live", "--variant", variant}, args...)...)
	}
	natspread("apply").want(t, exitDone)
	open := map[string][]*netnstest.Conversation{}
	for len(open[servers[0]]) < 2 || len(open[servers[1]]) == 0 {
		c := netnstest.Converse(t, network.Client, "tcp", "192.0.2.10:80")
		answered, err := c.Ask(time.Second)
		if err != nil {
			t.Fatal(err)
		}
		open[answered] = append(open[answered], c)
	}
	first, others := open[servers[0]][0], open[servers[0]][1:]
	for _, c := range others[1:] {
		if err := c.End(); err != nil {
			t.Fatal(err)
		}
	}
	said := natspread("drain", "web", "10.0.0.1:80").want(t, exitDone).err
	if !strings.Contains(said, "\n2 connections are still open: natspread status counts them\n") {
		t.Errorf("without --wait: %s", said)
	}
	said = natspread("drain", "--wait", "1s", "web", "10.0.0.1:80").want(t, exitFailed).err
	if !strings.HasSuffix(said, "natspread: 2 connections are still open after 1s: what was drained stays so, and keeps them; --now ends them\n") {
		t.Errorf("over time: %s", said)
	}
	for _, c := range []*netnstest.Conversation{first, others[0]} {
		if answered, err := c.Ask(time.Second); err != nil || answered != servers[0] {
			t.Errorf("a connection was answered by %q, %v", answered, err)
		}
	}
	if err := others[0].End(); err != nil {
		t.Fatal(err)
	}
	wait := func(stderr *listener) int {
		s := &session{Console: console.Console{In: strings.NewReader(""), Out: io.Discard, Err: stderr}, runner: program.Exec(), connect: noSystemd}
		return run([]string{"--root", root, "--live", "--variant", variant, "drain", "web", "10.0.0.1:80", "--wait", "5m"}, s)
	}
	stderr := &listener{heard: "1 connection is still open\n", then: func() { _ = syscall.Kill(os.Getpid(), syscall.SIGINT) }}
	code := wait(stderr)
	if said := stderr.said.String(); code != exitFailed || !strings.HasSuffix(said, "natspread: interrupted: 1 connection is still open: what was drained stays so, and keeps them\n") {
		t.Errorf("interrupted: %d, %s", code, said)
	}
	stderr = &listener{heard: "1 connection is still open\n", then: func() { _ = first.End() }}
	code = wait(stderr)
	if said := stderr.said.String(); code != exitDone || !strings.HasSuffix(said, "\n"+stderr.heard+"no connection there is open\n") {
		t.Errorf("in time: %d, %s", code, said)
	}
	if answered, err := open[servers[1]][0].Ask(time.Second); err != nil || answered != servers[1] {
		t.Errorf("the other backend's connection was answered by %q, %v", answered, err)
	}
}

// listener keeps what is said, and does something when it first hears some words.
type listener struct {
	heard string
	then  func()
	once  sync.Once
	said  strings.Builder
}

// Write implements io.Writer.
func (l *listener) Write(words []byte) (int, error) {
	l.said.Write(words)
	if strings.Contains(l.said.String(), l.heard) {
		l.once.Do(l.then)
	}
	return len(words), nil
}

// TestDrainTakenOver has connections that other balancers had, of which the backend was the first
// to say something here: status counts them, drain waits for them, and drain --now ends them.
func TestDrainTakenOver(t *testing.T) {
	t.Parallel()
	for _, variant := range netnstest.VariantsFor(t, t.Name()) {
		t.Run(variant, func(t *testing.T) {
			if isolate(t) {
				drainTakenOver(t, variant)
			}
		})
	}
}

// drainTakenOver drains a backend with two such connections.
func drainTakenOver(t *testing.T, variant string) {
	root := rootWith(t, strings.Replace(article, `snat = "192.0.2.10"`, "snat = \"none\"\nalgorithm = \"flow\"\ntakeover = true", 1))
	natspread := func(args ...string) outcome {
		return inProcess(append([]string{"--root", root, "--live", "--variant", variant}, args...)...)
	}
	natspread("apply").want(t, exitDone)
	netnstest.TrackAnswered(t, nl.TCP_CONNTRACK_ESTABLISHED,
		"tcp 10.0.0.1:80 192.0.2.98:1001 192.0.2.98:1001 192.0.2.10:80",
		"tcp 192.0.2.98:1002 192.0.2.10:80 10.0.0.1:80",
		"tcp 10.0.0.1:8080 192.0.2.98:1003 192.0.2.98:1003 192.0.2.77:8080", // its own
		"tcp 10.0.0.2:80 192.0.2.98:1004 192.0.2.98:1004 192.0.2.10:80")
	if said := natspread("status").want(t, exitDone).out; !regexp.MustCompile(`(?m)^  10\.0\.0\.1:80 .* 2$`).MatchString(said) || !strings.Contains(said, ", 3 live\n") {
		t.Errorf("status: %s", said)
	}
	said := natspread("drain", "--wait", "1s", "web", "10.0.0.1:80").want(t, exitFailed).err
	if !strings.HasSuffix(said, "natspread: 2 connections are still open after 1s: what was drained stays so, and keeps them; --now ends them\n") {
		t.Errorf("drain: %s", said)
	}
	if said := natspread("drain", "--now", "web", "10.0.0.1:80").want(t, exitDone).err; !strings.Contains(said, "deleted 2 connection tracking entries") {
		t.Errorf("now: %s", said)
	}
	natspread("drain", "--wait", "5m", "web", "10.0.0.1:80").want(t, exitDone)
	if said := natspread("status").want(t, exitDone).out; !strings.Contains(said, ", 1 live\n") {
		t.Errorf("status afterwards: %s", said)
	}
}
