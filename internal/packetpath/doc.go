// Package packetpath follows packets through everything that the kernel runs on their way:
// the chains of iptables, by both variants, with those of every table of nftables, in the
// kernel's own order. It says by which rule a packet is dropped, translated, kept from being
// tracked or put into a zone, and where no rule that it was given can tell.
//
// All of it is a function of what was read before: it asks no kernel, and knows no config.
// Thousands of packets go through a chain at once, so a rule costs what it matches and not
// how many services there are.
package packetpath
