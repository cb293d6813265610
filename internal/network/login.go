package network

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Login is an ssh connection.
type Login struct{ Client, Server netip.AddrPort }

// loginVariable is where ssh writes the connection, for what it starts (ssh(1)).
const loginVariable = "SSH_CONNECTION"

// mostParents bounds how many processes are looked at: between a shell and what it starts
// there are a few.
const mostParents = 32

// LoginOf returns the ssh connection that a process was started over. sudo removes the
// variable (env_reset in sudoers(5)), but its parents have it still: those are asked, the
// next one first. What they say is their user's word. It is good enough for a question.
func LoginOf(proc string, id int) (Login, bool) {
	for range mostParents {
		dir := filepath.Join(proc, strconv.Itoa(id))
		environment, _ := os.ReadFile(filepath.Join(dir, "environ")) // of another user, without rights
		for variable := range bytes.SplitSeq(environment, []byte{0}) {
			if value, found := bytes.CutPrefix(variable, []byte(loginVariable+"=")); found {
				return parseLogin(string(value))
			}
		}
		status, err := os.ReadFile(filepath.Join(dir, "stat"))
		if err != nil {
			return Login{}, false
		}
		if id = parentOf(string(status)); id <= 1 {
			return Login{}, false
		}
	}
	return Login{}, false
}

// parentOf reads the parent from a process's stat, where the name, in parentheses, can have
// anything in it (proc(5)). 0 is none.
func parentOf(stat string) int {
	words := strings.Fields(stat[strings.LastIndex(stat, ")")+1:])
	if len(words) < 2 {
		return 0
	}
	id, _ := strconv.Atoi(words[1])
	return id
}

// parseLogin reads what ssh writes: the client's address and port, and the server's.
func parseLogin(value string) (Login, bool) {
	words := strings.Fields(value)
	if len(words) != 4 {
		return Login{}, false
	}
	var ends [2]netip.AddrPort
	for i := range ends {
		addr, err := netip.ParseAddr(words[2*i])
		port, err2 := strconv.ParseUint(words[2*i+1], 10, 16)
		if err != nil || err2 != nil {
			return Login{}, false
		}
		ends[i] = netip.AddrPortFrom(addr.Unmap().WithZone(""), uint16(port))
	}
	return Login{ends[0], ends[1]}, true
}
