package main

import (
	"fmt"

	"github.com/rogpeppe/go-internal/diff"

	"natspread/restore"
)

// diffGenerations compares the rules of two generations, or those of one with the
// current one's.
func (s *session) diffGenerations(o options) error {
	from, to, err := o.twoGenerations()
	if err != nil {
		return troubled(err)
	}
	var result diffResult
	for _, family := range o.diffFamilies() {
		result.add(diff.Diff(
			fmt.Sprintf("generation %d %v", from.Generation, family), from.Tables.Of(family).Text(),
			fmt.Sprintf("generation %d %v", to.Generation, family), to.Tables.Of(family).Text()))
	}
	summary := fmt.Sprintf("generation %d adds %%s to those of generation %d and takes %%s away", to.Generation, from.Generation)
	return s.printDiff(o, summary, result)
}

// twoGenerations returns the two that are to be compared.
func (o options) twoGenerations() (from, to restore.Generation, err error) {
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
