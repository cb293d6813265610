package traffic

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// sctp is the protocol of the sockets below; their code is the same for TCP,
// which is how it is tested where the kernel has no SCTP.
const sctp = unix.IPPROTO_SCTP

// HasSCTP tells whether this kernel has SCTP sockets. They are a module, which many kernels lack,
// and which the kernel would load for the first socket: this only looks.
func HasSCTP() bool {
	protocols, err := os.ReadFile("/proc/net/protocols")
	return err == nil && bytes.Contains(protocols, []byte("\nSCTP "))
}

// listenStream listens on a one-to-one socket of any stream protocol. Package
// net takes it for TCP, with which it shares every call it is used for here.
func listenStream(protocol int, addr string) (net.Listener, error) {
	local, err := addrPort(addr)
	if err != nil {
		return nil, err
	}
	f, err := streamSocket(protocol, local)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := unix.Listen(int(f.Fd()), unix.SOMAXCONN); err != nil {
		return nil, os.NewSyscallError("listen", err)
	}
	return net.FileListener(f)
}

// dialStream connects such a socket, from a given address or any.
func dialStream(protocol int, source netip.Addr, addr string, timeout time.Duration) (net.Conn, error) {
	remote, err := addrPort(addr)
	if err != nil {
		return nil, err
	}
	if !source.IsValid() {
		source = netip.IPv4Unspecified()
		if remote.Addr().Is6() {
			source = netip.IPv6Unspecified()
		}
	}
	f, err := streamSocket(protocol, netip.AddrPortFrom(source, 0))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fd := int(f.Fd())
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	if err := connect(fd, remote, timeout); err != nil {
		return nil, fmt.Errorf("cannot connect to %v: %w", remote, err)
	}
	return net.FileConn(f)
}

// streamSocket makes a socket and binds it.
func streamSocket(protocol int, local netip.AddrPort) (*os.File, error) {
	family := unix.AF_INET
	if local.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	f := os.NewFile(uintptr(fd), local.String())
	if err := unix.Bind(fd, sockaddr(local)); err != nil {
		f.Close()
		return nil, os.NewSyscallError("bind", err)
	}
	return f, nil
}

// connect waits for a connection of a non-blocking socket.
func connect(fd int, remote netip.AddrPort, timeout time.Duration) error {
	err := unix.Connect(fd, sockaddr(remote))
	if err != unix.EINPROGRESS {
		return os.NewSyscallError("connect", err)
	}
	deadline := time.Now().Add(timeout)
	for {
		left := time.Until(deadline)
		if left <= 0 {
			return os.ErrDeadlineExceeded
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, int(left.Milliseconds())+1)
		if err != nil && err != unix.EINTR { // Go's scheduler interrupts threads
			return os.NewSyscallError("poll", err)
		}
		if n > 0 {
			break
		}
	}
	code, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && code != 0 {
		err = unix.Errno(code)
	}
	return os.NewSyscallError("connect", err)
}

// sockaddr is the address as the kernel wants it.
func sockaddr(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is6() {
		return &unix.SockaddrInet6{Port: int(a.Port()), Addr: a.Addr().As16()}
	}
	return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
}

// addrPort reads "ADDRESS:PORT"; names are not looked up.
func addrPort(s string) (netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return netip.AddrPort{}, err
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return netip.AddrPort{}, err
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return netip.AddrPortFrom(addr, uint16(n)), err
}
