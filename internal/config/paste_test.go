package config

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"natspread/internal/config/source"
)

// cannot begins a fix that says that there is none.
const cannot = "natspread can't"

// paster does with a text what the fix of one of its errors says, as a person would who does not
// think about it: it writes values in place of what is marked, and writes and takes out keys.
type paster struct {
	text    string
	at      int // where the marked text begins
	width   int
	isKey   bool // a key is marked, not a value
	noTOML  bool // the line is no TOML
	service int  // which table the marked text belongs to
	backend int  // which of its backends, -1 for none
}

// paste returns the text after the fix of an error, and whether the fix is one that can be pasted.
func paste(text string, e Error) (string, bool) {
	lines := strings.SplitAfter(text, "\n")
	p := &paster{text: text, at: len(strings.Join(lines[:e.Line-1], "")) + e.Column - 1, width: e.Width}
	p.isKey = strings.HasPrefix(e.Message, "cannot use key")
	p.noTOML = strings.HasPrefix(e.Message, "cannot read TOML")
	p.place()
	return p.text, p.special(e) || p.takeOut(e.Fix) || p.rename(e.Fix) || p.write(e.Fix)
}

// read returns the tables of the text.
func (p *paster) read() []source.Table {
	return inspection{source.New("", []byte(p.text))}.readTables()
}

// place finds the service and the backend that the marked text belongs to.
func (p *paster) place() {
	p.backend = -1
	for i, t := range p.read() {
		if t.At.Start > p.at {
			break
		}
		p.service = i
	}
	for i, item := range p.read()[p.service].Value("backends").Items {
		if item.Kind == source.InlineTable && item.At.Start <= p.at && p.at < item.At.End {
			p.backend = i
		}
		if item.Kind != source.InlineTable && item.At.Start == p.at {
			p.backend = -1
		}
	}
}

// replace writes a text in place of another one.
func (p *paster) replace(at source.Span, with string) {
	p.text = p.text[:at.Start] + with + p.text[at.End:]
}

// special does what fixes say that name neither a value nor a key.
func (p *paster) special(e Error) bool {
	begin := strings.LastIndexByte(p.text[:p.at], '\n') + 1
	end := begin + len(e.Source)
	line := source.Span{Start: begin, End: end}
	elsewhere := regexp.MustCompile(`^write (.+) on line (\d+)$`).FindStringSubmatch(e.Fix)
	header := regexp.MustCompile(`^write (\[\[?[\w.-]+\]?\])( and name = "[a-z0-9-]+")?$`).FindStringSubmatch(e.Fix)
	moved := regexp.MustCompile(`^write it (above|below) (\[[\w.-]+\])$`).FindStringSubmatch(e.Fix)
	above := regexp.MustCompile(`^write (\[.*\]) on a line above it$`).FindStringSubmatch(e.Fix)
	switch {
	case header != nil:
		p.replace(line, header[1]+strings.Replace(header[2], " and ", "\n", 1))
	case p.noTOML && elsewhere != nil:
		p.replaceLine(elsewhere[2], elsewhere[1])
	case p.noTOML && strings.HasPrefix(e.Fix, `write "`):
		p.replace(line, strings.TrimPrefix(e.Fix, "write "))
	case above != nil:
		p.replace(source.Span{Start: begin, End: begin}, above[1]+"\n")
	case moved != nil:
		p.replace(line, "")
		at := strings.LastIndex(p.text[:begin], moved[2]+"\n")
		if moved[1] == "below" {
			at = begin + strings.Index(p.text[begin:], moved[2]+"\n") + len(moved[2]) + 1
		}
		p.replace(source.Span{Start: at, End: at}, e.Source+"\n")
	case e.Fix == "write it below the keys of a [[service]]":
		_, below, _ := strings.Cut(p.text[end:], "[[service]]")
		table, rest, _ := strings.Cut(p.text[begin:], "[[service]]")
		p.text = p.text[:begin] + strings.Replace("[[service]]"+rest, "[[service]]"+below, "[[service]]"+strings.TrimRight(below, "\n")+"\n"+table, 1)
	case strings.HasPrefix(e.Fix, "write it behind a #"):
		p.replace(line, "# "+e.Source)
	case e.Fix == "close the list above it with ]":
		p.replace(source.Span{Start: begin, End: begin}, "]\n")
	case strings.HasPrefix(e.Fix, "save the file as UTF-8 without"):
		p.text = strings.TrimPrefix(p.text, "\ufeff")
	case e.Fix == "save the file with the line ends of Unix":
		p.text = strings.ReplaceAll(strings.ReplaceAll(p.text, "\r\n", "\n"), "\r", "\n")
	case e.Fix == "take the character out", strings.HasSuffix(e.Fix, "or take the byte out"):
		p.replace(source.Span{Start: p.at, End: p.at + 1}, "")
	case strings.HasPrefix(e.Fix, "add a [[service]]"):
		p.text += "\n" + string(Example())
	default:
		return false
	}
	return true
}

