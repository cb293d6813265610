// Command print exists so that make install and packages ship the very files that
// natspread install writes; it must not know what is in them.
package main

import (
	"fmt"
	"os"

	"natspread/internal/paths"
	"natspread/units"
)

// main prints one of the files for a program: natspread.service, or another that is named.
func main() {
	text, err := printed(os.Args[1:])
	if err == nil {
		_, err = os.Stdout.Write(text)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "print: %v\n", err)
		os.Exit(1)
	}
}

// printed returns the file that the arguments ask for.
func printed(args []string) ([]byte, error) {
	switch {
	case len(args) == 1:
		return units.Text(args[0])
	case len(args) == 2 && args[1] == units.DropInName:
		return units.DropIn(args[0])
	case len(args) == 2 && args[1] == paths.HealthUnit:
		return units.HealthText(args[0])
	case len(args) == 2 && args[1] == paths.MetricsUnit:
		return units.MetricsText(args[0])
	case len(args) == 2 && args[1] == paths.MetricsTimer:
		return units.MetricsTimerText(args[0])
	}
	return nil, fmt.Errorf("usage: print PROGRAM [%s|%s|%s|%s]", units.DropInName, paths.HealthUnit, paths.MetricsUnit, paths.MetricsTimer)
}
