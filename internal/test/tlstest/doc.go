// Package tlstest holds docs/tls.md to what it says: its texts are run by the programs that
// they are for.
package tlstest
