// Package flows is the tracked connections of services: read over netlink, counted for
// each backend, and deleted where they keep packets from what the rules now say.
//
// Rules of the nat table meet the first packet of a connection only, so a change of rules
// alone moves no connection that is open. An entry is deleted by its own key, never a whole
// table at once, and only where it leads where some service led or should lead. It knows
// services and tables, and neither generations nor configs.
//
// A connection that another balancer had before begins here with whichever packet comes first.
// If the backend sent that packet, the kernel takes the backend for the one that began. This
// package reads such an entry as that of the client's connection.
//
// All is of the network namespace of the calling thread.
package flows
