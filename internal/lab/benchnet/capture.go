package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"natspread/internal/lab/netns"
)

// flow is what a backend sees of a packet's addresses.
type flow struct{ from, to netip.AddrPort }

// capture takes every packet that arrives at the backends' end of a cable.
type capture struct{ fd int }

// newCapture opens it; what arrives from now on is kept until it is read.
func newCapture(b balancer) (c capture, err error) {
	everything := binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL))
	err = netns.Within(backends, func() (err error) {
		c.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return os.NewSyscallError("socket", err)
		}
		link, err := net.InterfaceByName(b.back())
		if err != nil {
			return err
		}
		wait := unix.NsecToTimeval(int64(100 * time.Millisecond))
		return errors.Join(
			os.NewSyscallError("setsockopt", unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<20)),
			os.NewSyscallError("setsockopt", unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait)),
			os.NewSyscallError("bind", unix.Bind(c.fd, &unix.SockaddrLinklayer{Ifindex: link.Index, Protocol: everything})),
		)
	})
	return c, err
}

// read returns up to n packets: fewer when no more come.
func (c capture) read(n int) ([]flow, error) {
	var flows []flow
	buffer := make([]byte, 2048)
	for len(flows) < n {
		length, _, err := unix.Recvfrom(c.fd, buffer, 0)
		switch {
		case err == unix.EAGAIN:
			return flows, nil
		case err == unix.EINTR:
			continue
		case err != nil:
			return nil, os.NewSyscallError("recvfrom", err)
		}
		f, err := parseFlow(buffer[:length])
		if err != nil {
			return nil, err
		}
		flows = append(flows, f)
	}
	return flows, nil
}

// close closes it.
func (c capture) close() { unix.Close(c.fd) }

// parseFlow reads the addresses out of a frame that must be a SYN.
func parseFlow(frame []byte) (flow, error) {
	if len(frame) < frameSize || binary.BigEndian.Uint16(frame[12:]) != unix.ETH_P_IP || frame[14] != 0x45 ||
		frame[23] != unix.IPPROTO_TCP || frame[34+13] != 0x02 {
		return flow{}, fmt.Errorf("this arrived at the backends and is no SYN: %x", frame)
	}
	address := func(ip, port []byte) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(ip)), binary.BigEndian.Uint16(port))
	}
	return flow{from: address(frame[26:30], frame[34:]), to: address(frame[30:34], frame[36:])}, nil
}
