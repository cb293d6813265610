package main

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"natspread/internal/lab/netns"
)

const (
	// frameSize is an Ethernet frame with an IPv4 and a TCP header and nothing else.
	frameSize = 14 + 20 + 20

	// batchSize is how many frames one system call sends, so that the call itself
	// costs little of what is measured.
	batchSize = 64

	// firstPort and portCount are the source ports that SYNs take in turn. While no
	// more SYNs than that meet one conntrack table, every one of them is a new
	// connection, whose port nobody else has when it is masqueraded.
	firstPort, portCount = 1024, 64000
)

// sender sends SYNs from the client to one balancer.
type sender struct {
	fd     int
	next   int // how many were sent so far
	frames []byte
	iovecs []unix.Iovec
	heads  []messageHeader
}

// messageHeader is struct mmsghdr of sendmmsg(2).
type messageHeader struct {
	header unix.Msghdr
	sent   uint32
}

// newSender opens a packet socket on the client's end of the balancer's cable. It
// takes no packets, and sends past the queueing discipline: the whole way through
// the balancer is done inside the system call.
func newSender(b balancer) (*sender, error) {
	s := &sender{}
	err := netns.Within(client, func() (err error) {
		s.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return os.NewSyscallError("socket", err)
		}
		if err := unix.SetsockoptInt(s.fd, unix.SOL_PACKET, unix.PACKET_QDISC_BYPASS, 1); err != nil {
			return os.NewSyscallError("setsockopt", err)
		}
		link, err := net.InterfaceByName(b.front())
		if err != nil {
			return err
		}
		return os.NewSyscallError("bind", unix.Bind(s.fd, &unix.SockaddrLinklayer{Ifindex: link.Index}))
	})
	return s, err
}

// prepare writes count SYNs, for the destinations in turn, each from a source port
// that the ones before it did not have, and from the probe's address or one of a crowd's.
func (s *sender) prepare(p probe, count int) {
	source := cmp.Or(p.from, netip.MustParseAddr(clientAddress))
	if len(s.heads) < count {
		s.frames = make([]byte, count*frameSize)
		s.iovecs = make([]unix.Iovec, count)
		s.heads = make([]messageHeader, count)
	}
	for i := range count {
		frame := s.frames[i*frameSize:][:frameSize]
		if p.crowd {
			source = netip.AddrFrom4([4]byte{100, 64, byte(s.next >> 8), byte(s.next)})
		}
		writeSYN(frame, netip.AddrPortFrom(source, uint16(firstPort+s.next%portCount)), p.to[s.next%len(p.to)])
		s.next++
		s.iovecs[i].Base = &frame[0]
		s.iovecs[i].SetLen(frameSize)
		s.heads[i].header.Iov = &s.iovecs[i]
		s.heads[i].header.SetIovlen(1)
	}
}

// send sends count of what was prepared, from the frame of a number on, and
// returns how long that took. Every call returns after the last frame of its batch
// is through the balancer.
func (s *sender) send(at, count int) (time.Duration, error) {
	end := at + count
	begin := time.Now()
	for at < end {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDMMSG, uintptr(s.fd),
			uintptr(unsafe.Pointer(&s.heads[at])), uintptr(min(batchSize, end-at)), 0, 0, 0)
		if errno != 0 {
			return 0, fmt.Errorf("cannot send a SYN: %w", errno)
		}
		at += int(n)
	}
	took := time.Since(begin)
	runtime.KeepAlive(s)
	return took, nil
}

// writeSYN writes the frame of a SYN from the client's machine.
func writeSYN(frame []byte, from, to netip.AddrPort) {
	port := from.Port()
	clear(frame)
	copy(frame, mustMAC(frontMAC))
	copy(frame[6:], mustMAC(clientMAC))
	binary.BigEndian.PutUint16(frame[12:], unix.ETH_P_IP)
	ip, tcp := frame[14:34], frame[34:]
	source, destination := from.Addr().As4(), to.Addr().As4()
	ip[0], ip[8], ip[9] = 0x45, 64, unix.IPPROTO_TCP // 20 bytes of header, hops left
	binary.BigEndian.PutUint16(ip[2:], frameSize-14)
	copy(ip[12:], source[:])
	copy(ip[16:], destination[:])
	binary.BigEndian.PutUint16(ip[10:], checksum(sum(ip)))
	binary.BigEndian.PutUint16(tcp, port)
	binary.BigEndian.PutUint16(tcp[2:], to.Port())
	binary.BigEndian.PutUint32(tcp[4:], uint32(port)<<8) // any sequence number
	tcp[12], tcp[13] = 5<<4, 0x02                        // 20 bytes of header, SYN
	binary.BigEndian.PutUint16(tcp[14:], 64240)
	pseudo := sum(ip[12:20]) + unix.IPPROTO_TCP + uint32(len(tcp))
	binary.BigEndian.PutUint16(tcp[16:], checksum(pseudo+sum(tcp)))
}

// mustMAC reads one of the constants.
func mustMAC(text string) net.HardwareAddr {
	mac, err := net.ParseMAC(text)
	if err != nil {
		panic(err)
	}
	return mac
}

// sum adds up 16-bit words, as the checksums of the Internet do (RFC 1071).
func sum(words []byte) (total uint32) {
	for ; len(words) >= 2; words = words[2:] {
		total += uint32(binary.BigEndian.Uint16(words))
	}
	return total
}

// checksum folds a sum.
func checksum(total uint32) uint16 {
	for total>>16 != 0 {
		total = total&0xffff + total>>16
	}
	return ^uint16(total)
}

// steady keeps the calling thread on the last processor and, where that is
// allowed, ahead of everything else that wants it; the scheduler's real-time class
// leaves the others their part of each second.
func steady() error {
	_, last, err := processors()
	if err != nil {
		return err
	}
	if err := unix.SchedSetaffinity(0, &last); err != nil {
		return os.NewSyscallError("sched_setaffinity", err)
	}
	fifo := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}
	if unix.SchedSetAttr(0, &fifo, 0) != nil { // no right to, or no share of the group's
		nicest()
	}
	return nil
}
