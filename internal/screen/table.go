package screen

import (
	"slices"
	"strings"
)

// Table is rows below one another. Its columns are as wide as what is in them.
type Table struct {
	Indent  int // columns before each line
	Columns []Column
	Notes   string // the heading of the notes; "" is none
	Rows    []Row
}

// Column is a column of a table.
type Column struct {
	Name  string // its heading
	Right bool   // what is in it ends below one another, as numbers do
}

// Row is a row of a table: what is in each of its columns, and behind them what has no column.
type Row struct {
	Cells []string
	Note  string // words; below the row where there is no room
	Spare string // shown where there is room for that of each row, and no note
}

// gap is between two columns.
const gap = "  "

// Remove takes a column out.
func (t *Table) Remove(column int) {
	t.Columns = slices.Delete(t.Columns, column, column+1)
	for i := range t.Rows {
		t.Rows[i].Cells = slices.Delete(t.Rows[i].Cells, column, column+1)
	}
}

// Text writes the table. If a line has no room for all columns, the first one gets a line of its own, and the others
// stand below it. A table whose columns have no names has no headings, and one without rows is nothing.
func (t Table) Text(s Screen) string {
	if len(t.Rows) == 0 {
		return ""
	}
	f := t.layout(s)
	var written strings.Builder
	if names, named := t.names(); named {
		line := t.line(names, f)
		if t.Notes != "" {
			line += gap + t.Notes
		}
		written.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	spare := s.Columns == 0 || f.room >= t.spare()
	for _, row := range t.Rows {
		if row.Note == "" && spare {
			row.Note = row.Spare
		}
		written.WriteString(f.noted(s, t.line(row.Cells, f), row.Note) + "\n")
	}
	return written.String()
}

// layout is how a table is written on a screen.
type layout struct {
	widths []int // of the columns
	folded bool  // the first column has a line of its own
	room   int   // columns that are left behind a row; less than none where s.Columns is 0
	below  int   // so far in stands a note that has no room there
}

// layout returns how the table is written.
func (t Table) layout(s Screen) layout {
	f := layout{widths: t.widths(), below: t.Indent + further}
	all := t.Indent - len(gap)
	for _, width := range f.widths {
		all += len(gap) + width
	}
	if f.folded = s.Columns > 0 && all > s.Columns; f.folded {
		all += further - len(gap) - f.widths[0]
		f.below += further
	}
	f.room = s.Columns - all - len(gap)
	return f
}

// widths returns how wide each column is.
func (t Table) widths() []int {
	widths := make([]int, len(t.Columns))
	for i, column := range t.Columns {
		widths[i] = Width(column.Name)
		for _, row := range t.Rows {
			widths[i] = max(widths[i], Width(row.Cells[i]))
		}
	}
	return widths
}

// spare returns how wide the widest Spare is.
func (t Table) spare() int {
	width := 0
	for _, row := range t.Rows {
		width = max(width, Width(row.Spare))
	}
	return width
}

// names returns the headings, and whether there are any.
func (t Table) names() (names []string, named bool) {
	for _, column := range t.Columns {
		names = append(names, column.Name)
		named = named || column.Name != ""
	}
	return names, named
}

// line writes the cells of a row: in one line, or with the first in a line of its own.
func (t Table) line(cells []string, f layout) string {
	indent := strings.Repeat(" ", t.Indent)
	var padded []string
	for i, cell := range cells {
		blanks := strings.Repeat(" ", f.widths[i]-Width(cell))
		if t.Columns[i].Right {
			cell = blanks + cell
		} else {
			cell += blanks
		}
		padded = append(padded, cell)
	}
	if f.folded {
		return indent + strings.TrimRight(padded[0], " ") + "\n" + indent + strings.Repeat(" ", further) + strings.Join(padded[1:], gap)
	}
	return indent + strings.Join(padded, gap)
}

// narrow is the least room for words: with less they are read more easily below the row.
const narrow = 24

// noted adds a note to the line of a row.
func (f layout) noted(s Screen, line, note string) string {
	inside := func(indent int) string { return s.wrap(strings.Repeat(" ", indent)+note, indent, "  ", " ") }
	switch {
	case note == "":
		return strings.TrimRight(line, " ")
	case s.Columns == 0, Width(note) <= f.room:
		return line + gap + note
	case f.room < narrow:
		return strings.TrimRight(line, " ") + "\n" + inside(f.below)
	}
	return line + gap + strings.TrimLeft(inside(s.Columns-f.room), " ")
}
