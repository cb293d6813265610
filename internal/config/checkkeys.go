package config

import (
	"cmp"
	"math"
	"net/netip"
	"time"
)

// checkDraft is a check whose values are each checked alone.
type checkDraft struct {
	at       span // of the type that stands alone, or of the table
	short    bool // it is a type alone
	keys     places
	kind     located[CheckType]
	path     located[string] // "" where it was not given, as are the others
	host     located[string]
	expect   []located[codes]
	port     located[int]
	tlsName  located[string]
	insecure bool
	send     located[string]
	receive  located[string]
	interval located[time.Duration]
	timeout  located[time.Duration]
	fall     located[int]
	rise     located[int]
	source   located[netip.Addr]
}

// The bounds of the numbers of a check.
const (
	minInterval = 500 * time.Millisecond
	maxInterval = time.Hour
	minTimeout  = 100 * time.Millisecond
	maxStreak   = 100
)

// checkKeys are the keys of a check that is written as a table.
var checkKeys = []key[checkDraft]{
	{"type", `type = "tcp"`, func(c *checkDraft, f field) { set(&c.kind, f, parseCheckType) }},
	{"path", `path = "/healthz"`, func(c *checkDraft, f field) { set(&c.path, f, parsePath) }},
	{"host", `host = "www.example.net"`, func(c *checkDraft, f field) { set(&c.host, f, parseHost) }},
	{"expect", `expect = ["200-299"]`, func(c *checkDraft, f field) { c.expect = many(f, listCodes(f), parseCodes) }},
	{"port", `port = 8080`, func(c *checkDraft, f field) { setNumber(&c.port, f, 1, math.MaxUint16) }},
	{"tls_name", `tls_name = "www.example.net"`, func(c *checkDraft, f field) { set(&c.tlsName, f, parseTLSName) }},
	{"insecure", `insecure = true`, func(c *checkDraft, f field) { f.setBool(&c.insecure) }},
	{"send", `send = "ping\n"`, func(c *checkDraft, f field) { set(&c.send, f, parsePayload) }},
	{"receive", `receive = "pong"`, func(c *checkDraft, f field) { set(&c.receive, f, parsePayload) }},
	{"interval", `interval = "2s"`, func(c *checkDraft, f field) { setDuration(&c.interval, f, minInterval, maxInterval) }},
	{"timeout", `timeout = "1s"`, func(c *checkDraft, f field) { setDuration(&c.timeout, f, minTimeout, maxInterval) }},
	{"fall", `fall = 3`, func(c *checkDraft, f field) { setNumber(&c.fall, f, 1, maxStreak) }},
	{"rise", `rise = 2`, func(c *checkDraft, f field) { setNumber(&c.rise, f, 1, maxStreak) }},
	{"source", `source = "10.0.0.254"`, func(c *checkDraft, f field) { set(&c.source, f, parseUnicast) }},
}

// parseCheckType reads the type of a check.
func parseCheckType(text string) (CheckType, *fault) {
	return oneOf(CheckTCP, CheckHTTP, CheckHTTPS, CheckUDP)(text)
}

// setCheck reads a type, or a table.
func setCheck(d *draft, f field) {
	c := &d.check
	c.at = f.value.at
	switch f.value.kind {
	case isString:
		c.short = true
		set(&c.kind, f, parseCheckType)
	case isTable:
		c.keys = readPairs(f.source, "a check", checkKeys, f.value.pairs, c)
		if _, ok := c.keys.of("type"); !ok {
			f.source.refuse(c.at, c.write("type", quote(string(c.likelyType()))), "cannot use check: it has no type")
		}
	default:
		f.refuse(f.value, fault{cause: "it is " + string(f.value.kind) + ", not a string or a table"})
	}
}

// likelyType returns the type that a check without one is meant to have, by its keys.
func (c checkDraft) likelyType() CheckType {
	switch {
	case c.has("tls_name", "insecure"):
		return CheckHTTPS
	case c.has("path", "host", "expect"):
		return CheckHTTP
	}
	return CheckTCP
}

// has tells whether the check has one of some keys.
func (c checkDraft) has(names ...string) bool {
	for _, name := range names {
		if _, ok := c.keys.of(name); ok {
			return true
		}
	}
	return false
}

// write returns the fix that gives the check another value of a key. A type that stands alone
// becomes a table.
func (c checkDraft) write(key, value string) string {
	if c.short {
		return "write check = { type = " + quote(string(c.kind.val)) + ", " + key + " = " + value + " }"
	}
	return "write " + key + " = " + value
}

// check returns the check without its places, and with the defaults of what was not given.
func (c checkDraft) check() Check {
	made := Check{
		Type: c.kind.val, Port: uint16(c.port.val), Send: c.send.val, Receive: c.receive.val, Source: c.source.val,
		Interval: cmp.Or(c.interval.val, 2*time.Second), Fall: cmp.Or(c.fall.val, 3), Rise: cmp.Or(c.rise.val, 2),
	}
	made.Timeout = cmp.Or(c.timeout.val, min(time.Second, made.Interval))
	if made.Type == CheckHTTP || made.Type == CheckHTTPS {
		made.Path, made.Host, made.Expect = cmp.Or(c.path.val, "/"), c.host.val, joinCodes(values(c.expect))
	}
	if made.Type == CheckHTTPS {
		made.TLSName, made.Insecure = cmp.Or(c.tlsName.val, hostOf(c.host.val)), c.insecure
	}
	return made
}

// hostOf returns a Host header without its port.
func hostOf(host string) string {
	if e, why := splitEndpoint(host); why == nil {
		return e.host
	}
	return host
}

// listCodes returns the items of a list of status codes but the numbers, and files those: the fix puts
// them in quotes.
func listCodes(f field) []value {
	var items []value
	for _, v := range f.oneOrMore() {
		if v.kind == isInteger {
			f.refuse(v, fault{"it is " + string(v.kind) + ", not " + string(isString), "write " + quote(v.text)})
			continue
		}
		items = append(items, v)
	}
	return items
}
