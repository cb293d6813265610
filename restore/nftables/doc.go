// Package nftables asks the kernel what nftables holds, by netlink(7): the number of its ruleset,
// tables, chains, sets, and rules as the kernel runs them. It changes nothing, and makes no table
// that was not there. The kernel is that of the network namespace of the calling thread.
package nftables
