package configtest

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"natspread/internal/config"
)

// backUp makes backups of some backends of a service, but never of all.
func backUp(t *rapid.T, made config.Service) {
	for i := range made.Backends[1:] {
		made.Backends[1+i].Backup = rapid.IntRange(0, 3).Draw(t, "backup") == 0
	}
}

// check gives a service a check, and what only a service with a check has.
func check(t *rapid.T, made *config.Service) {
	kind := rapid.SampledFrom([]config.CheckType{config.CheckTCP, config.CheckHTTP, config.CheckHTTPS, config.CheckUDP}).Draw(t, "check")
	made.Check = config.Check{
		Type: kind, Port: checkPort(t, *made, kind),
		Interval: milliseconds(t, "interval", 500, 3_600_000),
		Fall:     rapid.IntRange(1, 100).Draw(t, "fall"), Rise: rapid.IntRange(1, 100).Draw(t, "rise"),
	}
	switch kind {
	case config.CheckTCP:
		made.Check.Send = rapid.OneOf(rapid.Just(""), rapid.StringN(1, 9, 1024)).Draw(t, "send")
	case config.CheckUDP:
		made.Check.Send = rapid.StringN(1, 9, 1024).Draw(t, "send")
	case config.CheckHTTPS: // else all of them would be too many a second
		made.Check.Interval = max(made.Check.Interval, 2*time.Second)
		made.Check.TLSName = rapid.SampledFrom([]string{"", "www.example.net", "192.0.2.1", "2001:db8::1"}).Draw(t, "tls_name")
		made.Check.Insecure = rapid.Bool().Draw(t, "insecure")
	}
	if kind == config.CheckTCP || kind == config.CheckUDP {
		made.Check.Receive = rapid.OneOf(rapid.Just(""), rapid.StringN(1, 9, 1024)).Draw(t, "receive")
	} else {
		made.Check.Path = rapid.StringMatching(`/[!-~]{0,9}`).Draw(t, "path")
		made.Check.Expect = rapid.SampledFrom([]string{"200-399", "200", "200-299,304", "100,102-103,599"}).Draw(t, "expect")
		// Without a host tls_name would have no default that another Host header has, too.
		made.Check.Host = rapid.SampledFrom([]string{"", "a_b.example.", "192.0.2.1:8080", "[2001:db8::1]:8080"}).Draw(t, "host")
		if kind == config.CheckHTTPS && made.Check.Host != "" && made.Check.TLSName == "" {
			made.Check.TLSName = "www.example.net"
		}
	}
	made.Check.Timeout = min(made.Check.Interval, milliseconds(t, "timeout", 100, 3_600_000))
	if rapid.Bool().Draw(t, "with source") {
		made.Check.Source = address(t, made.Is6(), sources)
	}
	made.MinUp = rapid.IntRange(1, primaries(*made)).Draw(t, "min_up")
	made.OnDown = rapid.SampledFrom([]config.OnDown{config.Keep, config.ResetDown}).Draw(t, "on_down")
}

// milliseconds generates a duration, often the shortest.
func milliseconds(t *rapid.T, name string, least, most int) time.Duration {
	return time.Duration(rapid.IntRange(least, most).Draw(t, name)) * time.Millisecond
}

// checkPort generates the port of a check, 0 only where each backend has one of the check's
// protocol.
func checkPort(t *rapid.T, made config.Service, kind config.CheckType) uint16 {
	portless := slices.ContainsFunc(made.Backends, func(b config.Backend) bool { return b.Port == 0 })
	if !portless && slices.Contains(made.Protocols, kind.Protocol()) && rapid.Bool().Draw(t, "own port") {
		return 0
	}
	return rapid.Uint16Range(1, math.MaxUint16).Draw(t, "check port")
}

// primaries counts the backends that are no backups.
func primaries(service config.Service) int {
	n := 0
	for _, backend := range service.Backends {
		if !backend.Backup {
			n++
		}
	}
	return n
}

// check gives one service of four a check, and backups where it has several backends.
func (f *filler) check(made *config.Service) {
	if f.IntN(4) > 0 {
		return
	}
	made.Check = config.Check{Type: config.CheckTCP, Port: 8080, Interval: 10 * time.Second, Timeout: time.Second, Fall: 3, Rise: 2}
	made.MinUp, made.OnDown = 1, config.Keep
	for i := range made.Backends[1:] {
		made.Backends[1+i].Backup = f.IntN(4) == 0
	}
}

// checkText writes the check of a service, and what goes with it, with all keys.
func checkText(service config.Service) string {
	if !service.Checked() {
		return ""
	}
	var b strings.Builder
	c := service.Check
	fmt.Fprintf(&b, "min_up = %d\non_down = %q\n[service.check]\ntype = %q\n", service.MinUp, service.OnDown, c.Type)
	fmt.Fprintf(&b, "interval = %q\ntimeout = %q\nfall = %d\nrise = %d\n", c.Interval, c.Timeout, c.Fall, c.Rise)
	for _, text := range [][2]string{{"path", c.Path}, {"host", c.Host}, {"tls_name", c.TLSName}, {"send", c.Send}, {"receive", c.Receive}} {
		if text[1] != "" {
			fmt.Fprintf(&b, "%s = %s\n", text[0], quote(text[1]))
		}
	}
	if c.Expect != "" {
		fmt.Fprintf(&b, "expect = %s\n", list(strings.Split(c.Expect, ",")))
	}
	if c.Port != 0 {
		fmt.Fprintf(&b, "port = %d\n", c.Port)
	}
	if c.Insecure {
		b.WriteString("insecure = true\n")
	}
	if c.Source.IsValid() {
		fmt.Fprintf(&b, "source = %q\n", c.Source)
	}
	return b.String()
}

// quote writes any text as a string of TOML.
func quote(text string) string {
	var b strings.Builder
	for _, r := range text {
		fmt.Fprintf(&b, `\U%08X`, r)
	}
	return `"` + b.String() + `"`
}
