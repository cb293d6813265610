// Command print exists so that make install and packages ship the very unit that
// natspread install writes; it must not know what is in it.
package main

import (
	"fmt"
	"os"

	"natspread/units"
)

// main prints natspread.service for the program at the path that is its argument.
func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: print PROGRAM")
		os.Exit(2)
	}
	text, err := units.Text(os.Args[1])
	if err == nil {
		_, err = os.Stdout.Write(text)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "print: %v\n", err)
		os.Exit(1)
	}
}
