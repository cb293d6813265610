package render

import (
	"flag"
	"os"
	"testing"

	"natspread/internal/test/testsize"
)

// TestMain bounds how many configs each property is tried with.
func TestMain(m *testing.M) {
	flag.Parse()
	testsize.SetChecks(40, 100)
	os.Exit(m.Run())
}
