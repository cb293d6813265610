// Package probe asks one backend once whether it is there, and judges the answer.
//
// It knows addresses only: no name is ever resolved, no proxy is asked, no redirect is followed.
// Every TCP connection ends with a reset, so a check leaves no socket in TIME_WAIT, and an
// entry of connection tracking that lives 10 s instead of 120 s.
package probe
