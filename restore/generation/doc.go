// Package generation is the numbered, complete sets of files that boot loads: written
// atomically, read with distrust, made current by one link. It answers what the kernel is
// to hold now.
//
// It changes no kernel. What it reads it checks before it hands it on: whose the file is,
// who may write it, its size, its checksum and the strict grammar of its rules. A generation
// never changes once it is written; one that is not good gives way to an older one, and is
// never repaired. What only this boot is to know stands in /run: the generation that waits
// to be confirmed, the overlay that the kernel is to hold in place of a generation's own
// tables, which of these it was last read to hold, and what rules counted that are gone.
package generation
