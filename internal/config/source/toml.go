package source

import (
	"errors"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// Kind is the TOML type of a value, in the words of an error message.
type Kind string

// The kinds that matter here; dates stand for every value nobody wants.
const (
	String      Kind = "a string"
	Integer     Kind = "a whole number"
	Float       Kind = "a number with a fraction"
	Bool        Kind = "true or false"
	List        Kind = "a list"
	InlineTable Kind = "a table"
	Date        Kind = "a date or time"
)

// kinds translates the parser's kinds.
var kinds = map[unstable.Kind]Kind{
	unstable.String:      String,
	unstable.Integer:     Integer,
	unstable.Float:       Float,
	unstable.Bool:        Bool,
	unstable.Array:       List,
	unstable.InlineTable: InlineTable,
}

// Value is one TOML value and its place.
type Value struct {
	Kind  Kind
	Text  string // of a scalar: a string without quotes and escapes, all else as typed
	At    Span
	Items []Value // of a list
	Pairs []Pair  // of a table
}

// Pair is one "key = value"; a dotted key keeps its dots in the name.
type Pair struct {
	Name  string
	At    Span // of the key
	Value Value
}

// Table is a header and the pairs below it; the pairs before the first header of a file
// are a table without a name.
type Table struct {
	Begins bool // it has no header: a file begins with it
	Name   string
	List   bool // [[name]] rather than [name]
	At     Span // of the name
	Pairs  []Pair
	Broken bool // a syntax error may have swallowed some of its pairs
}

// Value returns the value of a key that the table has.
func (t Table) Value(key string) Value { return ValueOf(t.Pairs, key) }

// ValueOf returns the value of the first pair with a key; one without a kind where there is none.
func ValueOf(pairs []Pair, key string) Value {
	for _, p := range pairs {
		if p.Name == key {
			return p.Value
		}
	}
	return Value{}
}

// usualPairs is room for the keys most services have.
const usualPairs = 6

// reader walks the parser's expressions. Offsets the parser gives count from
// base, where a file begins, or where reading was taken up again after a syntax error.
type reader struct {
	*Source
	parser unstable.Parser
	base   int
	tables []Table
}

// ReadTables reads the TOML structure of the text. After a syntax error it goes
// on at the next [[ that begins a line, so that one run names every fault. example returns how a key
// is written, or "": it is the fix for a syntax error in the value of that key.
func (s *Source) ReadTables(example func(key string) string) []Table {
	r := reader{Source: s}
	for _, p := range s.parts {
		r.tables = append(r.tables, Table{Begins: true})
		r.readFile(p.at, example)
	}
	return r.tables
}

// readFile reads the tables of the file that stands at a span.
func (r *reader) readFile(file Span, example func(key string) string) {
	data := []byte(r.Text[file.Start:file.End])
	for r.base = file.Start; ; {
		r.parser.Reset(data[r.base-file.Start:])
		for r.parser.NextExpression() {
			r.add(r.parser.Expression())
		}
		var fault *unstable.ParserError
		if !errors.As(r.parser.Error(), &fault) {
			return
		}
		at := r.span(r.parser.Range(fault.Highlight))
		r.tables[len(r.tables)-1].Broken = true
		r.Refuse(at, r.syntaxFix(at, fault.Message, example), "cannot read TOML: %s", fault.Message)
		next := strings.Index(r.Text[at.Start:file.End], "\n[[")
		if next < 0 {
			return
		}
		r.base = at.Start + next + 1
	}
}

// add takes in one expression: a header or a pair of the table it stands below.
func (r *reader) add(n *unstable.Node) {
	if n.Kind == unstable.KeyValue {
		last := &r.tables[len(r.tables)-1]
		last.Pairs = append(last.Pairs, r.pair(n))
		return
	}
	name, at := r.key(n)
	r.tables = append(r.tables, Table{Name: name, List: n.Kind == unstable.ArrayTable, At: at, Pairs: make([]Pair, 0, usualPairs)})
}

// key joins the parts of a key and returns the span of them all.
func (r *reader) key(n *unstable.Node) (string, Span) {
	var parts []string
	var at Span
	for it := n.Key(); it.Next(); {
		part := r.span(it.Node().Raw)
		if len(parts) == 0 {
			at = part
		}
		at.End = part.End
		parts = append(parts, string(it.Node().Data))
	}
	return strings.Join(parts, "."), at
}

// pair reads "key = value". The parser gives no place for lists, so the value's
// place is what follows the equals sign.
func (r *reader) pair(n *unstable.Node) Pair {
	name, key := r.key(n)
	whole := r.span(n.Raw)
	rest := strings.TrimLeft(r.Text[key.End:whole.End], "= \t")
	at := Span{whole.End - len(rest), whole.End}
	return Pair{Name: name, At: key, Value: r.value(n.Value(), at)}
}

// value reads a value that stands at a span.
func (r *reader) value(n *unstable.Node, at Span) Value {
	k, ok := kinds[n.Kind]
	if !ok {
		k = Date
	}
	v := Value{Kind: k, Text: string(n.Data), At: at}
	for it := n.Children(); it.Next(); {
		switch k {
		case InlineTable:
			v.Pairs = append(v.Pairs, r.pair(it.Node()))
		case List:
			v.Items = append(v.Items, r.value(it.Node(), r.item(it.Node(), at)))
		}
	}
	if brace := (Span{at.Start, at.Start + 1}); k == InlineTable && at == brace { // which is all that the parser gives for one in a list
		if n := len(v.Pairs); n > 0 {
			brace = v.Pairs[n-1].Value.At
		}
		v.At.End = brace.End + strings.IndexByte(r.Text[brace.End:], '}') + 1
	}
	return v
}

// item is the place of one item of a list that stands at list. A list in a list
// has no place of its own in the parser's tree.
func (r *reader) item(n *unstable.Node, list Span) Span {
	if n.Kind == unstable.Array {
		return list
	}
	return r.span(n.Raw)
}

// span turns a range of the parser into one of the whole text.
func (r *reader) span(at unstable.Range) Span {
	start := r.base + int(at.Offset)
	return Span{start, start + int(at.Length)}
}

// isTOML tells whether a text has no syntax error.
func isTOML(text string) bool {
	var parser unstable.Parser
	return parse(&parser, text) == nil
}

// parse has a parser go through a text, and returns its syntax error.
func parse(parser *unstable.Parser, text string) error {
	parser.Reset([]byte(text))
	for parser.NextExpression() {
		_ = parser.Expression()
	}
	return parser.Error()
}

// brokenAt returns where the parser meets the first syntax error of a text, or a place behind its end.
func brokenAt(text string) int {
	var parser unstable.Parser
	var fault *unstable.ParserError
	if !errors.As(parse(&parser, text), &fault) {
		return len(text) + len(`",`)
	}
	return int(parser.Range(fault.Highlight).Offset)
}
