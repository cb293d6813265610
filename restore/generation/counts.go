package generation

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"natspread/internal/atomicfile"
	"natspread/internal/paths"
	"natspread/internal/rules"
)

// countsFile keeps, below the root, what rules counted that are there no more: a chain that
// is loaded anew counts from 0. With this file the packets of a backend never fall at a load of
// natspread's. iptables-restore -c cannot do that: a backend that is out has no rule to give
// its count to, and ip6tables-nft-restore of iptables 1.8.9 takes no counters of rules.
//
// It is a log, so that a load adds a few lines only: a first line that names the network
// namespace, and a block for each load, from begin to end. A block without its end, as a kill
// leaves, counts for nothing.
const countsFile = paths.Run + "/counts"

// The lines of a block, beside those of counts.
const (
	countsHead = "# natspread counts of "
	countsOpen = "begin"
	countsDone = "end"
	countsKept = "kept" // ends a block of a load that failed: the rules are still there
)

// When the log is written anew.
const (
	smallCounts = 1 << 20 // bytes; a smaller log is left alone
	mostCounts  = 4       // a larger one is left alone up to so many times the size of its sums
)

// BeginCounts notes what rules counted, before a load takes them out.
func (s Store) BeginCounts(counts []rules.Count) error {
	if s.Namespace == "" {
		return ErrNoNamespace
	}
	block := []byte(countsOpen + "\n")
	if head := countsHead + s.Namespace + "\n"; !s.countsBegin(head) {
		if err := s.ForgetCounts(); err != nil { // of another namespace, or boot
			return err
		}
		block = append([]byte(head), block...)
	}
	for _, count := range counts {
		block = appendCount(block, count)
	}
	return s.appendCounts(block)
}

// countsBegin tells whether the log begins with a line.
func (s Store) countsBegin(line string) bool {
	file, err := os.Open(s.Path(countsFile))
	if err != nil {
		return false
	}
	defer file.Close()
	begin := make([]byte, len(line))
	_, err = io.ReadFull(file, begin)
	return err == nil && string(begin) == line
}

// EndCounts notes that the load is over, and whether the rules are gone.
func (s Store) EndCounts(gone bool) error {
	line := countsKept
	if gone {
		line = countsDone
	}
	if err := s.appendCounts([]byte(line + "\n")); err != nil || s.CountsSize() < smallCounts {
		return err
	}
	return s.compactCounts()
}

// ForgetCounts removes the log: all counts begin at 0 again.
func (s Store) ForgetCounts() error { return ignoreMissing(os.Remove(s.Path(countsFile))) }

// Counts returns what rules counted that are there no more: one sum for each target of a
// service. begun tells that a load is under way, which may have taken rules out already.
func (s Store) Counts() (counts []rules.Count, begun bool) {
	text, err := s.countsText()
	if err != nil {
		return nil, false
	}
	sums := map[rules.Count]uint64{}
	var block []rules.Count
	for line := range strings.Lines(string(text)) {
		switch line = strings.TrimSpace(line); line {
		case countsOpen:
			block, begun = nil, true
		case countsKept:
			block, begun = nil, false
		case countsDone:
			for _, count := range block {
				key := count
				key.Packets = 0
				sums[key] += count.Packets
			}
			block, begun = nil, false
		default:
			if count, ok := readCount(line); ok {
				block = append(block, count)
			}
		}
	}
	for key, sum := range sums {
		key.Packets = sum
		counts = append(counts, key)
	}
	slices.SortFunc(counts, func(a, b rules.Count) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), bytes.Compare(appendCount(nil, a), appendCount(nil, b)))
	})
	return counts, begun
}

// CountsSize returns the size of the log. Every load changes it that takes out rules which have
// counted something.
func (s Store) CountsSize() int64 {
	info, err := os.Stat(s.Path(countsFile))
	if err != nil {
		return 0
	}
	return info.Size()
}

// countsText returns the log without its first line, if that is of this network namespace.
func (s Store) countsText() ([]byte, error) {
	text, err := readTrusted(s.Root, countsFile)
	if err != nil {
		return nil, err
	}
	text, ours := bytes.CutPrefix(text, []byte(countsHead+s.Namespace+"\n"))
	if !ours || s.Namespace == "" {
		return nil, fs.ErrNotExist
	}
	return text, nil
}

// appendCounts appends lines to the log, or nothing: what a full disk took of them is cut off.
func (s Store) appendCounts(lines []byte) error {
	file, err := os.OpenFile(s.Path(countsFile), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("cannot keep what was counted: %w", err)
	}
	defer file.Close()
	before, err := file.Stat()
	if err == nil {
		if _, err = file.Write(lines); err != nil {
			err = errors.Join(err, file.Truncate(before.Size()))
		}
	}
	if err != nil {
		return fmt.Errorf("cannot keep what was counted: %w", atomicfile.Cause(err))
	}
	return nil
}

// compactCounts writes the log anew with the sums alone, if that makes it much smaller.
func (s Store) compactCounts() error {
	counts, begun := s.Counts()
	text := []byte(countsHead + s.Namespace + "\n" + countsOpen + "\n")
	for _, count := range counts {
		text = appendCount(text, count)
	}
	text = append(text, countsDone+"\n"...)
	if begun || int64(len(text))*mostCounts > s.CountsSize() {
		return nil
	}
	return s.WriteRun(countsFile, text)
}

// appendCount appends the line of a count.
func appendCount(b []byte, c rules.Count) []byte {
	protocol := c.Protocol
	if protocol == "" {
		protocol = "any"
	}
	return fmt.Appendf(b, "%v %s %s %v %d %d\n", c.Family, c.Service, protocol, c.Target.Address, c.Target.Port, c.Packets)
}

// readCount reads the line of a count.
func readCount(line string) (c rules.Count, ok bool) {
	words := strings.Fields(line)
	if len(words) != 6 {
		return rules.Count{}, false
	}
	address, err := netip.ParseAddr(words[3])
	port, errPort := strconv.ParseUint(words[4], 10, 16)
	packets, errPackets := strconv.ParseUint(words[5], 10, 64)
	if err != nil || errPort != nil || errPackets != nil || words[0] != rules.FamilyOf(address).String() {
		return rules.Count{}, false
	}
	c = rules.Count{Family: rules.FamilyOf(address), Service: words[1], Packets: packets,
		Target: rules.Target{Kind: rules.DNAT, Address: address, Port: uint16(port)}}
	if words[2] != "any" {
		c.Protocol = words[2]
	}
	return c, true
}
