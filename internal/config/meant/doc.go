// Package meant tells which key was meant by one that a table of a config does not have, and the
// fix for it. It knows keys by their names alone.
package meant
