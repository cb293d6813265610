// Package health says what is checked of a config's backends, what the answers make of each,
// and which backends a service uses then.
//
// It is pure: the time is an argument, and it knows no clock, socket, file or rule.
package health