// replaceLine writes a text in place of the line of that number.
func (p *paster) replaceLine(number, text string) {
	lines := strings.SplitAfter(p.text, "\n")
	for i := range lines {
		if number == strconv.Itoa(i+1) {
			lines[i] = text + "\n"
		}
	}
	p.text = strings.Join(lines, "")
}

// outForm is a fix that begins with what is to be taken out.
var outForm = regexp.MustCompile(`^take (it|\w+|"[^"]*") out`)

// takeOut takes out what a fix says.
func (p *paster) takeOut(fix string) bool {
	m := outForm.FindStringSubmatch(fix)
	if m == nil {
		return false
	}
	if m[1] == "it" || p.isKey && p.text[p.at:p.at+p.width] == m[1] {
		return p.takeMarked()
	}
	return p.takeKey(m[1])
}

// takeMarked takes out the marked item of a list, or else the key.
func (p *paster) takeMarked() bool {
	t := p.read()[p.service]
	if t.Name != "" && t.At.Start == p.at {
		end := len(p.text)
		if next := p.read(); p.service+1 < len(next) {
			end = strings.LastIndexByte(p.text[:next[p.service+1].At.Start], '\n') + 1
		}
		p.replace(source.Span{Start: strings.LastIndexByte(p.text[:p.at], '\n') + 1, End: end}, "")
		return true
	}
	for _, pair := range t.Pairs {
		if p.takeItem(pair.Value) || p.takePair(pair) {
			return true
		}
		for _, item := range append(pair.Value.Items, pair.Value) {
			for _, inner := range item.Pairs {
				if p.takeItem(inner.Value) || p.takePair(inner) {
					return true
				}
			}
		}
	}
	return false
}

// takeItem takes the marked item, or the table that the marked value stands in, out of a list.
func (p *paster) takeItem(list source.Value) bool {
	for _, item := range list.Items {
		at := item.At
		inside := item.Kind == source.InlineTable && at.Start < p.at && p.at < at.End && !p.isKey
		if at.Start == p.at && at != list.At || inside {
			p.cut(at)
			return true
		}
	}
	return false
}

// takePair takes a pair out whose key or value is marked.
func (p *paster) takePair(pair source.Pair) bool {
	if pair.At.Start != p.at && pair.Value.At.Start != p.at {
		return false
	}
	p.cutPair(pair)
	return true
}

// cutPair takes out a pair: the lines that it stands on, or its part of a table on one line.
func (p *paster) cutPair(pair source.Pair) {
	begin := strings.LastIndexByte(p.text[:pair.At.Start], '\n') + 1
	if pair.Value.Kind == source.InlineTable && pair.Value.At == pair.At { // a header
		p.text = p.text[:begin] + strings.Join(strings.SplitAfter(p.text[begin:], "\n")[1+len(pair.Value.Pairs):], "")
		return
	}
	whole := source.Span{Start: pair.At.Start, End: pair.Value.At.End}
	if strings.TrimSpace(p.text[begin:pair.At.Start]) == "" {
		end := whole.End + strings.IndexByte(p.text[whole.End:]+"\n", '\n')
		p.replace(source.Span{Start: begin, End: min(end+1, len(p.text))}, "")
		return
	}
	p.cut(whole)
}

