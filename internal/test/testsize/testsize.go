// Package testsize says how large a test's cases are: in CI as large as they can be, and
// elsewhere small, so that nobody waits for a promise that CI proves anyway.
//
// The rule: a test takes every kind of case in both sizes. Only how many or how large
// they are may differ, and in CI a test leaves nothing out.
package testsize

import (
	"flag"
	"os"
	"strconv"
)

// CI is the environment variable that machines set which test each change, and .ci/run
// too. "make test CI=true" is what they run.
const CI = "CI"

// Whole tells whether tests take their largest cases. Some machines set CI to true or 1,
// some to a name of their own.
func Whole() bool {
	value := os.Getenv(CI)
	return value != "" && value != "0" && value != "false"
}

// Of returns the first number, or the second one where tests take their largest cases.
func Of(small, whole int) int {
	if Whole() {
		return whole
	}
	return small
}

// Takes tells whether a test takes a case of a table of two kinds or more, each with each: one of
// every so many by the sum of its places in both, so that each kind has its cases, and all of them
// where tests take their largest cases.
func Takes(places, every int) bool { return Whole() || places%every == 0 }

// SetChecks sets how many cases rapid tries each property with, unless the command line says it: call it
// from TestMain, when flags are parsed.
func SetChecks(small, whole int) {
	const checks = "rapid.checks"
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == checks })
	if given {
		return
	}
	if err := flag.Set(checks, strconv.Itoa(Of(small, whole))); err != nil {
		panic(err) // the test does not import rapid
	}
}
