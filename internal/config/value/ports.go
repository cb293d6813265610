package value

import (
	"fmt"
	"strconv"
	"strings"

	"natspread/internal/config/source"
)

// PortsFix is the fix for what stands behind an address and is no port.
func PortsFix(host, text string) string {
	ports, protocol, _ := strings.Cut(text, "/")
	var meant []string
	for _, port := range MeantPorts(ports) {
		meant = append(meant, Join(host, port))
	}
	if len(meant) == 0 {
		return "write the number of the port, as in " + source.Quote(Join(host, "80"))
	}
	fix := "write " + source.QuoteList(meant)
	switch protocol {
	case "tcp", "udp", "sctp":
		fix += " and protocol = " + source.Quote(protocol)
	}
	if ports == "*" {
		fix += ", which takes the port of sshd, too"
	}
	return fix
}

// MeantPorts returns the ports and ranges that a text was likely meant to be, none where that is
// not known.
func MeantPorts(text string) []string {
	if text == "*" {
		return []string{"1-65535"}
	}
	var all []string
	for part := range strings.FieldsFuncSeq(text, Separates) {
		low, high, isRange := strings.Cut(strings.Replace(part, ":", "-", 1), "-")
		first, ok := meantPort(low, isRange)
		if !isRange {
			high = low
		} else if high == "" {
			high = "65535"
		}
		last, ok2 := meantPort(high, isRange)
		if !ok || !ok2 {
			return nil
		}
		all = append(all, portRange(min(first, last), max(first, last)))
	}
	return all
}

// portRange writes a range of ports, or the one port that it is.
func portRange(first, last uint16) string {
	if first == last {
		return strconv.Itoa(int(first))
	}
	return fmt.Sprintf("%d-%d", first, last)
}

// namedPorts are the ports that people call by name.
var namedPorts = map[string]uint16{
	"http": 80, "https": 443, "ssh": 22, "smtp": 25, "domain": 53, "dns": 53, "ntp": 123, "imap": 143, "ldap": 389, "ldaps": 636,
	"imaps": 993, "pop3s": 995, "mysql": 3306, "postgresql": 5432, "sip": 5060, "redis": 6379,
}

// meantPort returns the port that a text was likely meant to be. In a range one that is out of
// bounds is the nearest port.
func meantPort(text string, inRange bool) (uint16, bool) {
	if port, found := namedPorts[strings.ToLower(text)]; found {
		return port, true
	}
	n, err := strconv.ParseUint(strings.ReplaceAll(strings.TrimPrefix(text, "+"), "_", ""), 10, 32)
	if inRange {
		n = min(max(n, 1), 65535)
	}
	return uint16(n), err == nil && 1 <= n && n <= 65535
}
