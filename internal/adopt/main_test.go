package adopt

import (
	"flag"
	"os"
	"strconv"
	"testing"

	"natspread/internal/test/testsize"
)

// TestMain says how many configs each property is tried with, unless the command line does.
func TestMain(m *testing.M) {
	flag.Parse()
	const checks = "rapid.checks"
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == checks })
	if !given {
		if err := flag.Set(checks, strconv.Itoa(testsize.Of(20, 100))); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
