package flows

import (
	"errors"
	"fmt"

	"natspread/internal/program"

	"golang.org/x/sys/unix"
)

// conntrackError names missing rights and a missing nf_conntrack_netlink, which the
// kernel has errors of its own for, as callers know them.
func conntrackError(err error) error {
	switch {
	case errors.Is(err, unix.EPERM):
		return fmt.Errorf("%w: %w", program.ErrNoRights, err)
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("%w kernel module nf_conntrack_netlink: %w", program.ErrMissing, err)
	}
	return err
}
