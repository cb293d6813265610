// Package iptables is the iptables of a host: its two variants and their programs, the
// live tables, the one transaction that changes natspread's part of a table and nothing
// else, and the proof of a table in a scratch network namespace.
//
// It knows tables and rules only: no generation, no service, no config. What it reports as
// loaded it has read back from the kernel; exit codes of iptables' programs prove nothing.
// A change is a transaction from what was read to what is wanted, and its revert is one
// from what is then there to what was read. To read makes no table that was not there.
package iptables
