package config

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

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

// faultsOf returns the errors of a text, none for a good one.
func faultsOf(text string) Errors {
	_, err := Parse("f.toml", []byte(text))
	var all Errors
	errors.As(err, &all)
	return all
}

// TestEveryFix walks each error of the stories with the text that it stands in, and pastes its fix:
// the error is gone then. A fix that cannot be pasted says that natspread can't.
func TestEveryFix(t *testing.T) {
	pasted := 0
	for _, s := range stories(t) {
		text := string(s.file(t, "natspread.toml").Data)
		all := faultsOf(text)
		for _, e := range all {
			if strings.HasPrefix(e.Fix, cannot) {
				continue
			}
			after, ok := paste(text, e)
			if !ok || after == text {
				t.Errorf("%s: nobody can paste\n%v", s.path, e)
				continue
			}
			pasted++
			left := faultsOf(after)
			if count(left, e) >= count(all, e) {
				t.Errorf("%s: after %q there still is\n%v\nin\n%s", s.path, e.Fix, e, after)
			}
		}
	}
	if pasted < 300 {
		t.Errorf("only %d fixes were pasted", pasted)
	}
}

// TestFixesOfBytes does what is said of bytes that are no text.
func TestFixesOfBytes(t *testing.T) {
	for name, text := range map[string]string{
		"byte order mark": "\ufeff" + oneService, "control": strings.Replace(oneService, "web", "w\x01eb", 1), "delete": oneService + "#\x7f\n",
		"broken UTF-8": oneService + "# \xc3(\n", "carriage return": strings.ReplaceAll(oneService, "\n", "\r"),
	} {
		after := pasteAll(text)
		got, err := Parse("f.toml", []byte(after))
		want, _ := Parse("f.toml", []byte(oneService))
		if err != nil || !got.Equivalent(want) {
			t.Errorf("%s: %v\n%q", name, err, after)
		}
	}
}

// count counts the errors with the message of one.
func count(all Errors, e Error) int {
	n := 0
	for _, other := range all {
		if other.Message == e.Message {
			n++
		}
	}
	return n
}

// TestFixesLeadToTheEnd pastes one fix after the other, until all is good but what natspread can't.
func TestFixesLeadToTheEnd(t *testing.T) {
	for _, s := range stories(t) {
		text := string(s.file(t, "natspread.toml").Data)
		text = pasteAll(text)
		for _, e := range faultsOf(text) {
			if !strings.HasPrefix(e.Fix, cannot) {
				t.Errorf("%s: in the end there is\n%v\nin\n%s", s.path, e, text)
				break
			}
		}
	}
}

// pasteAll pastes the fixes of all errors, and those of what is left, until nothing changes.
func pasteAll(text string) string {
	for range 40 {
		before := text
		for _, e := range slices.Backward(faultsOf(text)) { // what stands before an edit stays where it is
			lines := strings.Split(text, "\n")
			if e.Line > len(lines) || strings.TrimSuffix(lines[e.Line-1], "\r") != e.Source || strings.HasPrefix(e.Fix, cannot) {
				continue // an edit changed its line: it is looked at anew
			}
			if after, ok := paste(text, e); ok {
				text = after
			}
		}
		if text == before {
			break
		}
	}
	return text
}
