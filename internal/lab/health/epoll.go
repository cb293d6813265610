package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// tick is how often beEpoll begins connections.
const tick = 10 * time.Millisecond

// beEpoll connects to so many of the many backends in turn, so often a second in all, by
// nothing but system calls, until its standard input ends: the least that checks can cost.
func beEpoll(args []string) error {
	var numbers [3]int
	if len(args) != len(numbers) {
		return errors.New("usage: health epoll FAMILY BACKENDS RATE")
	}
	for i := range numbers {
		var err error
		if numbers[i], err = strconv.Atoi(args[i]); err != nil {
			return err
		}
	}
	family, backends, rate := numbers[0], numbers[1], numbers[2]
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	over := inputEnd()
	fmt.Println("ready")
	begin, started := time.Now(), 0
	for {
		select {
		case <-over:
			return nil
		default:
		}
		for due := int(time.Since(begin).Seconds() * float64(rate)); started < due; started++ {
			if err := connect(poll, many(family, started%backends)); err != nil {
				return err
			}
		}
		if err := reap(poll); err != nil {
			return err
		}
	}
}

// connect begins one connection.
func connect(poll int, backend netip.Addr) error {
	var to unix.Sockaddr = &unix.SockaddrInet6{Port: port, Addr: backend.As16()}
	domain := unix.AF_INET6
	if backend.Is4() {
		to, domain = &unix.SockaddrInet4{Port: port, Addr: backend.As4()}, unix.AF_INET
	}
	fd, err := unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	if err := unix.Connect(fd, to); err != nil && !errors.Is(err, unix.EINPROGRESS) {
		return os.NewSyscallError("connect", err)
	}
	event := unix.EpollEvent{Events: unix.EPOLLOUT | unix.EPOLLONESHOT, Fd: int32(fd)}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(poll, unix.EPOLL_CTL_ADD, fd, &event))
}

// reap ends the connections that are there within a tick, by a reset.
func reap(poll int) error {
	var events [128]unix.EpollEvent
	n, err := unix.EpollWait(poll, events[:], int(tick.Milliseconds()))
	if err != nil && !errors.Is(err, unix.EINTR) {
		return os.NewSyscallError("epoll_wait", err)
	}
	for _, event := range events[:max(n, 0)] {
		fd := int(event.Fd)
		failure, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
		if err == nil && failure != 0 {
			err = unix.Errno(failure)
		}
		err = errors.Join(err, unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}), unix.Close(fd))
		if err != nil {
			return fmt.Errorf("a backend that is up: %w", err)
		}
	}
	return nil
}
