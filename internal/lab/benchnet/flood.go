package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"natspread/internal/lab/netns"
)

// answerWithin bounds the wait for any answer.
const answerWithin = 5 * time.Second

// tally counts connections by the backend that answered.
type tally [perService]int

// add counts an answer.
func (t *tally) add(answer []byte) error {
	if len(answer) != 1 || int(answer[0]) >= len(t) {
		return fmt.Errorf("a connection was answered by %q", answer)
	}
	t[answer[0]]++
	return nil
}

// flood makes n connections from the client, so many at a time, each of which ends
// when its byte is there, and returns how long that took. It runs on the
// processors that were given.
func (s *site) flood(to netip.AddrPort, n, atATime int, cpus unix.CPUSet) (took time.Duration, answers tally, err error) {
	err = netns.Within(s.client, func() (err error) {
		nicest()
		if err := unix.SchedSetaffinity(0, &cpus); err != nil {
			return os.NewSyscallError("sched_setaffinity", err)
		}
		poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
		if err != nil {
			return os.NewSyscallError("epoll_create1", err)
		}
		defer unix.Close(poll)
		begin := time.Now()
		err = floodOn(poll, sockaddr(to), n, atATime, &answers)
		took = time.Since(begin)
		return err
	})
	return took, answers, errors.Join(err, flush(s.netlink))
}

// floodOn begins as many connections as may be open, and one more for each that
// ends.
func floodOn(poll int, to unix.Sockaddr, n, atATime int, answers *tally) error {
	begun := 0
	begin := func() error {
		begun++
		fd, _, err := connect(to, unix.SOCK_NONBLOCK)
		if err != nil {
			return err
		}
		event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}
		return os.NewSyscallError("epoll_ctl", unix.EpollCtl(poll, unix.EPOLL_CTL_ADD, fd, &event))
	}
	for range atATime {
		if err := begin(); err != nil {
			return err
		}
	}
	events := make([]unix.EpollEvent, atATime)
	for ended := 0; ended < n; {
		ready, err := unix.EpollWait(poll, events, int(answerWithin.Milliseconds()))
		if err == unix.EINTR {
			continue
		}
		if err != nil || ready == 0 {
			return fmt.Errorf("cannot wait for an answer: %w", errors.Join(err, os.ErrDeadlineExceeded))
		}
		for _, event := range events[:ready] {
			err := answers.read(int(event.Fd))
			unix.Close(int(event.Fd))
			if err != nil {
				return err
			}
			ended++
			if begun < n {
				if err := begin(); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// connect opens a socket that is reset when it is closed, which leaves no
// TIME_WAIT, and connects it; it says when that began.
func connect(to unix.Sockaddr, flags int) (fd int, begin time.Time, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|flags, 0)
	if err != nil {
		return 0, begin, os.NewSyscallError("socket", err)
	}
	wait := unix.NsecToTimeval(int64(answerWithin))
	err = errors.Join(
		unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &wait), // for connect too
	)
	if err != nil {
		unix.Close(fd)
		return 0, begin, os.NewSyscallError("setsockopt", err)
	}
	for begin = time.Now(); ; {
		err = unix.Connect(fd, to)
		if err == nil || err == unix.EINPROGRESS {
			return fd, begin, nil
		}
		if err != unix.EINTR {
			unix.Close(fd)
			return 0, begin, os.NewSyscallError("connect", err)
		}
	}
}

// read reads the answer of a connection.
func (t *tally) read(fd int) error {
	buffer := make([]byte, 2)
	for {
		n, err := unix.Read(fd, buffer)
		if err == nil {
			return t.add(buffer[:n])
		}
		if err != unix.EINTR {
			return os.NewSyscallError("read", err)
		}
	}
}

// oneByOne makes n connections one after another and returns how long each took,
// from connect to the byte.
func (s *site) oneByOne(to netip.AddrPort, n int) (took []time.Duration, answers tally, err error) {
	err = netns.Within(s.client, func() error {
		nicest()
		for range n {
			fd, begin, err := connect(sockaddr(to), 0)
			if err != nil {
				return err
			}
			err = answers.read(fd)
			took = append(took, time.Since(begin))
			unix.Close(fd)
			if err != nil {
				return err
			}
		}
		return nil
	})
	return took, answers, errors.Join(err, flush(s.netlink))
}
