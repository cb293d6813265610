// Package config turns the text of natspread.toml into a Config whose every
// value is already true, or into errors that say where, why and what to write
// instead. The packages source, field and value read the text. No package here knows iptables'
// words or starts a process.
package config
