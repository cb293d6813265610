package field

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"natspread/internal/config/source"
	"natspread/internal/config/value"
	"natspread/internal/text"
)

// SetNumber reads a whole number within bounds. The fix for a wrong one is the nearest bound, but
// not for a port: the nearest port belongs to another program.
func SetNumber(place *Located[int], f Field, least, most int) {
	if !f.Has(f.Value, source.Integer) {
		return
	}
	n := f.Whole()
	if least <= n && n <= most {
		*place = Located[int]{n, f.Value.At}
		return
	}
	why := value.Fault{Cause: fmt.Sprintf("%s is %d to %d", f.Name, least, most), Fix: fmt.Sprintf("write %s = %d", f.Name, min(max(n, least), most))}
	switch most {
	case math.MaxInt:
		why.Cause = fmt.Sprintf("%s is at least %d", f.Name, least)
	case math.MaxUint16:
		why.Fix = "take port out, which is the backend's own then, or write its number"
	}
	f.Refuse(f.Value, why)
}

// units are what people write for the units of a duration.
var units = map[string]time.Duration{
	"": time.Second, "s": time.Second, "sec": time.Second, "secs": time.Second, "second": time.Second, "seconds": time.Second,
	"ms": time.Millisecond, "msec": time.Millisecond, "millis": time.Millisecond, "millisecond": time.Millisecond, "milliseconds": time.Millisecond,
	"m": time.Minute, "min": time.Minute, "mins": time.Minute, "minute": time.Minute, "minutes": time.Minute,
	"h": time.Hour, "hr": time.Hour, "hour": time.Hour, "hours": time.Hour,
	"d": 24 * time.Hour, "day": 24 * time.Hour, "days": 24 * time.Hour,
}

// durationForm is a number with what may be meant for its unit.
var durationForm = regexp.MustCompile(`\A([0-9]+(?:\.[0-9]+)?) *([A-Za-z]*)\z`)

// SetDuration reads a duration within bounds: "500ms", "2s", "1m30s".
func SetDuration(place *Located[time.Duration], f Field, least, most time.Duration) {
	fix := "write " + f.example + `: a number and its unit, as in "500ms" or "1m30s"`
	if m := durationForm.FindStringSubmatch(f.Value.Text); m != nil && units[strings.ToLower(m[2])] != 0 {
		if n, err := strconv.ParseFloat(m[1], 64); err == nil {
			unit := units[strings.ToLower(m[2])]
			fix = f.writeDuration(time.Duration(min(n*float64(unit), float64(2*most))), least, most)
		}
	}
	if f.Value.Kind != source.String {
		f.Refuse(f.Value, value.Fault{Cause: "it is " + string(f.Value.Kind) + ", and a duration is a string with its unit", Fix: fix})
		return
	}
	d, err := time.ParseDuration(f.Value.Text)
	switch {
	case err != nil || d != d.Truncate(time.Millisecond):
		f.Refuse(f.Value, value.Fault{Cause: "a duration is a number with the unit ms, s, m or h", Fix: fix})
	case d < least || d > most:
		f.Refuse(f.Value, value.Fault{Cause: fmt.Sprintf("%s is %s to %s", f.Name, text.Duration(least), text.Duration(most)), Fix: f.writeDuration(d, least, most)})
	default:
		*place = Located[time.Duration]{d, f.Value.At}
	}
}

// writeDuration returns the fix that gives the field the duration within bounds that is nearest
// to one.
func (f Field) writeDuration(d, least, most time.Duration) string {
	return "write " + f.Name + " = " + source.Quote(text.Duration(min(max(d.Truncate(time.Millisecond), least), most)))
}
