package config

import (
	"cmp"
	"fmt"
	"math"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"natspread/internal/text"
)

// maxText is the most bytes of what a check sends or compares: it fits into one packet.
const maxText = 1024

// maxHost is the most bytes of a name in DNS.
const maxHost = 253

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

// codes is a range of status codes with both ends in it.
type codes struct{ first, last int }

// codes returns the items of a list of status codes but the numbers, and files those: the fix puts
// them in quotes.
func (f field) codes() []value {
	var items []value
	for _, v := range f.oneOrMore() {
		if v.kind == isInteger {
			f.refuse(v, fault{"it is " + string(v.kind) + ", not " + string(isString), "write " + quote(v.text)})
			continue
		}
		items = append(items, v)
	}
	return items
}

// anyOfHundred is how some programs write all the codes from one hundred to the next.
var anyOfHundred = regexp.MustCompile(`\A[1-5][xX]{2}\z`)

// parseCodes reads "200" or "200-299".
func parseCodes(text string) (codes, *fault) {
	low, high, isRange := strings.Cut(text, "-")
	if !isRange {
		high = low
	}
	first, ok := parseCode(low)
	last, ok2 := parseCode(high)
	switch {
	case anyOfHundred.MatchString(text):
		return codes{}, &fault{"a range has its first and its last code", fmt.Sprintf("write %q", text[:1]+"00-"+text[:1]+"99")}
	case strings.Contains(text, ","):
		return codes{}, &fault{"several codes are a list", "write " + quoteList(strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' }))}
	case !ok || !ok2:
		return codes{}, &fault{"a status code is 100 to 599", `write a code or a range of them, as in "200-299"`}
	case first > last:
		return codes{}, &fault{"the range ends before it begins", fmt.Sprintf("write %q", high+"-"+low)}
	}
	return codes{first, last}, nil
}

// parseCode reads a status code.
func parseCode(text string) (int, bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil && 100 <= n && n <= 599 && len(text) == 3
}

// joinCodes writes ranges of codes in order, each code once; without any it is the default.
func joinCodes(all []codes) string {
	if len(all) == 0 {
		return "200-399"
	}
	slices.SortFunc(all, func(a, b codes) int { return cmp.Compare(a.first, b.first) })
	joined := all[:1:1]
	for _, next := range all[1:] {
		if last := &joined[len(joined)-1]; next.first <= last.last+1 {
			last.last = max(last.last, next.last)
		} else {
			joined = append(joined, next)
		}
	}
	words := make([]string, len(joined))
	for i, c := range joined {
		words[i] = strconv.Itoa(c.first)
		if c.last != c.first {
			words[i] += "-" + strconv.Itoa(c.last)
		}
	}
	return strings.Join(words, ",")
}

// parsePath reads what is asked for by http.
func parsePath(text string) (string, *fault) {
	if !strings.HasPrefix(text, "/") {
		path := text
		if _, rest, isURL := strings.Cut(text, "://"); isURL {
			_, path, _ = strings.Cut(rest, "/")
		}
		return "", &fault{`a path begins with "/"`, escaped("/" + path)}
	}
	space := fault{"it has a space in it, which ends what is asked for", escaped(text)}
	return text, lineFault(text, `write a path such as "/healthz"`, space, escaped(text))
}

// lineFault says why a text cannot stand in the head of a request. space is the fault of one with
// a space in it, and ascii the fix for one with other letters than those of ASCII.
func lineFault(text, fix string, space fault, ascii string) *fault {
	switch {
	case text == "":
		return &fault{"it is empty", "take it out, or " + fix}
	case len(text) > maxText:
		return &fault{fmt.Sprintf("it has %d bytes, and %d are the most", len(text), maxText), fix}
	}
	for _, r := range text {
		switch {
		case r < ' ' || r == 0x7f:
			return &fault{fmt.Sprintf("it has the control character %q in it, so its rest would be a header of its own", r), fix}
		case r == ' ':
			return &space
		case r > 0x7e:
			return &fault{fmt.Sprintf("it has %q in it, which is not ASCII", r), ascii}
		}
	}
	return nil
}

// escaped returns the fix that writes spaces, and what is not ASCII, as a URL does: %20.
func escaped(text string) string {
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c > 0x7e {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return "write " + quote(b.String())
}

// hostForm is a name as DNS has it. DNS lets a name hold _, although the name of a host may not.
var hostForm = regexp.MustCompile(`\A[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?\z`)

// parseHost reads a Host header: a name or an address, and a port that may follow.
func parseHost(text string) (string, *fault) {
	const fix = `write a name such as "www.example.net"`
	if why := hostFault(text, fix); why != nil {
		return "", why
	}
	e, why := splitEndpoint(text)
	if why != nil {
		return "", why
	}
	six := strings.Contains(e.host, ":")
	if address, err := netip.ParseAddr(e.host); six && (err != nil || address.Zone() != "") || !six && !hostForm.MatchString(e.host) {
		return "", &fault{"it is no name and no address", fix}
	}
	if six && !strings.HasPrefix(text, "[") {
		return "", &fault{"an IPv6 address stands in brackets in a Host header", "write host = " + quote("["+text+"]")}
	}
	if _, ok := parsePort(e.ports); e.hasPorts && !ok {
		return "", &fault{"its port is not a number from 1 to 65535", "write host = " + quote(strings.TrimSuffix(text, ":"+e.ports))}
	}
	return text, nil
}

// hostFault says why a text is no name: it is a URL, too long, or not ASCII on one line.
func hostFault(text, fix string) *fault {
	_, rest, isURL := strings.Cut(text, "://")
	if !isURL {
		rest = text
	}
	if name, _, found := strings.Cut(rest, "/"); isURL || found {
		if hostForm.MatchString(name) {
			fix = "write " + quote(name)
		}
		return &fault{"it is a URL, not a name", fix}
	}
	why := lineFault(text, fix, fault{"it has a space in it", fix}, `write the name as DNS has it, with "xn--"`)
	if why == nil && len(text) > maxHost {
		return &fault{fmt.Sprintf("it has %d bytes, and a name has at most %d", len(text), maxHost), fix}
	}
	return why
}

// parseTLSName reads the name, or the address, that a certificate must have.
func parseTLSName(text string) (string, *fault) {
	const fix = `write a name such as "www.example.net"`
	if why := hostFault(text, fix); why != nil {
		return "", why
	}
	if address, err := netip.ParseAddr(text); err == nil && address.Zone() == "" || hostForm.MatchString(text) {
		return text, nil
	}
	if e, why := splitEndpoint(text); why == nil && e.hasPorts && hostForm.MatchString(e.host) {
		return "", &fault{"it has a port, and a certificate has none", "write tls_name = " + quote(e.host)}
	}
	if inside := strings.Trim(text, "[]"); strings.Contains(inside, ":") {
		return "", &fault{"an address has no brackets here", "write tls_name = " + quote(inside)}
	}
	return "", &fault{"it is no name and no address", fix}
}

// parsePayload reads what is sent, or what the answer begins with: any text.
func parsePayload(text string) (string, *fault) {
	switch {
	case text == "":
		return "", &fault{"it is empty", "take the key out"}
	case len(text) > maxText:
		return "", &fault{fmt.Sprintf("it has %d bytes, and %d are the most", len(text), maxText), "write its first part only"}
	}
	return text, nil
}
