// Package edit changes the text of a config where it has to, and leaves all else as it was,
// to the byte.
package edit
