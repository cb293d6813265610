package asked

import (
	"errors"
	"net/netip"
	"syscall"
	"testing"

	"natspread/internal/config"
	"natspread/internal/test/netnstest"
)

// TestRefuse goes by what the kernel said, and by no word of it.
func TestRefuse(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		reasons []error
		want    bool
	}{
		{nil, false},
		{[]error{syscall.EHOSTUNREACH, errors.New("no answer in 1s")}, false},
		{[]error{errors.New("the certificate of refused.example.net has expired")}, false},
		{[]error{syscall.EHOSTUNREACH, syscall.ECONNREFUSED}, true},
	} {
		var service Service
		for _, reason := range c.reasons {
			service.Silent = append(service.Silent, Silent{Reason: reason})
		}
		if got := service.Refuse(); got != c.want {
			t.Errorf("%v: %v", c.reasons, got)
		}
	}
}

// TestAll asks a port to which nobody listens, and keeps what the kernel said of it.
func TestAll(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	port := config.Ports{First: 80, Last: 80}
	service := config.Service{
		Name: "web", Protocols: []config.Protocol{config.TCP}, Listen: []config.Listen{{Addr: netnstest.VIP(4), Ports: port}},
		Backends: []config.Backend{{Addr: netip.MustParseAddr("127.0.0.1"), Port: 80, Weight: 1}},
	}
	everyone := func(config.Service, netip.Addr) bool { return true }
	all := All(t.Context(), []config.Service{service}, everyone)
	if len(all) != 1 || !all[0].Refuse() || all[0].What() != "1 of 1 backend of web accepts no connections, and no check takes it out: 127.0.0.1:80 (connection refused)" {
		t.Errorf("%+v", all)
	}
}
