package config

import (
	"errors"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// kind is the TOML type of a value, in the words of an error message.
type kind string

// The kinds that matter here; dates stand for every value nobody wants.
const (
	isString  kind = "a string"
	isInteger kind = "a whole number"
	isFloat   kind = "a number with a fraction"
	isBool    kind = "true or false"
	isList    kind = "a list"
	isTable   kind = "a table"
	isDate    kind = "a date or time"
)

// kinds translates the parser's kinds.
var kinds = map[unstable.Kind]kind{
	unstable.String:      isString,
	unstable.Integer:     isInteger,
	unstable.Float:       isFloat,
	unstable.Bool:        isBool,
	unstable.Array:       isList,
	unstable.InlineTable: isTable,
}

// value is one TOML value and its place.
type value struct {
	kind  kind
	text  string // of a scalar: a string without quotes and escapes, all else as typed
	at    span
	items []value // of a list
	pairs []pair  // of a table
}

// pair is one "key = value"; a dotted key keeps its dots in the name.
type pair struct {
	name  string
	at    span // of the key
	value value
}

// table is a header and the pairs below it; the pairs before the first header
// are a table without a name.
type table struct {
	name   string
	list   bool // [[name]] rather than [name]
	at     span // of the name
	pairs  []pair
	broken bool // a syntax error may have swallowed some of its pairs
}

// usualPairs is room for the keys most services have.
const usualPairs = 6

// reader walks the parser's expressions. Offsets the parser gives count from
// base, where reading was taken up again after a syntax error.
type reader struct {
	*source
	parser unstable.Parser
	base   int
	tables []table
}

// readTables reads the TOML structure of the text. After a syntax error it goes
// on at the next [[ that begins a line, so that one run names every fault. example returns how a key
// is written, or "": it is the fix for a syntax error in the value of that key.
func (s *source) readTables(example func(key string) string) []table {
	r := reader{source: s, tables: []table{{}}}
	data := []byte(s.text)
	for {
		r.parser.Reset(data[r.base:])
		for r.parser.NextExpression() {
			r.add(r.parser.Expression())
		}
		var fault *unstable.ParserError
		if !errors.As(r.parser.Error(), &fault) {
			return r.tables
		}
		at := r.span(r.parser.Range(fault.Highlight))
		r.tables[len(r.tables)-1].broken = true
		s.refuse(at, s.syntaxFix(at, example), "cannot read TOML: %s", fault.Message)
		next := strings.Index(s.text[at.start:], "\n[[")
		if next < 0 {
			return r.tables
		}
		r.base = at.start + next + 1
	}
}

// add takes in one expression: a header or a pair of the table it stands below.
func (r *reader) add(n *unstable.Node) {
	if n.Kind == unstable.KeyValue {
		last := &r.tables[len(r.tables)-1]
		last.pairs = append(last.pairs, r.pair(n))
		return
	}
	name, at := r.key(n)
	r.tables = append(r.tables, table{name: name, list: n.Kind == unstable.ArrayTable, at: at, pairs: make([]pair, 0, usualPairs)})
}

// key joins the parts of a key and returns the span of them all.
func (r *reader) key(n *unstable.Node) (string, span) {
	var parts []string
	var at span
	for it := n.Key(); it.Next(); {
		part := r.span(it.Node().Raw)
		if len(parts) == 0 {
			at = part
		}
		at.end = part.end
		parts = append(parts, string(it.Node().Data))
	}
	return strings.Join(parts, "."), at
}

// pair reads "key = value". The parser gives no place for lists, so the value's
// place is what follows the equals sign.
func (r *reader) pair(n *unstable.Node) pair {
	name, key := r.key(n)
	whole := r.span(n.Raw)
	rest := strings.TrimLeft(r.text[key.end:whole.end], "= \t")
	at := span{whole.end - len(rest), whole.end}
	return pair{name: name, at: key, value: r.value(n.Value(), at)}
}

// value reads a value that stands at a span.
func (r *reader) value(n *unstable.Node, at span) value {
	k, ok := kinds[n.Kind]
	if !ok {
		k = isDate
	}
	v := value{kind: k, text: string(n.Data), at: at}
	for it := n.Children(); it.Next(); {
		switch k {
		case isTable:
			v.pairs = append(v.pairs, r.pair(it.Node()))
		case isList:
			v.items = append(v.items, r.value(it.Node(), r.item(it.Node(), at)))
		}
	}
	return v
}

// item is the place of one item of a list that stands at list. A list in a list
// has no place of its own in the parser's tree.
func (r *reader) item(n *unstable.Node, list span) span {
	if n.Kind == unstable.Array {
		return list
	}
	return r.span(n.Raw)
}

// span turns a range of the parser into one of the whole text.
func (r *reader) span(at unstable.Range) span {
	start := r.base + int(at.Offset)
	return span{start, start + int(at.Length)}
}
