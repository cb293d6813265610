// Command natspread balances connections with nothing but the kernel's nat table,
// and puts that table back at every boot.
//
// It holds flags, wiring and exit codes: a file and a struct of flags for each verb. It
// knows neither the syntax of rules nor that of units, nor judges a host.
package main

import (
	"os"
	"runtime/debug"
	"time"

	"natspread/internal/console"
	"natspread/internal/program"
)

// main runs the program. Everything below it gets its input and output as values.
func main() {
	// A Go program that crashes exits with 2, as for wrong usage: this one ends by SIGABRT, once
	// it has written what each goroutine did.
	debug.SetTraceback("crash")
	// A run is over sooner than most garbage is worth collecting, but one that stays, or has
	// thousands of services, shall not take all the memory of a small machine.
	debug.SetGCPercent(400)
	time.AfterFunc(10*time.Second, func() { debug.SetGCPercent(100) })
	debug.SetMemoryLimit(140 << 20)
	locks := new(program.Locks)
	os.Exit(run(os.Args[1:], &session{Console: console.Console{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}, runner: locks.Exec(), locks: locks, connect: connectSystemd}))
}
