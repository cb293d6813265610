package config

import (
	"net/netip"
	"time"
)

// Check is what is asked of each backend of a service, and how often. Its values are complete
// and checked: a key that was not written has its default. Two Checks that ask the same are
// equal by ==.
type Check struct {
	Type     CheckType     // "" where nothing is asked
	Path     string        // http and https: what is asked for, which begins with "/"; else ""
	Host     string        // http and https: the Host header; "" is the backend's address and port
	Expect   string        // http and https: the status codes that are good, as "200-299,304"; else ""
	Port     uint16        // where the check goes; 0 is the backend's own port
	TLSName  string        // https: SNI, and whom the certificate must name; "" is the backend's address
	Insecure bool          // https: any certificate will do
	Send     string        // tcp and udp: what is sent
	Receive  string        // tcp and udp: what the answer must begin with
	Interval time.Duration // from the end of one check to the next: 500 ms to 1 h
	Timeout  time.Duration // of a whole check: 100 ms to Interval
	Fall     int           // failures in a row until it is down: 1 to 100
	Rise     int           // successes in a row until it is up: 1 to 100
	Source   netip.Addr    // where the check connects from; the zero Addr leaves it to the kernel
}

// CheckType is how a backend is asked.
type CheckType string

// The types of checks.
const (
	CheckTCP   CheckType = "tcp"
	CheckHTTP  CheckType = "http"
	CheckHTTPS CheckType = "https"
	CheckUDP   CheckType = "udp"
)

// OnDown is what becomes of the open TCP connections of a backend that goes down. Those that
// it never answered are deleted, and UDP moves on at once either way.
type OnDown string

// The kinds of OnDown.
const (
	Keep      OnDown = "keep"  // they stay; the default
	ResetDown OnDown = "reset" // their clients get a reset with the next packet
)

// Checked tells whether the backends of the service are checked.
func (s Service) Checked() bool { return s.Check.Type != "" }
