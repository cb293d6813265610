package cmdline

import (
	"errors"
	"fmt"
)

// ExitUsage is the exit code of wrong usage.
const ExitUsage = 2

// codedError is an error that decides the exit code itself.
type codedError struct {
	error
	code int
}

// Unwrap returns the error inside.
func (e *codedError) Unwrap() error { return e.error }

// Coded gives an error an exit code; nil stays nil.
func Coded(code int, err error) error {
	if err == nil {
		return nil
	}
	return &codedError{err, code}
}

// ErrSilent is an error without words: standard output said it all.
var ErrSilent = errors.New("")

// ExitSilently is an exit code without words.
func ExitSilently(code int) error { return Coded(code, ErrSilent) }

// UsageErrorf returns an error of what was typed.
func UsageErrorf(format string, args ...any) error {
	return Coded(ExitUsage, fmt.Errorf(format, args...))
}

// CodeOf returns the exit code that an error has of its own.
func CodeOf(err error) (code int, found bool) {
	var coded *codedError
	if !errors.As(err, &coded) {
		return 0, false
	}
	return coded.code, true
}
