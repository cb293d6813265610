// Package forwarding is the kernel's switches that let a host forward packets, and what
// they were before natspread.
//
// Each family has one switch for the whole host. When it is written, the kernel writes
// others along with it: see spread. So all of them are written down before it is turned,
// in a Record: what each was found at, and what natspread and the kernel left it at. A
// revert sets a switch to what was found only where it still has the value that it was left
// at. What has another value by then was set by somebody else, and stays.
//
// Records are below /run, so a reboot forgets them as the kernel forgets the switches. Where
// /run is on a disk, those of another boot are not believed. There two processes must see
// the same id of the boot, as they do unless one has a /proc of its own in a container.
package forwarding
