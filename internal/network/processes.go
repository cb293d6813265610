package network

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Process is a process that holds a socket.
type Process struct {
	ID   int
	Name string
	Unit string // the service of systemd that it belongs to, "" where there is none
}

// processes finds processes by the sockets that they hold. It walks over all of them once,
// and only when somebody asks.
type processes struct {
	proc    string            // where the kernel lists them: /proc
	holders map[string]string // process by inode; nil before the walk
}

// of returns the process that holds a socket. found is false when no process is seen that
// does, as when the rights are missing.
func (p *processes) of(inode string) (holder Process, found bool) {
	if p.holders == nil {
		p.walk()
	}
	entry, found := p.holders[inode]
	if !found {
		return Process{}, false
	}
	id, _ := strconv.Atoi(entry)
	name, _ := os.ReadFile(filepath.Join(p.proc, entry, "comm"))
	return Process{id, strings.TrimSpace(string(name)), p.unitOf(entry)}, true
}

// walk looks at what every process has open. A socket that a process shares with its
// children counts for the oldest.
func (p *processes) walk() {
	p.holders = map[string]string{}
	entries, _ := os.ReadDir(p.proc)
	for _, entry := range entries {
		if _, err := strconv.Atoi(entry.Name()); err != nil {
			continue
		}
		dir := filepath.Join(p.proc, entry.Name(), "fd")
		open, _ := os.ReadDir(dir) // it may have ended
		for _, fd := range open {
			target, _ := os.Readlink(filepath.Join(dir, fd.Name()))
			inode, isSocket := strings.CutPrefix(strings.TrimSuffix(target, "]"), "socket:[")
			if _, known := p.holders[inode]; isSocket && !known {
				p.holders[inode] = entry.Name()
			}
		}
	}
}

// unitOf returns the service that a process belongs to, from its control group.
func (p *processes) unitOf(id string) string {
	text, err := os.ReadFile(filepath.Join(p.proc, id, "cgroup"))
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		rest, found := strings.CutPrefix(strings.TrimSpace(line), "0::/system.slice/")
		unit, _, _ := strings.Cut(rest, "/")
		if found && strings.HasSuffix(unit, ".service") {
			return unit
		}
	}
	return ""
}
