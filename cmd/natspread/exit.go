package main

import (
	"errors"
	"fmt"

	"natspread/internal/change"
	"natspread/internal/config"
	"natspread/internal/namespace"
	"natspread/internal/program"
	"natspread/restore/iptables"
)

// The exit codes, as the manual has them.
const (
	exitDone      = 0
	exitFailed    = 1 // nothing was changed, or the words say what; diff, status, doctor: something is broken or differs
	exitUsage     = 2 // diff: any trouble that has no code of its own
	exitNotLoaded = 3 // status
	exitNoRights  = 4
	exitMissing   = 5 // iptables, a match or target of the kernel, or Graphviz's dot
	exitConfig    = 6 // missing or wrong
	exitBusy      = 75
)

// exitCodes returns the exit codes with what --help says of them.
func exitCodes() []exitWords {
	return []exitWords{
		{exitDone, "done"},
		{exitFailed, "failed, saying what was changed; diff: they differ; status, doctor: broken"},
		{exitUsage, "wrong usage; diff: trouble without a code of its own"},
		{exitNotLoaded, "status: nothing is loaded"},
		{exitNoRights, "a right is missing, such as CAP_NET_ADMIN"},
		{exitMissing, "iptables, a match or target of the kernel, or Graphviz's dot is missing"},
		{exitConfig, "the config is missing or wrong"},
		{exitBusy, "another natspread is at work, or iptables' lock is held"},
	}
}

// exitWords is an exit code and its meaning.
type exitWords struct {
	code  int
	words string
}

// codedError is an error that decides the exit code itself.
type codedError struct {
	error
	code int
}

// Unwrap returns the error inside.
func (e *codedError) Unwrap() error { return e.error }

// coded gives an error an exit code; nil stays nil.
func coded(code int, err error) error {
	if err == nil {
		return nil
	}
	return &codedError{err, code}
}

// errSilent is an error without words: standard output said it all.
var errSilent = errors.New("")

// exitSilently is an exit code without words.
func exitSilently(code int) error { return coded(code, errSilent) }

// usageErrorf returns an error of what was typed.
func usageErrorf(format string, args ...any) error {
	return coded(exitUsage, fmt.Errorf(format, args...))
}

// exitCode returns the code of an error.
func exitCode(err error) int {
	var fixed *codedError
	var wrong config.Errors
	var unread *change.UnreadError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &fixed):
		return fixed.code
	case errors.As(err, &wrong), errors.As(err, &unread):
		return exitConfig
	case errors.Is(err, program.ErrNoRights):
		return exitNoRights
	case errors.Is(err, program.ErrMissing):
		return exitMissing
	case errors.Is(err, program.ErrBusy):
		return exitBusy
	}
	return exitFailed
}

// needRights refuses, before any work, what takes rights over the nat table.
func needRights(verb string) error {
	if iptables.HasNetAdmin() {
		return nil
	}
	return coded(exitNoRights, fmt.Errorf("%s needs root's rights over the network (CAP_NET_ADMIN): run sudo natspread %s; nothing was changed", verb, verb))
}

// needKernel is needRights for a verb that changes the kernel, and refuses to change one
// that is not the root's own: with a --root other than /, or in a chroot, the kernel is the
// running machine's. In a network namespace that is not PID 1's, or where that cannot be told,
// nothing is refused.
func (s *session) needKernel(verb string) error {
	if err := needRights(verb); err != nil {
		return err
	}
	foreign := s.root != "/" || namespace.Root() == namespace.Another
	if !foreign || s.live || namespace.Network() != namespace.Inits {
		return nil
	}
	return usageErrorf("natspread %s would change the running kernel, not the image: natspread --root IMAGE install writes an image; --live changes the running kernel all the same; nothing was changed", verb)
}
