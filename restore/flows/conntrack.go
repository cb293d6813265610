package flows

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"natspread/internal/rules"
)

// Each hands every entry of a family to a function, in one dump of which no more is
// held than one message of the kernel's. The library's own list knows neither ports of
// SCTP nor status, and holds a table at once that may have millions.
//
// Without rights the error is EPERM; without the kernel module nf_conntrack_netlink
// EINVAL, EPROTONOSUPPORT or EOPNOTSUPP.
func Each(ctx context.Context, family rules.Family, do func(Entry)) error {
	return dump(ctx, family, func(e Entry, _ []byte) { do(e) })
}

// deleteEntries deletes the entries of a family that a function chooses, once all are read,
// and returns how many. One that is gone by itself meanwhile is no error; errors are
// those of Each.
func deleteEntries(ctx context.Context, family rules.Family, choose func(Entry) bool) (deleted int, err error) {
	var keys [][]byte
	err = dump(ctx, family, func(e Entry, attributes []byte) {
		if choose(e) {
			keys = append(keys, key(attributes))
		}
	})
	if err != nil {
		return 0, err
	}
	return deleteKeys(ctx, family, keys)
}

// dump hands every entry of a family to a function, with its attributes, which are not
// to be kept: with them stays all that came in the same message.
func dump(ctx context.Context, family rules.Family, do func(e Entry, attributes []byte)) error {
	if none() {
		return nil
	}
	err := newRequest(family, nl.IPCTNL_MSG_CT_GET, unix.NLM_F_DUMP).ExecuteIter(unix.NETLINK_NETFILTER, 0, func(message []byte) bool {
		if len(message) >= nl.SizeofNfgenmsg {
			if e, ok := parse(message[nl.SizeofNfgenmsg:]); ok {
				do(e, message[nl.SizeofNfgenmsg:])
			}
		}
		return ctx.Err() == nil
	})
	if err == nil || errors.Is(err, nl.ErrDumpInterrupted) { // entries come and go under any dump
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("cannot read connection tracking: %w", err)
	}
	return nil
}

// none tells whether this network namespace has no entries at all: to hear that by a dump
// the kernel goes through a table that all namespaces share, which takes a while.
func none() bool {
	count, err := os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_count")
	return err == nil && string(count) == "0\n"
}

// newRequest returns a request to ctnetlink
// (include/uapi/linux/netfilter/nfnetlink_conntrack.h).
func newRequest(family rules.Family, operation, flags int) *nl.NetlinkRequest {
	request := nl.NewNetlinkRequest(unix.NFNL_SUBSYS_CTNETLINK<<8|operation, flags)
	header := &nl.Nfgenmsg{NfgenFamily: unix.AF_INET, Version: nl.NFNETLINK_V0}
	if family == rules.IPv6 {
		header.NfgenFamily = unix.AF_INET6
	}
	request.AddData(header)
	return request
}

// deleteKeys deletes the entries of a family that have these keys.
func deleteKeys(ctx context.Context, family rules.Family, keys [][]byte) (deleted int, err error) {
	if len(keys) == 0 {
		return 0, nil
	}
	socket, err := nl.Subscribe(unix.NETLINK_NETFILTER) // one for all, bound to no group
	if err != nil {
		return 0, fmt.Errorf("cannot reach connection tracking: %w", err)
	}
	defer socket.Close()
	if err := errors.Join(socket.SetSendTimeout(&nl.SocketTimeoutTv), socket.SetReceiveTimeout(&nl.SocketTimeoutTv)); err != nil {
		return 0, fmt.Errorf("cannot reach connection tracking: %w", err)
	}
	shared := map[int]*nl.SocketHandle{unix.NETLINK_NETFILTER: {Socket: socket}}
	var failures []error
	for _, key := range keys {
		if err := ctx.Err(); err != nil {
			return deleted, errors.Join(append(failures, err)...)
		}
		request := newRequest(family, nl.IPCTNL_MSG_CT_DELETE, unix.NLM_F_ACK)
		request.Sockets = shared
		request.AddRawData(key)
		switch _, err := request.Execute(unix.NETLINK_NETFILTER, 0); {
		case err == nil:
			deleted++
		case !errors.Is(err, unix.ENOENT):
			failures = append(failures, err)
		}
	}
	if len(failures) > 0 {
		return deleted, fmt.Errorf("cannot delete %d of %d connection tracking entries: %w", len(failures), len(keys), failures[0])
	}
	return deleted, nil
}