// cut takes out a part of a list or of a table, with a comma beside it.
func (p *paster) cut(at source.Span) {
	if rest := strings.TrimLeft(p.text[at.End:], " \t\n"); strings.HasPrefix(rest, ",") {
		at.End = len(p.text) - len(rest) + 1
	} else if before := strings.TrimRight(p.text[:at.Start], " \t\n"); strings.HasSuffix(before, ",") {
		at.Start = len(before) - 1
	}
	p.replace(at, "")
}

// takeKey takes out a key of what the marked text belongs to.
func (p *paster) takeKey(key string) bool {
	t := p.read()[p.service]
	pairs, _ := p.scope(key)
	pairs = slices.Concat(t.Pairs, pairs)
	if p.backend >= 0 {
		pairs = slices.Concat(t.Value("backends").Items[p.backend].Pairs, pairs)
	}
	for _, pair := range pairs {
		if pair.Name == key {
			p.cutPair(pair)
			return true
		}
	}
	return false
}

// renameForm is a fix that has the right word.
var renameForm = regexp.MustCompile(`^(?:did you mean|write it in lower case:) ("?)([\w-]+)"?\??$`)

// rename writes the right word in place of the marked one.
func (p *paster) rename(fix string) bool {
	m := renameForm.FindStringSubmatch(fix)
	if m == nil {
		return false
	}
	p.replace(source.Span{Start: p.at, End: p.at + p.width}, m[1]+m[2]+m[1])
	return true
}

// scope returns the pairs of the table that a key belongs into, and where another pair can stand.
func (p *paster) scope(key string) (pairs []source.Pair, free source.Span) {
	t := p.read()[p.service]
	below := func(at source.Span) source.Span {
		end := at.End + strings.IndexByte(p.text[at.End:]+"\n", '\n')
		return source.Span{Start: min(end+1, len(p.text)), End: min(end+1, len(p.text))}
	}
	inside := func(v source.Value) source.Span { return source.Span{Start: v.At.Start + 1, End: v.At.Start + 1} }
	check := t.Value("check")
	switch {
	case hasKey(backendKeys, key) && p.backend >= 0:
		item := t.Value("backends").Items[p.backend]
		return item.Pairs, inside(item)
	case hasKey(checkKeys, key) && check.Kind == source.InlineTable && !hasKey(serviceKeys, key):
		if p.text[check.At.Start] == '{' {
			return check.Pairs, inside(check)
		}
		return check.Pairs, below(check.At)
	}
	return t.Pairs, below(t.At)
}

// set gives a key another value, or adds it.
func (p *paster) set(key, value string, but int) {
	pairs, free := p.scope(key)
	for _, pair := range pairs {
		if pair.Name == key && pair.At.Start != but {
			if pair.At == pair.Value.At { // a header
				p.cutPair(pair)
				p.set(key, value, -1)
				return
			}
			p.replace(pair.Value.At, value)
			return
		}
		if strings.HasPrefix(pair.Name, key+".") {
			p.replace(source.Span{Start: pair.At.Start, End: pair.Value.At.End}, key+" = "+value)
			return
		}
	}
	text := key + " = " + value
	switch {
	case free.Start > 0 && p.text[free.Start-1] == '{' && len(pairs) == 0:
		text = " " + text + " "
	case free.Start > 0 && p.text[free.Start-1] == '{':
		text = " " + text + ","
	default:
		text += "\n"
		if free.Start == len(p.text) && !strings.HasSuffix(p.text, "\n") {
			text = "\n" + text
		}
	}
	p.replace(free, text)
}

