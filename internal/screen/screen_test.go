package screen

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestWrap breaks lines between words, and no word and no style is lost.
func TestWrap(t *testing.T) {
	t.Parallel()
	styled := Screen{Columns: 20, Styled: true}
	for name, c := range map[string]struct {
		screen     Screen
		line, want string
	}{
		"no terminal":       {Screen{}, "one two three four five six", "one two three four five six"},
		"it fits":           {Screen{Columns: 13}, "one two three", "one two three"},
		"it does not":       {Screen{Columns: 12}, "one two three", "one two\n    three"},
		"further in":        {Screen{Columns: 16}, "  one  two  three  four", "  one  two\n      three\n      four"},
		"a long word":       {Screen{Columns: 8}, "see /etc/natspread/natspread.toml now", "see\n    /etc/natspread/natspread.toml\n    now"},
		"it begins with it": {Screen{Columns: 8}, "  /etc/natspread now", "  /etc/natspread\n      now"},
		"parts":             {Screen{Columns: 20}, "one  two three four  five six", "one  two three four\n    five six"},
		"a long part":       {Screen{Columns: 12}, "one  two three four  five", "one  two\n    three\n    four\n    five"},
		"a rule":            {Screen{Columns: 30}, "  rule 1: -p tcp -m statistic --probability 0.5 -j DNAT", "  rule 1: -p tcp -m statistic\n      --probability 0.5\n      -j DNAT"},
		"a number":          {Screen{Columns: 22}, "applied (1 added, 2 changed) at 3.50 %", "applied (1 added,\n    2 changed) at\n    3.50 %"},
		"letters":           {Screen{Columns: 12}, "äöü äöü äöüß", "äöü äöü äöüß"},
		"a style":           {styled, styled.Bold("one two three") + " four five", "\x1b[1mone two three\x1b[0m four\n    five"},
		"a broken style":    {styled, "a " + styled.Red("line of several words") + " and", "a \x1b[31mline of several\x1b[0m\n    \x1b[31mwords\x1b[0m and"},
		"two styles":        {styled, styled.Alarm("one:") + styled.Bold(" words in all of it"), "\x1b[1;31mone:\x1b[0m\x1b[1m words in all of\x1b[0m\n    \x1b[1mit\x1b[0m"},
	} {
		if got := c.screen.Wrap(c.line); got != c.want {
			t.Errorf("%s: %q, not %q", name, got, c.want)
		}
	}
}

// TestWrapList breaks rather behind a comma than between words.
func TestWrapList(t *testing.T) {
	t.Parallel()
	const line = "web  tcp 192.0.2.10:80  random, snat 192.0.2.11, check http, clamp_mss true  4 of 6 up"
	const want = "web  tcp 192.0.2.10:80  random,\n    snat 192.0.2.11, check http,\n    clamp_mss true  4 of 6 up"
	if got := (Screen{Columns: 34}).WrapList(line); got != want {
		t.Errorf("%q", got)
	}
}

// TestSay keeps a fix in one line, and on a terminal in a line of its own.
func TestSay(t *testing.T) {
	t.Parallel()
	const line = "  note: the unit is not enabled; fix: systemctl enable natspread.service"
	for columns, want := range map[int]string{
		0:  line,
		80: "  note: the unit is not enabled\n    fix: systemctl enable natspread.service",
		20: "  note: the unit is\n      not enabled\n    fix: systemctl enable natspread.service",
	} {
		if got := (Screen{Columns: columns}).Say(line); got != want {
			t.Errorf("%d columns: %q", columns, got)
		}
	}
	const typed = "note: one further back, as it was before the last two: natspread rollback 1"
	for columns, want := range map[int]string{
		0:  typed,
		80: typed,
		60: "note: one further back, as it was before the last two:\n    natspread rollback 1",
		30: "note: one further back, as it\n    was before the last two:\n    natspread rollback 1",
	} {
		if got := (Screen{Columns: columns}).Say(typed); got != want {
			t.Errorf("%d columns: %q", columns, got)
		}
	}
}

