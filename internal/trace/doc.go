// Package trace follows a packet's path through rules.Tables: the exact share of
// connections that meets each end, what a person asks of one connection, and the chains
// as a graph.
//
// It is pure, like the tables that it reads.
package trace
