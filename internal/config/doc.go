// Package config turns the text of natspread.toml into a Config whose every
// value is already true, or into errors that say where, why and what to write
// instead. The text is read by the packages below it: source, field and value. It must not know iptables' words, and it starts no process.
package config
