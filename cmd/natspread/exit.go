package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"natspread/internal/change"
	"natspread/internal/cmdline"
	"natspread/internal/config"
	"natspread/internal/failure"
	"natspread/internal/namespace"
	"natspread/internal/program"
	"natspread/restore/iptables"
)

// The exit codes, as the manual has them.
const (
	exitDone      = 0
	exitFailed    = 1                 // nothing was changed, or the words say what; diff, status, doctor, selftest: something is broken or differs
	exitUsage     = cmdline.ExitUsage // diff: any trouble that has no code of its own
	exitNotLoaded = 3                 // status
	exitNoRights  = 4
	exitMissing   = 5 // iptables, a match or target of the kernel, or Graphviz's dot
	exitConfig    = 6 // missing or wrong
	exitBusy      = 75
)

// exitCodes returns the exit codes with what --help says of them.
func exitCodes() []cmdline.Exit {
	return []cmdline.Exit{
		{Code: exitDone, Words: "done"},
		{Code: exitFailed, Words: "failed, saying what changed; diff, status, doctor, selftest: not as wanted"},
		{Code: exitUsage, Words: "wrong usage; diff: trouble without a code of its own"},
		{Code: exitNotLoaded, Words: "status: nothing is loaded"},
		{Code: exitNoRights, Words: "a right is missing, such as CAP_NET_ADMIN"},
		{Code: exitMissing, Words: "iptables, a match or target of the kernel, or Graphviz's dot is missing"},
		{Code: exitConfig, Words: "the config is missing or wrong"},
		{Code: exitBusy, Words: "another natspread is at work, or iptables' lock is held"},
	}
}

// exitCode returns the code of an error.
func exitCode(err error) int {
	var wrong config.Errors
	var unread *change.UnreadError
	if code, found := cmdline.CodeOf(err); found {
		return code
	}
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, fs.ErrPermission) && errors.As(err, &unread):
		return exitNoRights
	case errors.As(err, &wrong), errors.As(err, &unread):
		return exitConfig
	case errors.Is(err, program.ErrNoRights):
		return exitNoRights
	case errors.Is(err, program.ErrMissing):
		return exitMissing
	case errors.Is(err, program.ErrBusy):
		return exitBusy
	case errors.Is(err, fs.ErrPermission): // to a file of ours; what may not be run is missing
		return exitNoRights
	}
	return exitFailed
}

// needRights refuses, before any work, what takes rights over the nat table.
func needRights(verb string) error {
	if iptables.HasNetAdmin() {
		return nil
	}
	here, fix := "", failure.Sign+"sudo natspread "+verb
	if os.Geteuid() == 0 {
		here, fix = ": root here does not have it (a container?)", ""
		if verb == "install" {
			fix = failure.Sign + "natspread install --offline # for an image"
		}
	}
	return cmdline.Coded(exitNoRights, fmt.Errorf("%s needs root's rights over the network (CAP_NET_ADMIN)%s; nothing was changed%s", verb, here, fix))
}

// needKernel is needRights for a verb that changes the kernel, and refuses to change one
// that is not the root's own: with a --root other than /, or in a chroot, the kernel is the
// running machine's. In a network namespace that is known not to be PID 1's nothing is refused.
func (s *session) needKernel(verb string) error {
	if err := needRights(verb); err != nil {
		return err
	}
	foreign := s.root != "/" || namespace.Chrooted()
	if !foreign || s.live || namespace.Network() == namespace.Another {
		return nil
	}
	return cmdline.UsageErrorf("natspread %s would change the running kernel, not the image: natspread install --offline writes the image, as natspread --root IMAGE install does from outside; --live changes the running kernel all the same; nothing was changed", verb)
}
