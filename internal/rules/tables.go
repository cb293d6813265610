package rules

import "slices"

// Tables are natspread's parts of both families' tables: a nat table, and parts of the filter and
// mangle tables, for each. Those of a family without services are empty, and so are those of filter
// and mangle where no service asks for them.
type Tables struct{ IPv4, IPv6, FilterIPv4, FilterIPv6, MangleIPv4, MangleIPv6 Table }

// TableCount is how many tables there are.
const TableCount = 6

// NoTables returns the tables that hold nothing of natspread's.
func NoTables() Tables {
	var none Tables
	for i, table := range none.All() {
		*none.Places()[i] = table
	}
	return none
}

// Of returns the nat table of a family.
func (t Tables) Of(family Family) Table { return t.All()[family] }

// Filter returns natspread's part of the filter table of a family.
func (t Tables) Filter(family Family) Table { return t.All()[2+family] }

// Mangle returns natspread's part of the mangle table of a family.
func (t Tables) Mangle(family Family) Table { return t.All()[4+family] }

// All returns the tables, those that hold nothing, too: the nat tables, each at the
// place of its family, then the filter tables, and then the mangle tables.
func (t Tables) All() [TableCount]Table {
	var all [TableCount]Table
	for i, table := range t.Places() {
		all[i] = Table{Family: Family(i % 2), Name: TableName(i / 2), Chains: table.Chains, CommentedJumps: table.CommentedJumps}
	}
	return all
}

// Places returns where each table of All is kept.
func (t *Tables) Places() [TableCount]*Table {
	return [TableCount]*Table{&t.IPv4, &t.IPv6, &t.FilterIPv4, &t.FilterIPv6, &t.MangleIPv4, &t.MangleIPv6}
}

// Order returns the places of the tables in the order in which they are loaded. What lets
// connections through comes when the rules that make them stand, and where all of it goes
// it goes before these do. A kill half way leaves open, at most, what was open before, and
// what nobody translates any more. What makes segments shorter stands as long as those rules do:
// by itself it does nothing.
func (t Tables) Order() []int {
	var first, last []int
	for i, table := range t.All() {
		if table.Name == Filter && table.Empty() || table.Name == Mangle && !table.Empty() {
			first = append(first, i)
		} else {
			last = append(last, i)
		}
	}
	return append(first, last...)
}

// Equal tells whether two sets of tables have the same own chains with the same rules.
func (t Tables) Equal(other Tables) bool {
	others := other.All()
	for i, table := range t.All() {
		if !slices.EqualFunc(table.Chains, others[i].Chains, Chain.Equal) {
			return false
		}
	}
	return true
}
