package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"natspread/internal/lab/netns"
)

// counters are the numbers that tell what became of the packets.
type counters struct {
	arrived int // at the backends' end of the cable
	entries int // in conntrack
	failed  int // insertions into conntrack, and packets dropped there
}

// meters are open files that the counters are read from. An open file of /proc/net
// goes on showing the namespace that it was opened in.
type meters struct {
	device    string
	backs     *os.File
	conntrack *os.File
}

// newMeters opens them for a balancer.
func newMeters(b balancer) (meters, error) {
	m := meters{device: b.back()}
	open := func(file **os.File, path string) func() error {
		return func() (err error) {
			*file, err = os.Open(path)
			return err
		}
	}
	err := errors.Join(
		netns.Within(backends, open(&m.backs, "/proc/thread-self/net/dev")),
		netns.Within(b.namespace, open(&m.conntrack, "/proc/thread-self/net/stat/nf_conntrack")),
	)
	return m, err
}

// read reads the counters.
func (m meters) read() (counters, error) {
	var c counters
	text, err := reread(m.backs)
	if err != nil {
		return c, err
	}
	c.arrived = -1
	for line := range strings.Lines(text) {
		name, numbers, _ := strings.Cut(strings.TrimSpace(line), ":")
		var bytes int
		if name == m.device {
			if _, err := fmt.Sscan(numbers, &bytes, &c.arrived); err != nil {
				return c, fmt.Errorf("cannot read the packets of %s: %w", name, err)
			}
		}
	}
	if c.arrived < 0 {
		return c, fmt.Errorf("cannot find %s among the devices", m.device)
	}
	text, err = reread(m.conntrack)
	if err != nil {
		return c, err
	}
	return c, c.readConntrack(text)
}

// readConntrack adds up the lines of the processors; the first line names the
// columns, the numbers are hexadecimal, and each line repeats the entries.
func (c *counters) readConntrack(text string) error {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	names := strings.Fields(lines[0])
	for _, line := range lines[1:] {
		for i, field := range strings.Fields(line) {
			var value int
			if _, err := fmt.Sscanf(field, "%x", &value); err != nil {
				return fmt.Errorf("cannot read conntrack's statistics: %w", err)
			}
			switch names[min(i, len(names)-1)] {
			case "entries":
				c.entries = value
			case "insert_failed", "drop", "early_drop":
				c.failed += value
			}
		}
	}
	return nil
}

// reread reads an open file from its beginning.
func reread(file *os.File) (string, error) {
	var all bytes.Buffer
	buffer := make([]byte, 64<<10)
	for {
		n, err := file.ReadAt(buffer, int64(all.Len()))
		all.Write(buffer[:n])
		if n == 0 || err != nil {
			return all.String(), nil
		}
	}
}

// ctDelete is ctnetlink's message that, without naming an entry, deletes all of
// them (IPCTNL_MSG_CT_DELETE of linux/netfilter/nfnetlink_conntrack.h).
const ctDelete = unix.NFNL_SUBSYS_CTNETLINK<<8 | 2

// openNetlink opens a socket to netfilter in a balancer's namespace.
func openNetlink(namespace string) (fd int, err error) {
	err = netns.Within(namespace, func() (err error) {
		fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
		return os.NewSyscallError("socket", err)
	})
	return fd, err
}

// flush empties conntrack in the namespace of the socket and waits for the
// kernel's answer.
func flush(netlink int) error {
	message := make([]byte, unix.NLMSG_HDRLEN+4) // and the four bytes of nfgenmsg
	binary.NativeEndian.PutUint32(message[0:], uint32(len(message)))
	binary.NativeEndian.PutUint16(message[4:], ctDelete)
	binary.NativeEndian.PutUint16(message[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	message[unix.NLMSG_HDRLEN] = unix.AF_INET
	if err := unix.Sendto(netlink, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("cannot empty conntrack: %w", err)
	}
	answer := make([]byte, 4096)
	n, _, err := unix.Recvfrom(netlink, answer, 0)
	if err == nil && n >= unix.NLMSG_HDRLEN+4 {
		if code := int32(binary.NativeEndian.Uint32(answer[unix.NLMSG_HDRLEN:])); code != 0 {
			err = unix.Errno(-code)
		}
	}
	if err != nil {
		return fmt.Errorf("cannot empty conntrack: %w", err)
	}
	return nil
}
