package config

import (
	"fmt"
	"slices"
	"strconv"

	"natspread/internal/config/field"
	"natspread/internal/config/meant"
	"natspread/internal/config/source"
	"natspread/internal/config/value"
)

// The bounds of the longest segment that a service may set. Every path of IPv4 that hosts are built
// for takes packets of 576 bytes, and no packet is longer than 65,535; 40 of them are headers.
const (
	MinSegment = 536
	MaxSegment = 65495
)

// ClampMSS is whether both ends of a TCP connection are made to send shorter segments than they
// would. The zero value is no.
type ClampMSS struct {
	On      bool
	Segment int // bytes of the longest one; 0 is what the balancer's own links and routes take
}

// String writes c as the config does: "false", "true" or "1260".
func (c ClampMSS) String() string {
	if c.On && c.Segment != 0 {
		return strconv.Itoa(c.Segment)
	}
	return strconv.FormatBool(c.On)
}

// setClampMSS reads true, false or a number of bytes.
func setClampMSS(d *draft, f field.Field) {
	n := f.Whole()
	switch isNumber := f.Value.Kind == source.Integer; {
	case f.Value.Kind == source.Bool:
		d.clampMSS = field.Located[ClampMSS]{Val: ClampMSS{On: f.Value.Text == "true"}, At: f.Value.At}
	case isNumber && MinSegment <= n && n <= MaxSegment:
		d.clampMSS = field.Located[ClampMSS]{Val: ClampMSS{true, n}, At: f.Value.At}
	case isNumber:
		f.Refuse(f.Value, value.Fault{Cause: fmt.Sprintf("the longest segment has %d to %d bytes", MinSegment, MaxSegment), Fix: meant.SegmentFix(n, MinSegment, MaxSegment)})
	default:
		f.Refuse(f.Value, value.Fault{Cause: "it is " + string(f.Value.Kind) + ", not true, false or a number of bytes", Fix: meant.ClampFix(f.Value.Text, MinSegment, MaxSegment)})
	}
}

// hasTCP tells whether TCP is among the protocols of the service.
func (d *draft) hasTCP() bool { return slices.Contains(values(d.protocols), TCP) }

// checkClampMSS files clamp_mss where no connection has segments.
func (s inspection) checkClampMSS(d *draft) {
	if d.clampMSS.Val.On && !d.hasTCP() && len(d.protocols) > 0 {
		s.Refuse(d.clampMSS.At, "take clamp_mss out, which is for tcp only", "cannot use clamp_mss %s: the service has no tcp, and nothing else has segments", s.Show(d.clampMSS.At))
	}
}
