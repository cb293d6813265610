package selftest

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"syscall"

	"natspread/internal/config"
	"natspread/internal/nethost"
	"natspread/internal/program"
	"natspread/internal/traffic"
)

// farLink is the name of the other end of a veth pair.
const farLink = "eth0"

// testbed is the network namespaces of a topology.
type testbed struct {
	*topology
	balancer *nethost.Host
	hosts    map[string]*nethost.Host // behind each interface of the balancer
	askers   map[*nethost.Host]traffic.Asker
	served   map[string]bool // what a server listens at
	closers  []func()
}

// newTestbed builds the hosts. Close it also after an error.
func newTestbed(w *topology) (*testbed, error) {
	s := &testbed{topology: w, hosts: map[string]*nethost.Host{}, askers: map[*nethost.Host]traffic.Asker{}, served: map[string]bool{}}
	var err error
	if s.balancer, err = s.newHost(); err != nil {
		return s, err
	}
	for _, one := range w.links {
		host, err := s.newHost()
		if err != nil {
			return s, err
		}
		s.hosts[one.name] = host
		if err := s.balancer.Connect(one.name, host, farLink); err != nil {
			return s, unable(err)
		}
	}
	return s, unable(cmp.Or(s.addAddresses(), s.addRoutes(), s.balancer.Do(forward)))
}

// newHost makes a host.
func (s *testbed) newHost() (*nethost.Host, error) {
	host, err := nethost.New()
	if err != nil {
		return nil, unable(err)
	}
	s.askers[host] = traffic.NewAsker()
	s.closers = append(s.closers, host.Close)
	return host, nil
}

// close ends the servers, and gives up the hosts.
func (s *testbed) close() {
	for _, end := range slices.Backward(s.closers) {
		end()
	}
}

// unable is an error of building a host, for which a right may be missing, or a part of the kernel.
func unable(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%w to make network namespaces, which takes CAP_SYS_ADMIN and /proc/sys: %w", program.ErrNoRights, err)
	case errors.Is(err, syscall.EOPNOTSUPP):
		return fmt.Errorf("%w: the kernel has no veth interfaces; fix: modprobe veth: %w", program.ErrMissing, err)
	}
	return fmt.Errorf("cannot build network namespaces: %w", err)
}

// families returns those that this kernel has, as Is6 tells them.
func families() []bool {
	if nethost.HasIPv6() {
		return []bool{false, true}
	}
	return []bool{false}
}

// addAddresses gives the hosts their addresses. Those that no link has are on lo.
func (s *testbed) addAddresses() error {
	for _, one := range s.links {
		for _, six := range families() {
			f := family(six)
			err := cmp.Or(s.balancer.AddAddresses(one.name, alone(one.near[f])), s.hosts[one.name].AddAddresses(farLink, alone(one.far[f])))
			if err != nil {
				return err
			}
		}
	}
	if err := s.balancer.AddAddresses("lo", subnetsOf(maps.Keys(s.needed))...); err != nil {
		return err
	}
	for name, addresses := range s.addressesBehind() {
		if err := s.hosts[name].AddAddresses("lo", addresses...); err != nil {
			return err
		}
	}
	return nil
}

// addRoutes has the balancer reach all others, and these go by the balancer wherever they go.
func (s *testbed) addRoutes() error {
	addressesBehind := s.addressesBehind()
	for _, one := range s.links {
		for _, six := range families() {
			f := family(six)
			ofFamily := slices.DeleteFunc(slices.Clone(addressesBehind[one.name]), func(p netip.Prefix) bool { return p.Addr().Is6() != six })
			err := cmp.Or(s.hosts[one.name].AddRoutes(farLink, one.near[f], every(six)), s.balancer.AddRoutes(one.name, one.far[f], ofFamily...))
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// addressesBehind returns the addresses of the hosts behind each interface of the balancer.
func (s *testbed) addressesBehind() map[string][]netip.Prefix {
	all := map[string][]netip.Prefix{linkIn: subnetsOf(maps.Keys(s.backends))}
	for address, by := range s.homes {
		all[by] = append(all[by], alone(address))
	}
	return all
}

// subnetsOf returns the subnets of addresses that this kernel has the family of.
func subnetsOf(addresses func(yield func(netip.Addr) bool)) []netip.Prefix {
	var all []netip.Prefix
	for address := range addresses {
		if !address.Is6() || nethost.HasIPv6() {
			all = append(all, alone(address))
		}
	}
	return all
}

// forward switches forwarding on for the calling thread, and has every refusal answered: the kernel
// else leaves out some of those that are not of TCP.
func forward() error {
	err := cmp.Or(nethost.SetSysctl("net.ipv4.ip_forward", "1"), nethost.SetSysctl("net.ipv4.icmp_ratelimit", "0"))
	if err == nil && nethost.HasIPv6() {
		err = cmp.Or(nethost.SetSysctl("net.ipv6.conf.all.forwarding", "1"), nethost.SetSysctl("net.ipv6.icmp.ratelimit", "0"))
	}
	return err
}

// serve starts the servers: the balancer's own programs, and the backends of a service, drained ones
// too.
func (s *testbed) serve(test *serviceTest) error {
	for program := range s.programs {
		if err := s.start(s.balancer, program); err != nil {
			return err
		}
	}
	for i, t := range test.targets {
		for at := range test.answers[i] {
			if s.own[at.Addr()] {
				continue
			}
			if t.protocol == config.TCP { // one server for all addresses
				at = netip.AddrPortFrom(anyAddress(), at.Port())
			}
			if err := s.start(s.hosts[linkIn], server{t.protocol, at}); err != nil {
				return err
			}
		}
	}
	return nil
}

// anyAddress stands for all addresses of a host, of both families if there are two.
func anyAddress() netip.Addr {
	if nethost.HasIPv6() {
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}

// start starts a server, unless there is one.
func (s *testbed) start(host *nethost.Host, one server) error {
	name := fmt.Sprint(host.Path(), one)
	if s.served[name] {
		return nil
	}
	s.served[name] = true
	return host.Do(func() error {
		_, stop, err := traffic.Serve(string(one.protocol), one.at.String())
		if err != nil {
			return fmt.Errorf("cannot start the server %s %v: %w", one.protocol, one.at, err)
		}
		s.closers = append(s.closers, stop)
		return nil
	})
}
