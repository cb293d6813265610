package killtest

import (
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// common are the system calls that change something, by their numbers, on every machine:
// files, processes, namespaces, locks, and what is sent to the kernel.
func common() map[uint64]string {
	return map[uint64]string{
		unix.SYS_OPENAT: "openat", unix.SYS_WRITE: "write", unix.SYS_PWRITE64: "pwrite64", unix.SYS_WRITEV: "writev",
		unix.SYS_RENAMEAT: "renameat", unix.SYS_RENAMEAT2: "renameat2", unix.SYS_LINKAT: "linkat", unix.SYS_SYMLINKAT: "symlinkat",
		unix.SYS_UNLINKAT: "unlinkat", unix.SYS_MKDIRAT: "mkdirat", unix.SYS_MKNODAT: "mknodat",
		unix.SYS_FTRUNCATE: "ftruncate", unix.SYS_FCHMOD: "fchmod", unix.SYS_FCHMODAT: "fchmodat", unix.SYS_FCHOWN: "fchown", unix.SYS_FCHOWNAT: "fchownat",
		unix.SYS_FSYNC: "fsync", unix.SYS_FDATASYNC: "fdatasync", unix.SYS_FLOCK: "flock",
		unix.SYS_SENDTO: "sendto", unix.SYS_SENDMSG: "sendmsg", unix.SYS_SETSOCKOPT: "setsockopt",
		unix.SYS_CLONE: "clone", unix.SYS_CLONE3: "clone3", unix.SYS_EXECVE: "execve",
		unix.SYS_UNSHARE: "unshare", unix.SYS_SETNS: "setns", unix.SYS_MOUNT: "mount", unix.SYS_UMOUNT2: "umount2",
	}
}

// numbers are all of them.
func numbers() map[uint64]string {
	all := common()
	maps.Copy(all, older())
	return all
}

// callInfo is what PTRACE_GET_SYSCALL_INFO tells at the beginning of a call: ptrace(2).
type callInfo struct {
	op      uint8
	_       [3]uint8
	_       uint32
	_, _    uint64
	number  uint64
	args    [6]uint64
	seccomp uint64
}

// beginning is PTRACE_SYSCALL_INFO_ENTRY.
const beginning = 1

// changing returns the name of the call that a thread is about to make, "" if it is none
// that changes something: opening without making, asking the kernel for what it holds, and
// what only Go's runtime is concerned with, threads and what wakes them.
func (t *tracer) changing(tid int) string {
	var info callInfo
	_, _, failed := unix.Syscall6(unix.SYS_PTRACE, unix.PTRACE_GET_SYSCALL_INFO, uintptr(tid),
		unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0)
	if failed != 0 {
		return "" // it was killed
	}
	if info.op != beginning {
		return ""
	}
	name := t.names[info.number]
	switch {
	case name == "openat" && info.args[2]&(unix.O_CREAT|unix.O_TRUNC) == 0,
		name == "open" && info.args[1]&(unix.O_CREAT|unix.O_TRUNC) == 0,
		name == "clone" && info.args[0]&unix.CLONE_THREAD != 0,
		name == "write" && wakes(tid, info.args[0]),
		name == "sendto" && asks(tid, info.args[1], info.args[2]):
		return ""
	case name == "setsockopt":
		return legacy(info.args[1], info.args[2])
	}
	return name
}

// The options of a socket by which iptables-legacy changes a table: IPT_SO_SET_REPLACE puts
// new rules in its place, with their counters at 0, and IPT_SO_SET_ADD_COUNTERS adds to
// those what the old ones had. They are the same for IPv6.
const (
	Replace     = "setsockopt replace"
	AddCounters = "setsockopt counters"
)

// legacy returns which of the two an option is, "" if it is neither.
func legacy(level, option uint64) string {
	const replace, addCounters = 64, 65
	switch {
	case level != unix.IPPROTO_IP && level != unix.IPPROTO_IPV6:
		return ""
	case option == replace:
		return Replace
	case option == addCounters:
		return AddCounters
	}
	return ""
}

// wakes tells whether a file is one of the kernel's own that only wake a thread.
func wakes(tid int, fd uint64) bool {
	target, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", tid, fd))
	return strings.HasPrefix(target, "anon_inode:")
}

// asks tells whether what is sent is a message of netlink(7) that only asks: for a list, for
// one of nftables' things, or for what a match of iptables can do.
func asks(tid int, address, length uint64) bool {
	header := make([]byte, unix.SizeofNlMsghdr)
	if length < uint64(len(header)) {
		return false
	}
	if _, err := unix.PtracePeekData(tid, uintptr(address), header); err != nil {
		return false
	}
	kind, flags := binary.NativeEndian.Uint16(header[4:]), binary.NativeEndian.Uint16(header[6:])
	switch kind >> 8 {
	case unix.NFNL_SUBSYS_NFT_COMPAT:
		return true
	case unix.NFNL_SUBSYS_NFTABLES:
		return slices.Contains([]uint16{
			unix.NFT_MSG_GETTABLE, unix.NFT_MSG_GETCHAIN, unix.NFT_MSG_GETRULE,
			unix.NFT_MSG_GETSET, unix.NFT_MSG_GETSETELEM, unix.NFT_MSG_GETGEN,
		}, kind&0xff)
	}
	return flags&unix.NLM_F_DUMP == unix.NLM_F_DUMP
}
