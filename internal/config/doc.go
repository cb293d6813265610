// Package config turns the text of natspread.toml into a Config whose every
// value is already true, or into errors that say where, why and what to write
// instead. It must not know iptables' words, and it starts no process.
package config
