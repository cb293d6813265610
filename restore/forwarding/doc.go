// Package forwarding is the kernel's switches that let a host forward packets, and what
// they were before natspread.
//
// They are net.ipv4.ip_forward and net.ipv6.conf.all.forwarding. Each is switched on only
// where its family has rules, and the value found before is kept in a file until it is
// written back or a reboot forgets both. A switch that has its value already is not written.
package forwarding