// The parts of a fix that is to be written: keys with their values, and what else is to be done.
var (
	keyForm   = regexp.MustCompile(`^([a-z_]+) = `)
	otherForm = regexp.MustCompile(` in place of ("[^"]*") on line (\d+)$`)
	inService = regexp.MustCompile(`^ in service "([^"]*)"`)
	exampleIn = regexp.MustCompile(`^(?:write|add) [^"=]*?(?:as in|such as|one of) (["\[])`)
)

// write writes what a fix says.
func (p *paster) write(fix string) bool {
	rest, ok := strings.CutPrefix(fix, "write ")
	if added, isAdd := strings.CutPrefix(fix, "add "); isAdd {
		rest, ok = added, true
	}
	if !ok {
		return false
	}
	if m := exampleIn.FindStringSubmatchIndex(fix); m != nil {
		value, _ := scan(fix[m[2]:])
		return p.writeValue(value)
	}
	if key := keyForm.FindStringSubmatch(rest); key != nil {
		return p.writeKeys(rest)
	}
	values, tail := scanList(rest)
	if values == "" {
		return false
	}
	if m := otherForm.FindStringSubmatch(tail); m != nil {
		return p.replaceOther(m[1], m[2], values)
	}
	if next, more := strings.CutPrefix(tail, " and "); more && !p.also(next) {
		return false
	}
	return p.writeValue(values)
}

// also does what stands behind "and" in a fix, which leaves the marked text where it is.
func (p *paster) also(next string) bool {
	marked := p.text[p.at : p.at+p.width]
	if !p.writeKeys(next) {
		return false
	}
	p.at = strings.Index(p.text, marked) // such a text stands once in the tests
	return true
}

// replaceOther writes values in place of another one that stands on a line.
func (p *paster) replaceOther(other, line, values string) bool {
	lines := strings.SplitAfter(p.text, "\n")
	for i := range lines {
		if line == strconv.Itoa(i+1) {
			lines[i] = strings.Replace(lines[i], other, values, 1)
		}
	}
	p.text = strings.Join(lines, "")
	return true
}

// writeKeys gives keys their values, and takes others out: KEY = VALUE and take KEY out.
func (p *paster) writeKeys(rest string) bool {
	for first := true; ; first = false {
		if m := outForm.FindStringSubmatch(rest); m != nil {
			return p.takeKey(m[1])
		}
		if strings.HasPrefix(rest, "take this one out") {
			return p.takeMarkedPair()
		}
		key := keyForm.FindStringSubmatch(rest)
		if key == nil {
			return false
		}
		value, tail := scan(rest[len(key[0]):])
		if in := inService.FindStringSubmatch(tail); in != nil {
			p.service = slices.IndexFunc(p.read(), func(t source.Table) bool { return t.Value("name").Text == in[1] })
		}
		next, more := strings.CutPrefix(tail, " and ")
		switch {
		case p.noTOML:
			p.writeLine(key[1], value)
		case first && p.isKey && !strings.Contains(fixTail(tail), "take"):
			p.takeMarkedPairFor(key[1], value)
		default:
			p.set(key[1], value, p.atIf(p.isKey))
		}
		if !more {
			return true
		}
		rest = next
	}
}

// fixTail returns what else a fix says is to be done.
func fixTail(tail string) string {
	rest, more := strings.CutPrefix(tail, " and ")
	if !more {
		return ""
	}
	return rest
}

// atIf returns where the marked text begins, or -1.
func (p *paster) atIf(yes bool) int {
	if yes {
		return p.at
	}
	return -1
}

// takeMarkedPair takes out the pair whose key was marked, wherever it is now.
func (p *paster) takeMarkedPair() bool {
	t := p.read()[p.service]
	for _, pairs := range p.all(t) {
		seen := map[string]bool{}
		for _, pair := range pairs {
			if seen[pair.Name] {
				p.cutPair(pair)
				return true
			}
			seen[pair.Name] = true
		}
	}
	return false
}

