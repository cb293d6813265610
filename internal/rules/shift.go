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

// shift takes a range off the end of a socket, and returns the socket with the first port.
func (r *ruleReader) shift(socket string) string {
	at := strings.LastIndexByte(socket, '-')
	if at < 0 {
		return socket
	}
	last, asked, _ := strings.Cut(socket[at+1:], "/")
	r.rule.Target.Shift = Shift{Last: r.port(last), Asked: r.port(asked)}
	_, first, _ := strings.Cut(socket[strings.LastIndexByte(socket[:at], ']')+1:at], ":")
	length := int(r.rule.Target.Shift.Last) - int(r.port(first))
	r.bad = r.bad || length < 1 || int(r.rule.Target.Shift.Asked)+length > math.MaxUint16
	return socket[:at]
}

// port reads a port; 0 is none.
func (r *ruleReader) port(text string) uint16 {
	n, err := strconv.ParseUint(text, 10, 16)
	r.bad = r.bad || err != nil || n == 0
	return uint16(n)
}
