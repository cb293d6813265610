package main

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"natspread/internal/lab/netns"
)

// soon bounds what an engine does by itself.
const soon = 20 * time.Second

// hidden are the machine's directories that a host has its own in place of. /run is last,
// since that is where these are.
const hidden = "/etc/keepalived /etc/bird /etc/frr /etc/conntrackd /var/log /run"

// hostDir is what a host has in their place.
func hostDir(host string) string { return filepath.Join("/run/hosts", host) }

// engine is a program that runs on a host.
type engine struct {
	host, name string
	cmd        *exec.Cmd
	ended      chan struct{}
	mu         sync.Mutex
	said       strings.Builder
}

// Write keeps what it says.
func (e *engine) Write(text []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.said.Write(text)
}

// put writes a host's own file.
func put(host, path, text string) error {
	for _, dir := range strings.Fields(hidden + " /run/frr /run/lock") {
		if err := os.MkdirAll(hostDir(host)+dir, 0o755); err != nil {
			return err
		}
	}
	mode := os.FileMode(0o644)
	if strings.HasPrefix(text, "#!") {
		mode = 0o755
	}
	return os.WriteFile(hostDir(host)+path, []byte(text), mode)
}

// enter is a command line that sees a host's own files.
func enter(host string, line ...string) *exec.Cmd {
	return netns.Bound(hostDir(host), hidden, line...)
}

// start starts an engine in the foreground.
func (s *stage) start(host string, line ...string) error {
	e := &engine{host: host, name: line[0], cmd: enter(host, line...), ended: make(chan struct{})}
	e.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	e.cmd.Stdout, e.cmd.Stderr = e, e
	if err := netns.Within(host, e.cmd.Start); err != nil {
		return err
	}
	s.engines = append(s.engines, e)
	go func() { defer close(e.ended); _ = e.cmd.Wait() }() // a signal ends it
	return nil
}

// end sends a signal to an engine of a host, and all that it started, and waits for its end.
func (s *stage) end(host, name string, signal syscall.Signal) error {
	for _, e := range s.engines {
		if e.host != host || e.name != name {
			continue
		}
		to := e.cmd.Process.Pid
		if signal == syscall.SIGKILL {
			to = -to
		}
		if err := syscall.Kill(to, signal); err != nil {
			return err
		}
		select {
		case <-e.ended:
			return nil
		case <-time.After(soon):
			return fmt.Errorf("%s on %s did not end", name, host)
		}
	}
	return fmt.Errorf("no %s on %s", name, host)
}

// heard is what all engines said.
func (s *stage) heard() string {
	var b strings.Builder
	for _, e := range s.engines {
		e.mu.Lock()
		fmt.Fprintf(&b, "-- %s on %s\n%s", e.name, e.host, e.said.String())
		e.mu.Unlock()
	}
	return b.String()
}

// keepalived starts it with a text.
func (s *stage) keepalived(host, text string) error {
	if s.row.slow {
		text = strings.ReplaceAll(text, "advert_int 0.1", "advert_int 1")
	}
	if s.row.flush {
		text = strings.Replace(text, "group {", "notify_backup \"/usr/sbin/conntrack -F\"\n    group {", 1)
		text = strings.Replace(text, "vrrp_version 3", "vrrp_version 3\n    enable_script_security\n    script_user root", 1)
	}
	if s.row.stays {
		text = strings.ReplaceAll(text, "state BACKUP", "state BACKUP\n    nopreempt")
	}
	if err := put(host, "/etc/keepalived/keepalived.conf", text); err != nil {
		return err
	}
	return s.start(host, "keepalived", "--dont-fork", "--log-console")
}

// bird starts BIRD with a text.
func (s *stage) bird(host, text string) error {
	if err := put(host, "/etc/bird/bird.conf", text); err != nil {
		return err
	}
	return s.start(host, "bird", "-f", "-s", "/run/bird.ctl")
}

// frr starts FRR's daemons with a text, as its own script does.
func (s *stage) frr(host, text string) error {
	for path, text := range map[string]string{"/etc/frr/frr.conf": text, "/etc/frr/vtysh.conf": "service integrated-vtysh-config\n"} {
		if err := put(host, path, text); err != nil {
			return err
		}
	}
	of, err := user.Lookup("frr")
	if err != nil {
		return err
	}
	uid, _ := strconv.Atoi(of.Uid) // numbers on Linux
	gid, _ := strconv.Atoi(of.Gid)
	for _, dir := range []string{"/run/frr", "/etc/frr", "/var/log"} {
		if err := os.Chown(hostDir(host)+dir, uid, gid); err != nil {
			return err
		}
	}
	for _, daemon := range []string{"zebra", "bgpd", "bfdd"} {
		if err := s.start(host, "/usr/lib/frr/"+daemon, "-A", "127.0.0.1"); err != nil {
			return err
		}
		socket := hostDir(host) + "/run/frr/" + daemon + ".vty"
		err := netns.Await(soon, daemon+" is there", func() bool { _, err := os.Stat(socket); return err == nil })
		if err != nil {
			return err
		}
	}
	return netns.Within(host, func() error {
		if said, err := enter(host, "vtysh", "-b").CombinedOutput(); err != nil {
			return fmt.Errorf("vtysh on %s: %w: %s", host, err, said)
		}
		return nil
	})
}

// conntrackd starts it with a text.
func (s *stage) conntrackd(host, text string) error {
	if s.row.cache {
		text = strings.Replace(text, "DisableExternalCache On", "DisableExternalCache Off", 1)
	}
	if err := put(host, "/etc/conntrackd/conntrackd.conf", text); err != nil {
		return err
	}
	notify := s.texts[notifyText]
	if s.row.cache {
		notify = strings.Replace(notify, "conntrackd -R; conntrackd -B", "conntrackd -c; conntrackd -f; conntrackd -R; conntrackd -B", 1)
	}
	if s.row.late {
		notify = strings.Replace(notify, "conntrackd -c", "sleep 1; conntrackd -c", 1)
	}
	if s.row.timer {
		notify = strings.Replace(notify, "conntrackd -n", "conntrackd -t; conntrackd -n", 1)
	}
	if err := put(host, "/etc/conntrackd/notify.sh", notify); err != nil {
		return err
	}
	return s.start(host, "conntrackd", "-C", "/etc/conntrackd/conntrackd.conf")
}
