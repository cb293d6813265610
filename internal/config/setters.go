package config

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	"natspread/internal/text"
)

// setNumber reads a whole number within bounds. The fix for a wrong one is the nearest bound, but
// not for a port: the nearest port belongs to another program.
func setNumber(place *located[int], f field, least, most int) {
	if !f.has(f.value, isInteger) {
		return
	}
	n := f.whole()
	if least <= n && n <= most {
		*place = located[int]{n, f.value.at}
		return
	}
	why := fault{fmt.Sprintf("%s is %d to %d", f.name, least, most), fmt.Sprintf("write %s = %d", f.name, min(max(n, least), most))}
	switch most {
	case math.MaxInt:
		why.cause = fmt.Sprintf("%s is at least %d", f.name, least)
	case math.MaxUint16:
		why.fix = "write the number of the port, or take port out: then it is the backend's own"
	}
	f.refuse(f.value, why)
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

// setDuration reads a duration within bounds: "500ms", "2s", "1m30s".
func setDuration(place *located[time.Duration], f field, least, most time.Duration) {
	fix := `write a number and its unit, as in "500ms", "2s" or "1m30s"`
	if m := durationForm.FindStringSubmatch(f.value.text); m != nil && units[strings.ToLower(m[2])] != 0 {
		if n, err := strconv.ParseFloat(m[1], 64); err == nil {
			unit := units[strings.ToLower(m[2])]
			fix = f.writeDuration(time.Duration(min(n*float64(unit), float64(2*most))), least, most)
		}
	}
	if f.value.kind != isString {
		f.refuse(f.value, fault{"it is " + string(f.value.kind) + ", and a duration is a string with its unit", fix})
		return
	}
	d, err := time.ParseDuration(f.value.text)
	switch {
	case err != nil || d != d.Truncate(time.Millisecond):
		f.refuse(f.value, fault{"a duration is a number with the unit ms, s, m or h", fix})
	case d < least || d > most:
		f.refuse(f.value, fault{fmt.Sprintf("%s is %s to %s", f.name, text.Duration(least), text.Duration(most)), f.writeDuration(d, least, most)})
	default:
		*place = located[time.Duration]{d, f.value.at}
	}
}

// writeDuration returns the fix that gives the field the duration within bounds that is nearest
// to one.
func (f field) writeDuration(d, least, most time.Duration) string {
	return "write " + f.name + " = " + quote(text.Duration(min(max(d.Truncate(time.Millisecond), least), most)))
}
