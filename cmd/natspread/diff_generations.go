package main

import (
	"errors"
	"fmt"

	"natspread/restore/generation"

	"github.com/rogpeppe/go-internal/diff"
)

// diffGenerations compares two generations, or one with the current one.
func (s *session) diffGenerations(o options) error {
	from, to, err := o.twoGenerations()
	if err != nil {
		return troubled(err)
	}
	var result diffResult
	before, after := from.Tables.All(), to.Tables.All()
	for _, i := range o.diffTables() {
		result.add(diff.Diff(
			fmt.Sprintf("generation %d %s", from.Generation, before[i].String()), before[i].Text(),
			fmt.Sprintf("generation %d %s", to.Generation, after[i].String()), after[i].Text()))
	}
	was, err := savedConfig(from)
	is, alsoErr := savedConfig(to)
	if result.unnamed = errors.Join(err, alsoErr); result.unnamed == nil {
		result.name(serviceChanges(was, is, o.diffFamilies()))
	}
	return s.printDiff(o, fmt.Sprintf("generation %d brings to generation %d", to.Generation, from.Generation), result)
}

// twoGenerations returns the two that are to be compared.
func (o options) twoGenerations() (from, to generation.Generation, err error) {
	if from, err = o.store().Find(o.generations[0]); err != nil {
		return from, to, err
	}
	if len(o.generations) == 1 {
		to, err = o.store().Current()
		return from, to, err
	}
	to, err = o.store().Find(o.generations[1])
	return from, to, err
}
