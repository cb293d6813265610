package rules

import (
	"math"
	"strconv"
	"strings"
)

// Shift makes a target lead each port of a range to its own: the first one that is asked for to the
// target's Port, the next one to the next. The kernel takes a port that nobody asks for to some port
// of the range, too, and without Asked it would take all to the first. So a rule has such a target only
// where no other port gets. The zero value is no range.
type Shift struct {
	Last  uint16 // of the range that the target's Port begins
	Asked uint16 // the first port that is asked for
}

// LandsAt returns the port where a packet to a port lands.
func (t Target) LandsAt(port uint16) uint16 {
	switch {
	case t.Shift != Shift{}:
		return t.Port + port - t.Shift.Asked
	case t.Port != 0:
		return t.Port
	}
	return port
}

// appendTo appends a range behind its first port, and the port that is asked for: -9010/8000.
func (s Shift) appendTo(b []byte) []byte {
	if s == (Shift{}) {
		return b
	}
	b = strconv.AppendUint(append(b, '-'), uint64(s.Last), 10)
	return strconv.AppendUint(append(b, '/'), uint64(s.Asked), 10)
}

// shift reads what follows the first port of a range: the last one, and the port that is asked for.
func (r *ruleReader) shift(target *Target, text string) {
	last, asked, _ := strings.Cut(text, "/")
	target.Shift = Shift{Last: r.port(last), Asked: r.port(asked)}
	length := int(target.Shift.Last) - int(target.Port)
	r.bad = r.bad || target.Port == 0 || length < 1 || int(target.Shift.Asked)+length > math.MaxUint16
}

// port reads a port; 0 is none.
func (r *ruleReader) port(text string) uint16 {
	n, err := strconv.ParseUint(text, 10, 16)
	r.bad = r.bad || err != nil || n == 0
	return uint16(n)
}