// all returns the pairs of a table, and those of the tables in it.
func (p *paster) all(t source.Table) [][]source.Pair {
	all := [][]source.Pair{t.Pairs}
	for _, pair := range t.Pairs {
		for _, item := range append(pair.Value.Items, pair.Value) {
			all = append(all, item.Pairs)
		}
	}
	return all
}

// takeMarkedPairFor writes a pair in place of the marked one.
func (p *paster) takeMarkedPairFor(key, value string) {
	for _, pairs := range p.all(p.read()[p.service]) {
		for _, pair := range pairs {
			if pair.At.Start != p.at {
				continue
			}
			others, _ := p.scope(key)
			if slices.ContainsFunc(others, func(o source.Pair) bool { return o.Name == key && o.At.Start != p.at }) {
				p.set(key, value, p.at)
				return
			}
			p.replace(source.Span{Start: pair.At.Start, End: pair.Value.At.End}, key+" = "+value)
			return
		}
	}
	p.writeLine(key, value)
}

// writeLine writes a pair in place of one that is no TOML, from its key to the end of what can be
// its value.
func (p *paster) writeLine(key, value string) {
	begin := strings.LastIndexByte(p.text[:min(p.at, len(p.text))], '\n') + 1
	at := regexp.MustCompile(`(?m)(^|[{,]\s*)` + key + `\b[^,}\n]*`).FindStringIndex(p.text[begin:])
	if at == nil {
		return
	}
	text := p.text[begin+at[0] : begin+at[1]]
	if keep := strings.Index(text, key); keep >= 0 {
		at[0] += keep
	}
	if at[0] == 0 {
		at[1] = strings.IndexByte(p.text[begin:]+"\n", '\n')
	}
	p.text = p.text[:begin+at[0]] + key + " = " + value + p.text[begin+at[1]:]
}

// writeValue writes values in place of the marked one: of all of it, though only its first line is
// marked.
func (p *paster) writeValue(values string) bool {
	t := p.read()[p.service]
	for _, pairs := range p.all(t) {
		for _, pair := range pairs {
			for _, v := range append([]source.Value{pair.Value}, pair.Value.Items...) {
				if v.At.Start == p.at {
					p.replace(v.At, values)
					return true
				}
			}
		}
	}
	return false
}

// scan returns the value that a text begins with, and what stands behind it.
func scan(text string) (value, rest string) {
	depth := 0
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		case strings.IndexByte("[{", c) >= 0:
			depth++
		case strings.IndexByte("]}", c) >= 0:
			depth--
		case depth == 0 && strings.IndexByte(" ,;:", c) >= 0:
			return text[:i], text[i:]
		}
		if depth == 0 && strings.IndexByte(`"]}`, text[min(i, len(text)-1)]) >= 0 {
			return text[:i+1], text[i+1:]
		}
	}
	return text, ""
}

// scanList returns the values that a text begins with, with the commas between them, and the rest.
// A string alone is one value; so is what else TOML has.
func scanList(text string) (values, rest string) {
	if !strings.ContainsAny(text[:1], `"[{`) {
		return "", text
	}
	values, rest = scan(text)
	for strings.HasPrefix(rest, `, "`) {
		next, after := scan(rest[2:])
		values, rest = values+", "+next, after
	}
	return values, rest
}

// TestScan takes values off the front of a fix.
func TestScan(t *testing.T) {
	for text, want := range map[string]string{
		`"a\"b" and c`: `"a\"b"`, `["a", "b"], x`: `["a", "b"]`, `{ a = "}", b = [1] }; x`: `{ a = "}", b = [1] }`, `true`: `true`, `17, or more`: `17`,
	} {
		if got, rest := scan(text); got != want || got+rest != text {
			t.Errorf("%s: %s and %s", text, got, rest)
		}
	}
}
