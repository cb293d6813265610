package config

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"natspread/internal/config/field"
	"natspread/internal/config/source"
	"natspread/internal/config/value"
	"natspread/internal/text"
)

// MaxCheckRate is how many checks a second all services together may ask for: see
// CheckType.Cost. Each check leaves an entry in connection tracking for 10 s, so that is 20,000
// entries.
const MaxCheckRate = 2000

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

// Protocol returns the protocol of the check's packets.
func (t CheckType) Protocol() Protocol {
	if t == CheckUDP {
		return UDP
	}
	return TCP
}

// Cost returns how many checks by tcp one check counts for: the handshake of https takes ten times
// as long.
func (t CheckType) Cost() int {
	if t == CheckHTTPS {
		return 10
	}
	return 1
}

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

// Of returns where the check of a backend goes, and what is asked there. Where both are equal for
// two services, they share one check, whether the check or the backend has the port.
func (c Check) Of(b Backend) (netip.AddrPort, Check) {
	port := b.Port
	if c.Port != 0 {
		port, c.Port = c.Port, 0
	}
	return netip.AddrPortFrom(b.Addr, port), c
}

// Expects tells whether a status code is good.
func (c Check) Expects(code int) bool {
	for word := range strings.SplitSeq(c.Expect, ",") {
		if good, why := value.ParseCodes(word); why == nil && good.First <= code && code <= good.Last {
			return true
		}
	}
	return false
}

// String writes the check as the config may, less what is the default: tcp, or a table; "none"
// is none.
func (c Check) String() string {
	if c.Type == "" {
		return "none"
	}
	usual := checkDraft{kind: field.Located[CheckType]{Val: c.Type}, host: field.Located[string]{Val: c.Host}}.check()
	var keys []string
	add := func(key string, value, usual any, text string) {
		if value != usual {
			keys = append(keys, key+" = "+text)
		}
	}
	add("path", c.Path, usual.Path, source.Quote(c.Path))
	add("host", c.Host, "", source.Quote(c.Host))
	add("expect", c.Expect, usual.Expect, source.QuoteList(strings.Split(c.Expect, ",")))
	add("port", c.Port, usual.Port, strconv.Itoa(int(c.Port)))
	add("tls_name", c.TLSName, usual.TLSName, source.Quote(c.TLSName))
	add("insecure", c.Insecure, usual.Insecure, "true")
	add("send", c.Send, usual.Send, source.Quote(c.Send))
	add("receive", c.Receive, usual.Receive, source.Quote(c.Receive))
	add("interval", c.Interval, usual.Interval, source.Quote(text.Duration(c.Interval)))
	add("timeout", c.Timeout, min(usual.Timeout, c.Interval), source.Quote(text.Duration(c.Timeout)))
	add("fall", c.Fall, usual.Fall, strconv.Itoa(c.Fall))
	add("rise", c.Rise, usual.Rise, strconv.Itoa(c.Rise))
	add("source", c.Source, usual.Source, source.Quote(c.Source.String()))
	if len(keys) == 0 {
		return string(c.Type)
	}
	return fmt.Sprintf("{ type = %q, %s }", c.Type, strings.Join(keys, ", "))
}
