// Package restore is what natspread does with a host: apply, try, confirm, revert, boot,
// stop and status. It holds the order of the steps and how each one is reverted. The steps
// themselves are in the packages below it: iptables has the kernel's tables, generation the
// files on disk, flows the tracked connections, forwarding the kernel's switches.
//
// # State
//
// The kernel holds natspread's part of six tables, nat, filter and mangle of IPv4 and IPv6, by one
// of the two variants of iptables, and a forwarding switch for each family. A reboot empties
// all of it.
//
// The disk holds generations: numbered directories of rules, services, config and manifest,
// whose files never change, and the link current. Boot loads what current leads to. Numbers
// only go up; the newest ten that were current once are kept.
//
// /run holds what a reboot is to forget: the locks, the generation that waits to be
// confirmed, the overlay, what the switches were found at and left at, which generation or
// overlay the kernel was last read to hold, what rules counted that are there no more, and the
// tables that an exclusive apply replaced.
//
// # What is wanted
//
// generation.Store.Wanted answers what the kernel is to hold now: the generation that waits
// to be confirmed, else the one that boot ends up with. That is the current one or, where it
// is damaged, the newest good one. If it has an overlay, the kernel is to hold that in place of
// the generation's own tables. Status, stop, apply, confirm and restore all ask there.
//
// # Overlay
//
// An overlay is a generation's tables without some backends, or with some that join.
// LoadOverlay loads it, for those who check backends, or drain one until the next load. It
// changes neither a generation nor current, and boot never reads it.
//
// Its record is there exactly as long as the kernel is meant to hold the overlay. LoadOverlay,
// and Apply and Try with Request.Standing, write the record before the load; whatever loads a
// generation's own tables drops it with that load. While a load lasts the record says so, and it
// still does after a kill: then nobody knows what the kernel holds, and the next LoadOverlay
// brings every chain in sync. The record counts for nothing if it is not whole, not root's alone,
// of another generation, or of another boot or network namespace. Where a kernel does not tell
// its namespaces apart, before Linux 5.14, there are no overlays.
//
// LoadOverlay changes the chains in which the old and the new tables differ, and nothing else:
// it puts back no jump and no chain that somebody else changed or flushed. It sends and reads
// these chains only. By nft nothing else is read at all as long as the number of the ruleset is
// the recorded one. Its caller says which record it has seen; if there is another one, or
// another generation, it is ErrStale.
//
// # Apply
//
// A step that fails reverts all steps before it, and the error says "nothing was changed",
// or what could not be reverted. What is current and loaded already is left alone.
//
//  1. Proof: the host's own programs load each chain that is new into a scratch network
//     namespace, and what they read back must be the same. The namespace ends with it.
//     Without the right to make one 3 and 4 are the proof, as at boot.
//  2. Generation: its files are written to a directory that has no number yet, while 1 goes
//     on, as a proof leaves the disk alone. To revert is to remove it.
//  3. Load: one transaction for each table changes natspread's chains and jumps, and nothing
//     else. To revert is a transaction back to what was read before, however odd that was.
//  4. Read back: the kernel must hold what it was given, whatever the programs' exit codes
//     are. To revert is as in 3.
//  5. Current: the directory gets its number, and one rename makes current lead to it. To
//     revert is to let current lead where it led, and to remove the directory.
//  6. Forwarding: it is switched on for each family that has rules. To revert is to write
//     the values that were found, of these switches and of those that the kernel sets along
//     with them, where nobody has set them since.
//
// The change stands then. What follows fails with a note, and reverts nothing: natspread's
// rules in the other variant are taken out, generations beyond ten are deleted, and so are
// entries of connection tracking that keep packets from where the rules now lead: UDP, and TCP
// that was never answered, of a backend that was taken out.
//
// A kill or a power cut at any moment leaves one whole generation current, the old one or
// the new one. The next run removes what was half written.
//
// # Boot, trial, stop
//
// Restore loads what boot ends up with, reads it back and switches forwarding on. It proves
// only what was not proven by the variant in use, and works on a disk that is read-only. Where
// the kernel holds an overlay of it, and somebody has the lock of the watcher, it changes
// nothing.
//
// Try is an apply that leaves current as it is. It schedules the revert, records the
// generation in /run, and only then loads; no other apply is taken meanwhile. Confirm makes
// the generation current. Revert, by hand or when the time is over, loads what was there
// before. A reboot ends the trial too: boot never knew of it.
//
// Stop takes natspread's part out of both variants, and reverts the switches. Generations
// stay.
//
// # Locks and threads
//
// One lock lets one process change a host at a time. Status takes it, shared, only when
// something differs. The watcher holds a lock of its own as long as it lives. LockEdit is for
// those who read a config, change it and apply it. Each wait for a lock ends with
// program.ErrBusy after 5 s, at boot after Host.Wait. The kernel frees the lock when the process
// that took it, and the programs that it began, have ended. A Host is a value without state, for
// any number of goroutines. The kernel is that of the network namespace of the calling thread.
//
// # What is never done
//
// Nothing here, or below, parses a config, renders a rule, resolves a name, knows systemd or
// asks for the time of day: callers hand in tables, services and times. It imports neither
// config nor render nor units, so a config that no longer parses cannot break a boot.
package restore
