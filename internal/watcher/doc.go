// Package watcher is the loop of the verb health: it has the backends checked, and the rules
// changed when one goes down or comes up again.
//
// It carries no packet and decides little: what answers make of a backend, when it is asked
// again and which backends a service uses say internal/health. All that touches the host is a
// function of Seams, so tests need no kernel and no clock.
//
// # Goroutines
//
// One goroutine, of Run, owns all state and waits for nothing but its channels. Whatever may
// take its time runs beside it and answers by a channel: each check under way, one load of
// rules, one reading of what is to be held, one writing of the states, one look at connection
// tracking, one writing of metrics. So checks go on while iptables' lock is held by others.
//
// # What is loaded
//
// The watcher follows what the kernel is to hold (generation.Wanted), and makes an overlay over
// that and nothing else. It loads when its choice differs from what the record of the overlay
// says, never because the kernel differs from the record: what others flushed or edited stays so.
package watcher
