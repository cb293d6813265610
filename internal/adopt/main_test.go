package adopt

import (
	"flag"
	"os"
	"testing"

	"natspread/internal/test/testsize"
)

// TestMain bounds how many configs each property is tried with.
func TestMain(m *testing.M) {
	flag.Parse()
	testsize.SetChecks(20, 100)
	os.Exit(m.Run())
}
