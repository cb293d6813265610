package restore

import "natspread/internal/rules"

// Tables are natspread's parts of both families' tables.
type Tables struct{ IPv4, IPv6, FilterIPv4, FilterIPv6 rules.Table }

// tableCount is how many those are.
const tableCount = 4

// noTables returns the tables that hold nothing of natspread's.
func noTables() Tables {
	var none Tables
	for i, table := range none.All() {
		*none.places()[i] = table
	}
	return none
}

// Of returns the nat table of a family.
func (t Tables) Of(family rules.Family) rules.Table { return t.All()[family] }

// Filter returns natspread's part of the filter table of a family.
func (t Tables) Filter(family rules.Family) rules.Table { return t.All()[2+family] }

// All returns the tables, those that hold nothing, too: the nat tables, each at the
// place of its family, and then the filter tables.
func (t Tables) All() [tableCount]rules.Table {
	var all [tableCount]rules.Table
	for i, table := range t.places() {
		all[i] = rules.Table{Family: rules.Family(i % 2), Kind: rules.Kind(i / 2), Chains: table.Chains}
	}
	return all
}

// places returns where each table of All is kept.
func (t *Tables) places() [tableCount]*rules.Table {
	return [tableCount]*rules.Table{&t.IPv4, &t.IPv6, &t.FilterIPv4, &t.FilterIPv6}
}

// order returns the places of the tables in the order in which they are loaded. What lets
// connections through comes when the rules that make them stand, and where all of it goes
// it goes before these do. A kill half way leaves open, at most, what was open before, and
// what nobody translates any more.
func (t Tables) order() []int {
	var first, last []int
	for i, table := range t.All() {
		if table.Kind == rules.Filter && table.Empty() {
			first = append(first, i)
		} else {
			last = append(last, i)
		}
	}
	return append(first, last...)
}
