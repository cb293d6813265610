package config

import (
	"cmp"
	"math"
	"net/netip"
	"time"

	"natspread/internal/config/field"
	"natspread/internal/config/habits"
	"natspread/internal/config/meant"
	"natspread/internal/config/source"
	"natspread/internal/config/value"
)

// checkDraft is a check whose values are each checked alone.
type checkDraft struct {
	at       source.Span // of the type that stands alone, or of the table
	short    bool        // it is a type alone
	keys     field.Places
	kind     field.Located[CheckType]
	path     field.Located[string] // "" where it was not given, as are the others
	host     field.Located[string]
	expect   []field.Located[value.Codes]
	port     field.Located[int]
	tlsName  field.Located[string]
	insecure bool
	send     field.Located[string]
	receive  field.Located[string]
	interval field.Located[time.Duration]
	timeout  field.Located[time.Duration]
	fall     field.Located[int]
	rise     field.Located[int]
	source   field.Located[netip.Addr]
}

// The bounds of the numbers of a check.
const (
	minInterval = 500 * time.Millisecond
	maxInterval = time.Hour
	minTimeout  = 100 * time.Millisecond
	maxStreak   = 100
)

// checkKeys are the keys of a check that is written as a table.
var checkKeys = []field.Key[checkDraft]{
	{Name: "type", Example: `type = "tcp"`, Set: func(c *checkDraft, f field.Field) { field.Set(&c.kind, f, parseCheckType) }},
	{Name: "path", Example: `path = "/healthz"`, Set: func(c *checkDraft, f field.Field) { field.Set(&c.path, f, value.ParsePath) }},
	{Name: "host", Example: `host = "www.example.net"`, Set: func(c *checkDraft, f field.Field) { field.Set(&c.host, f, value.ParseHost) }},
	{Name: "expect", Example: `expect = ["200-299"]`, Lists: true, Set: func(c *checkDraft, f field.Field) { c.expect = field.Many(f, listCodes(f), value.ParseCodes) }},
	{Name: "port", Example: `port = 8080`, Set: func(c *checkDraft, f field.Field) { field.SetNumber(&c.port, f, 1, math.MaxUint16) }},
	{Name: "tls_name", Example: `tls_name = "www.example.net"`, Set: func(c *checkDraft, f field.Field) { field.Set(&c.tlsName, f, value.ParseTLSName) }},
	{Name: "insecure", Example: `insecure = true`, Set: func(c *checkDraft, f field.Field) { f.SetBool(&c.insecure) }},
	{Name: "send", Example: `send = "ping\n"`, Set: func(c *checkDraft, f field.Field) { field.Set(&c.send, f, value.ParsePayload) }},
	{Name: "receive", Example: `receive = "pong"`, Set: func(c *checkDraft, f field.Field) { field.Set(&c.receive, f, value.ParsePayload) }},
	{Name: "interval", Example: `interval = "2s"`, Set: func(c *checkDraft, f field.Field) { field.SetDuration(&c.interval, f, minInterval, maxInterval) }},
	{Name: "timeout", Example: `timeout = "1s"`, Set: func(c *checkDraft, f field.Field) { field.SetDuration(&c.timeout, f, minTimeout, maxInterval) }},
	{Name: "fall", Example: `fall = 3`, Set: func(c *checkDraft, f field.Field) { field.SetNumber(&c.fall, f, 1, maxStreak) }},
	{Name: "rise", Example: `rise = 2`, Set: func(c *checkDraft, f field.Field) { field.SetNumber(&c.rise, f, 1, maxStreak) }},
	{Name: "source", Example: `source = "10.0.0.254"`, Set: func(c *checkDraft, f field.Field) { field.Set(&c.source, f, value.ParseUnicast) }},
}

// parseCheckType reads the type of a check.
func parseCheckType(text string) (CheckType, *value.Fault) {
	return value.OneOf(habits.Checks, CheckTCP, CheckHTTP, CheckHTTPS, CheckUDP)(text)
}

// setCheck reads a type, or a table.
func setCheck(d *draft, f field.Field) {
	c := &d.check
	c.at = f.Value.At
	switch f.Value.Kind {
	case source.String:
		c.short = true
		field.Set(&c.kind, f, parseCheckType)
	case source.InlineTable:
		c.keys = field.ReadPairs(f.Source, "a check", checkKeys, f.Value.Pairs, meant.OfCheck, c)
		if _, ok := c.keys.Of("type"); !ok && !d.Broken {
			f.Source.Refuse(c.at, c.write("type", source.Quote(meant.CheckType(c.has))), "cannot use check: it has no type")
		}
	default:
		f.Refuse(f.Value, value.Fault{Cause: "it is " + string(f.Value.Kind) + ", not a string or a table"})
	}
}

// has tells whether the check has one of some keys.
func (c checkDraft) has(names ...string) bool {
	for _, name := range names {
		if _, ok := c.keys.Of(name); ok {
			return true
		}
	}
	return false
}

// write returns the fix that gives the check another value of a key. A type that stands alone
// becomes a table.
func (c checkDraft) write(key, value string) string {
	if c.short {
		return "write check = { type = " + source.Quote(string(c.kind.Val)) + ", " + key + " = " + value + " }"
	}
	return "write " + key + " = " + value
}

// check returns the check without its places, and with the defaults of what was not given.
func (c checkDraft) check() Check {
	made := Check{
		Type: c.kind.Val, Port: uint16(c.port.Val), Send: c.send.Val, Receive: c.receive.Val, Source: c.source.Val,
		Interval: cmp.Or(c.interval.Val, 2*time.Second), Fall: cmp.Or(c.fall.Val, 3), Rise: cmp.Or(c.rise.Val, 2),
	}
	made.Timeout = cmp.Or(c.timeout.Val, min(time.Second, made.Interval))
	if made.Type == CheckHTTP || made.Type == CheckHTTPS {
		made.Path, made.Host, made.Expect = cmp.Or(c.path.Val, "/"), c.host.Val, value.JoinCodes(values(c.expect))
	}
	if made.Type == CheckHTTPS {
		host, _ := value.SplitEndpoint(c.host.Val) // it is good, or ""
		made.TLSName, made.Insecure = cmp.Or(c.tlsName.Val, host.Host), c.insecure
	}
	return made
}

// listCodes returns the items of a list of status codes but the numbers, and files those: the fix puts
// them in quotes.
func listCodes(f field.Field) []source.Value {
	var items []source.Value
	for _, v := range f.OneOrMore() {
		if v.Kind == source.Integer {
			f.Refuse(v, value.Fault{Cause: "it is " + string(v.Kind) + ", not " + string(source.String), Fix: "write " + source.Quote(v.Text)})
			continue
		}
		items = append(items, v)
	}
	return items
}
