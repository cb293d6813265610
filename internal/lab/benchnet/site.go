package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"natspread/internal/lab/netns"
)

// site is a client, a balancer and three backends of its own, on which sockets
// are used. Sites have the same addresses, the article's, and never meet.
type site struct {
	name                      string // in words
	client, balancer, servers string // the namespaces
	netlink                   int
	threads                   []int // of the servers
}

// newSite builds one: the balancer forwards, and the backends answer through it.
func newSite(name string, number int) (*site, error) {
	at := func(role string) string { return fmt.Sprint(role, "-", number) }
	s := &site{name: name, client: at("client"), balancer: at("balancer"), servers: at("servers")}
	for _, host := range []string{s.client, s.balancer, s.servers} {
		if err := newHost(host, prepareHost); err != nil {
			return nil, err
		}
	}
	var cables, client, servers strings.Builder
	fmt.Fprintf(&cables, "link add front index %d type veth peer name eth0 netns %s\n", firstIndex, s.client)
	fmt.Fprintf(&cables, "link add back index %d type veth peer name eth0 netns %s\n", firstIndex+1, s.servers)
	fmt.Fprintf(&cables, "addr add %s/24 dev front\naddr add 10.0.0.254/24 dev back\nlink set lo up\nlink set front up\nlink set back up\n", vip)
	fmt.Fprintf(&client, "link set lo up\naddr add %s/24 dev eth0\nlink set eth0 up\nroute add default via %s\n", clientAddress, vip)
	servers.WriteString("link set lo up\n")
	for _, backend := range article().backends {
		fmt.Fprintf(&servers, "addr add %v/24 dev eth0\n", backend.Addr())
	}
	servers.WriteString("link set eth0 up\nroute add default via 10.0.0.254\n")
	err := errors.Join(
		ip(s.balancer, cables.String()),
		ip(s.client, client.String()),
		ip(s.servers, servers.String()),
	)
	if err != nil {
		return nil, err
	}
	s.netlink, err = openNetlink(s.balancer)
	return s, err
}

// prepareHost makes a host forward, and gives it all the ports there are.
func prepareHost() error {
	return errors.Join(quiet(),
		os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0),
		os.WriteFile("/proc/sys/net/ipv4/ip_local_port_range", []byte("1024 65535"), 0))
}

// place moves the servers' threads to those processors.
func (s *site) place(cpus unix.CPUSet) error {
	var errs []error
	for _, thread := range s.threads {
		errs = append(errs, os.NewSyscallError("sched_setaffinity", unix.SchedSetaffinity(thread, &cpus)))
	}
	return errors.Join(errs...)
}

// processors returns those that this program may use, and the last of them alone.
func processors() (all, last unix.CPUSet, err error) {
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		return all, last, os.NewSyscallError("sched_getaffinity", err)
	}
	for cpu := range len(all) * 64 {
		if all.IsSet(cpu) {
			last.Zero()
			last.Set(cpu)
		}
	}
	return all, last, nil
}

// nicest asks the scheduler to prefer the calling thread, and the processes that
// it starts, to whatever else runs.
func nicest() { _ = unix.Setpriority(unix.PRIO_PROCESS, 0, -20) }

// serve starts threads that answer on every backend of the site until the program
// ends: each new connection is handed to talk, with the backend's number, and then
// closed.
func (s *site) serve(perBackend int, talk func(fd int, number byte)) error {
	for i, backend := range article().backends {
		var listener int
		err := netns.Within(s.servers, func() (err error) {
			listener, err = listen(backend)
			return err
		})
		if err != nil {
			return err
		}
		threads := make(chan int)
		for range perBackend {
			go func() {
				_ = netns.Within(s.servers, func() error { // a listener that fails shows in who answers
					nicest()
					threads <- unix.Gettid()
					return accept(listener, func(fd int) { talk(fd, byte(i)) })
				})
			}()
			s.threads = append(s.threads, <-threads)
		}
	}
	return nil
}

// sayNumber sends one byte, the backend's number.
func sayNumber(fd int, number byte) {
	_, _ = unix.Write(fd, []byte{number}) // the client may be gone
}

// listen listens on a plain TCP socket.
func listen(at netip.AddrPort) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, os.NewSyscallError("socket", err)
	}
	err = os.NewSyscallError("bind", unix.Bind(fd, sockaddr(at)))
	return fd, errors.Join(err, os.NewSyscallError("listen", unix.Listen(fd, 4096)))
}

// sockaddr is the address as the kernel wants it.
func sockaddr(a netip.AddrPort) unix.Sockaddr {
	return &unix.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
}

// accept accepts for ever, one connection after another.
func accept(listener int, talk func(fd int)) error {
	for {
		fd, _, err := unix.Accept4(listener, unix.SOCK_CLOEXEC)
		if err == unix.EINTR || err == unix.ECONNABORTED {
			continue
		}
		if err != nil {
			return os.NewSyscallError("accept", err)
		}
		talk(fd)
		unix.Close(fd)
	}
}
