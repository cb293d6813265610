package config

import (
	"errors"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"natspread/internal/config/field"
	"natspread/internal/config/source"
)

// The forms of fixes that are the text to write.
var (
	fixKey   = regexp.MustCompile(`^write (\w+) = ((?:"(?:[^"\\]|\\.)*"|\[.*?\]|\{.*?\}|\w+))`)
	fixValue = regexp.MustCompile(`^write ("(?:[^"\\]|\\.)*"|\[".*?\])$`)
	fixOut   = regexp.MustCompile(`^take (\w+) out$`)
	fixName  = regexp.MustCompile(`^(?:did you mean|write it in lower case:) (\w+)`)
	fixWord  = regexp.MustCompile(`^did you mean ("\w+")\?$`)
	fixTable = regexp.MustCompile(`^write (\[service.check\])$`)
)

// TestFixesOfChecks does what each fix of the stories about checks and takeover says that is the
// text to write: its fault is gone then, and no line has a fault that had none.
func TestFixesOfChecks(t *testing.T) {
	done := 0
	for _, s := range stories(t) {
		if name := filepath.Base(s.path); !strings.HasPrefix(name, "check-") && name != "takeover.txtar" {
			continue
		}
		text := string(s.file(t, "natspread.toml").Data)
		_, err := Parse("natspread.toml", []byte(text))
		var all source.Errors
		if !errors.As(err, &all) {
			t.Fatalf("%s: %v", s.path, err)
		}
		for _, e := range all {
			fixed, ok := follow(text, e)
			if !ok {
				continue
			}
			done++
			_, err := Parse("natspread.toml", []byte(fixed))
			var left source.Errors
			errors.As(err, &left)
			for _, l := range left {
				if l.Message == e.Message && l.Line == e.Line {
					t.Errorf("%s: after %q there still is\n%v", s.path, e.Fix, l)
				}
			}
			if len(left) >= len(all) {
				t.Errorf("%s: after %q there is\n%v", s.path, e.Fix, left)
			}
		}
	}
	if done < 70 {
		t.Errorf("only %d fixes are text to write", done)
	}
}

// TestFixesOfTakeover does what the fixes of story takeover say that are no text to write.
func TestFixesOfTakeover(t *testing.T) {
	for _, s := range stories(t) {
		if filepath.Base(s.path) != "takeover.txtar" {
			continue
		}
		text := string(s.file(t, "natspread.toml").Data)
		before := errorsOf(t, text)
		for _, fix := range [][]string{
			{`["tcp", "sctp"]`, `"tcp"`}, {`["192.0.2.10:1004", "*:6004"]`, `["192.0.2.10:1004", "192.0.2.11:2004"]`, "10.0.4.1:80", "10.0.4.1"},
			{`["10.0.5.1", "10.0.5.2"]`, `["10.0.5.1", "10.0.5.2"]`, "192.0.2.11:1005", "192.0.2.11:2005"},
			{"10.0.6.1:80", "10.0.6.1"}, {"192.0.2.10:2000-2010", "192.0.2.10:2000"},
			{`["10.0.7.2:80"]`, `["10.0.7.2:81"]`}, {"10.0.9.1:3005", "10.0.10.1:3005"},
		} {
			fixed := strings.NewReplacer(fix...).Replace(text)
			if after := errorsOf(t, fixed); len(after) != len(before)-1 {
				t.Errorf("%q leaves %d of %d faults", fix, len(after), len(before))
			}
		}
	}
}

// follow does what a fix says.
func follow(text string, e source.Error) (fixed string, ok bool) {
	lines := strings.Split(text, "\n")
	line := &lines[e.Line-1]
	at := source.Span{Start: e.Column - 1, End: e.Column - 1 + e.Width}
	if m := fixOut.FindStringSubmatch(e.Fix); m != nil {
		*line = regexp.MustCompile(`(, )?\b`+m[1]+` = ("[^"]*"|\w+)`).ReplaceAllString(*line, "")
		return strings.Join(lines, "\n"), true
	}
	for _, form := range []*regexp.Regexp{fixValue, fixName, fixWord, fixTable} {
		if m := form.FindStringSubmatch(e.Fix); m != nil {
			if form == fixTable {
				at = source.Span{Start: 0, End: len(*line)}
			}
			*line = (*line)[:at.Start] + m[1] + (*line)[at.End:]
			return strings.Join(lines, "\n"), true
		}
	}
	m := fixKey.FindStringSubmatch(e.Fix)
	if m == nil {
		return "", false
	}
	return writeKey(lines, e.Line-1, m[1], m[2]), true
}

// writeKey gives the service, or the check, that a line belongs to another value of a key.
func writeKey(lines []string, at int, key, value string) string {
	first, last := at, at+1
	for first > 0 && lines[first] != "[[service]]" {
		first--
	}
	for last < len(lines) && lines[last] != "[[service]]" {
		last++
	}
	old := regexp.MustCompile(`(^|[{,] ?)` + key + ` = ("(?:[^"\\]|\\.)*"|\[[^\]]*\]|-?[\w.]+)`)
	for i := first; i < last; i++ {
		if strings.HasPrefix(lines[i], key+".") {
			lines[i] = key + " = " + value
			return strings.Join(lines, "\n")
		}
		if old.MatchString(lines[i]) {
			lines[i] = old.ReplaceAllLiteralString(lines[i], old.FindStringSubmatch(lines[i])[1]+key+" = "+value)
			return strings.Join(lines, "\n")
		}
	}
	for i := first; i < last; i++ {
		_, service := field.Find(serviceKeys, key)
		switch {
		case service && lines[i] == "[[service]]", !service && lines[i] == "[service.check]":
			lines[i] += "\n" + key + " = " + value
			return strings.Join(lines, "\n")
		case !service && strings.HasPrefix(lines[i], "check = {"):
			lines[i] = strings.Replace(strings.Replace(lines[i], "{", "{ "+key+" = "+value+", ", 1), ", }", " }", 1)
			return strings.Join(lines, "\n")
		}
	}
	return strings.Join(lines, "\n")
}
