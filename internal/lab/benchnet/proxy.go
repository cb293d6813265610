package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"natspread/internal/lab/netns"
)

// proxy is a balancer that is a process: for each of its configs a text and the
// command that runs it in the foreground.
type proxy struct {
	name   string
	config func(listen netip.AddrPort, threads int) string
	args   func(file string) []string
}

// proxies are HAProxy in TCP mode and nginx's stream module, with the settings of
// their manuals' examples.
func proxies() []proxy {
	return []proxy{
		{"HAProxy", haproxyConfig, func(file string) []string { return []string{"haproxy", "-db", "-f", file} }},
		{"nginx", nginxConfig, func(file string) []string { return []string{"nginx", "-e", "stderr", "-c", file} }},
	}
}

// haproxyConfig is the article's balancer for HAProxy.
func haproxyConfig(listen netip.AddrPort, threads int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "global\n  nbthread %d\n  maxconn 4000\n", threads)
	b.WriteString("defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n")
	fmt.Fprintf(&b, "listen web\n  bind %v\n  balance roundrobin\n", listen)
	for i, backend := range article().backends {
		fmt.Fprintf(&b, "  server web%d %v\n", i, backend)
	}
	return b.String()
}

// nginxConfig is the article's balancer for nginx.
func nginxConfig(listen netip.AddrPort, threads int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\nuser root;\ndaemon off;\npid /run/nginx-%d.pid;\n", listen.Port())
	fmt.Fprintf(&b, "worker_processes %d;\nerror_log stderr crit;\nevents { worker_connections 4096; }\nstream {\n  upstream web {\n", threads)
	for _, backend := range article().backends {
		fmt.Fprintf(&b, "    server %v;\n", backend)
	}
	fmt.Fprintf(&b, "  }\n  server { listen %v; proxy_pass web; }\n}\n", listen)
	return b.String()
}

// start runs it on the balancer of a site, listening there, on those processors,
// until stop. It ends with the program in any case, whose process namespace it is
// in.
func (p proxy) start(s *site, listen netip.AddrPort, threads int, cpus unix.CPUSet) (stop func(), err error) {
	file := fmt.Sprintf("/run/%s-%d.conf", p.name, listen.Port())
	if err := os.WriteFile(file, []byte(p.config(listen, threads)), 0o644); err != nil {
		return nil, err
	}
	args := p.args(file)
	cmd := exec.Command(args[0], args[1:]...)
	var said strings.Builder
	cmd.Stderr = &said
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err = netns.Within(s.balancer, func() error {
		nicest()
		if err := unix.SchedSetaffinity(0, &cpus); err != nil {
			return os.NewSyscallError("sched_setaffinity", err)
		}
		return cmd.Start()
	})
	if err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stop = func() {
		_ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
		<-ended
	}
	for deadline := time.Now().Add(answerWithin); ; time.Sleep(20 * time.Millisecond) {
		err := s.reach(listen)
		if err == nil {
			return stop, nil
		}
		select {
		case err := <-ended:
			return nil, fmt.Errorf("cannot run %s: %w: %s", p.name, err, said.String())
		default:
		}
		if time.Now().After(deadline) {
			stop()
			return nil, errors.Join(fmt.Errorf("cannot reach %s: %s", p.name, said.String()), err)
		}
	}
}

// reach makes one connection from the client.
func (s *site) reach(to netip.AddrPort) error {
	return netns.Within(s.client, func() error {
		fd, _, err := connect(sockaddr(to), 0)
		if err == nil {
			unix.Close(fd)
		}
		return err
	})
}
