// Package restore is everything that touches the kernel and the generations on
// disk: proof, load, read back, forwarding, and putting it all back at boot.
//
// It imports neither config nor render, and must never do so: the boot path takes
// the last proven bytes, so a config that no longer parses cannot break a boot. It
// knows no service, no weight and no systemd.
package restore