// TestFix breaks no line that is to be copied. What a shell does not read goes below it.
func TestFix(t *testing.T) {
	t.Parallel()
	const fix = "iptables -I FORWARD -j ACCEPT # until the next boot; for good: natspread apply"
	const below = "  fix: iptables -I FORWARD -j ACCEPT\n       # until the next boot; for good:\n       # natspread apply"
	for columns, want := range map[int]string{0: "  fix: " + fix, 85: "  fix: " + fix, 41: below} {
		if got := (Screen{Columns: columns}).Fix("  ", fix); got != want {
			t.Errorf("%d columns:\n%s", columns, got)
		}
	}
	if got := (Screen{Columns: 20}).Fix("", "systemctl enable natspread.service"); got != "fix: systemctl enable natspread.service" {
		t.Errorf("%q", got)
	}
}

// TestStyles has no style where none is to be shown.
func TestStyles(t *testing.T) {
	t.Parallel()
	if plain := (Screen{Columns: 80}); plain.Bold("a")+plain.Red("b")+plain.Alarm("c") != "abc" {
		t.Error("a style is there")
	}
	styled := Screen{Styled: true}
	if got := styled.Bold("a") + styled.Red("b") + styled.Alarm("c") + styled.Bold(""); got != "\x1b[1ma\x1b[0m\x1b[31mb\x1b[0m\x1b[1;31mc\x1b[0m" {
		t.Errorf("%q", got)
	}
}

// TestTable puts columns below one another, and folds where a line has no room for them.
func TestTable(t *testing.T) {
	t.Parallel()
	table := Table{
		Indent:  2,
		Columns: []Column{{Name: "WHO"}, {Name: "STATE"}, {Name: "COUNT", Right: true}},
		Rows: []Row{
			{Cells: []string{"10.0.0.1:80", "up", "7"}, Spare: "#####"},
			{Cells: []string{"10.0.0.22:80", "down 3m", "123456"}, Note: "no answer in one second", Spare: "##########"},
		},
	}
	const wide = `  WHO           STATE     COUNT
  10.0.0.1:80   up            7  #####
  10.0.0.22:80  down 3m  123456  no answer in one second
`
	for columns, want := range map[int]string{
		0:  wide,
		80: wide,
		56: wide,
		55: `  WHO           STATE     COUNT
  10.0.0.1:80   up            7
  10.0.0.22:80  down 3m  123456
      no answer in one second
`,
		24: `  WHO
      STATE     COUNT
  10.0.0.1:80
      up            7
  10.0.0.22:80
      down 3m  123456
          no answer in
          one second
`,
	} {
		if columns == 55 { // there is room for what is spare, but not for the note
			want = strings.Replace(want, "  7\n", "  7  #####\n", 1)
		}
		if diff := cmp.Diff(want, table.Text(Screen{Columns: columns})); diff != "" {
			t.Errorf("%d columns: -wanted +got:\n%s", columns, diff)
		}
	}
}

// TestTableNotes breaks a note in a column of its own where that is wide enough.
func TestTableNotes(t *testing.T) {
	t.Parallel()
	styled := Screen{Columns: 40, Styled: true}
	table := Table{
		Columns: []Column{{Right: true}, {}},
		Rows:    []Row{{Cells: []string{styled.Bold("1"), "one"}, Note: "words that need a second line, and more"}, {Cells: []string{"10", "two"}}},
	}
	const want = " \x1b[1m1\x1b[0m  one  words that need a second line,\n         and more\n10  two\n"
	if diff := cmp.Diff(want, table.Text(styled)); diff != "" {
		t.Errorf("-wanted +got:\n%s", diff)
	}
}

// TestNarrow loses no word on a terminal of whatever width.
func TestNarrow(t *testing.T) {
	t.Parallel()
	table := Table{Indent: 2, Columns: []Column{{Name: "WHO"}, {Name: "COUNT", Right: true}}, Rows: []Row{{Cells: []string{"10.0.0.1:80", "7"}, Note: "no answer in one second"}}, Notes: "WHY"}
	const line = "  broken: rule 1 of 3: -p tcp -j DROP  see web, dns and 2 more; fix: iptables -F # until the next boot"
	words := func(text string) string { // without what stands between them
		return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" \n#;", r) }), " ")
	}
	for columns := range 130 {
		on := Screen{Columns: columns}
		for text, want := range map[string]string{
			on.Wrap(line): line, on.WrapList(line): line, on.Say(line): line,
			table.Text(on): "WHO COUNT WHY 10.0.0.1:80 7 no answer in one second",
		} {
			if words(text) != words(want) {
				t.Errorf("%d columns: %q", columns, text)
			}
		}
	}
}
