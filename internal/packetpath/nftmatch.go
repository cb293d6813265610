package packetpath

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"natspread/internal/rules"
)

// match reads a comparison. What it compares is there in packets of one protocol only: to
// others it never applies, also where it is inverted.
func (r *nftReader) match(body json.RawMessage) []condition {
	var m struct {
		Op          string
		Left, Right json.RawMessage
	}
	if json.Unmarshal(body, &m) != nil {
		return []condition{always(perhaps)}
	}
	if flags, known := flagsOf(m.Left, m.Right); known && (m.Op == "==" || m.Op == "!=") {
		if m.Op == "!=" {
			flags = inverted(flags)
		}
		return []condition{ofProtocol("tcp"), flags}
	}
	var name string
	values := []json.RawMessage{m.Right}
	if json.Unmarshal(m.Right, &name) == nil && strings.HasPrefix(name, "@") {
		values = r.sets[name]
	} else if set := r.elements(m.Right); set != nil {
		values = set
	} else if list := []json.RawMessage(nil); json.Unmarshal(m.Right, &list) == nil {
		values = list
	}
	switch m.Op {
	case "==", "in":
		return r.compare(m.Left, values)
	case "!=":
		read := r.compare(m.Left, values)
		read[len(read)-1] = inverted(read[len(read)-1])
		return read
	}
	return r.order(m.Op, m.Left, m.Right)
}

// compare asks whether a part of a packet is one of some values.
func (r *nftReader) compare(left json.RawMessage, values []json.RawMessage) []condition {
	var several struct{ Concat []json.RawMessage }
	if json.Unmarshal(left, &several) == nil && several.Concat != nil {
		return r.compareAll(several.Concat, values)
	}
	o := r.operand(left)
	if o.addr != nil && len(values) > 1 {
		if ranges, ok := jsonRanges(values); ok {
			return append(o.depends, inRanges(ranges, o.addr, o.end))
		}
	}
	one := make(conditions, len(values))
	for i, value := range values {
		one[i] = o.is(bare(value))
	}
	if len(one) == 1 {
		return append(o.depends, one[0])
	}
	return append(o.depends, condition{one.any, one.about()})
}

// jsonRanges reads the values of a set of addresses, in order.
func jsonRanges(values []json.RawMessage) (ranges addresses, ok bool) {
	for _, value := range values {
		ends, ok := jsonAddresses(bare(value))
		if !ok {
			return nil, false
		}
		ranges = append(ranges, ends)
	}
	slices.SortFunc(ranges, func(a, b [2]netip.Addr) int { return a[0].Compare(b[0]) })
	return ranges, true
}

// compareAll asks whether several parts together are one of some values.
func (r *nftReader) compareAll(parts, values []json.RawMessage) []condition {
	operands := make([]operand, len(parts))
	var depends, found conditions
	for i, part := range parts {
		operands[i] = r.operand(part)
		depends = append(depends, operands[i].depends...)
	}
	for _, value := range values {
		var each struct{ Concat []json.RawMessage }
		if json.Unmarshal(bare(value), &each) != nil || len(each.Concat) != len(parts) {
			found = append(found, always(perhaps))
			continue
		}
		both := make(conditions, len(parts))
		for i := range parts {
			both[i] = operands[i].is(bare(each.Concat[i]))
		}
		found = append(found, condition{both.all, both.about()})
	}
	return append(depends, condition{found.any, found.about()})
}

// order asks whether a port is below or above a value.
func (r *nftReader) order(op string, left, right json.RawMessage) []condition {
	o := r.operand(left)
	port, err := strconv.ParseUint(string(right), 10, 16)
	if o.port == nil || err != nil {
		return append(o.depends, always(perhaps))
	}
	value, last := uint16(port), uint16(65535)
	ranges := map[string]ports{"<": {{Last: value - 1}}, "<=": {{Last: value}}, ">": {{First: value + 1, Last: last}}, ">=": {{First: value, Last: last}}}[op]
	if value == 0 && op == "<" || value == last && op == ">" {
		ranges = nil
	}
	return append(o.depends, inPorts(ranges, o.port))
}

// bare returns a value of a set without what is said of it: a comment, a counter, a time.
func bare(value json.RawMessage) json.RawMessage {
	var wrapped struct{ Elem struct{ Val json.RawMessage } }
	if json.Unmarshal(value, &wrapped) == nil && wrapped.Elem.Val != nil {
		return wrapped.Elem.Val
	}
	return value
}

// operand is a part of a packet as nftables names it: an address, a port, or words; else only
// an answer is known.
type operand struct {
	depends   []condition
	addr, end field[netip.Addr]
	port      field[uint16]
	words     func(*Packet) (words []string, known bool)
	answer    answer
}

// is asks whether a packet has a value there.
func (o operand) is(value json.RawMessage) condition {
	switch {
	case o.addr != nil:
		if ends, ok := jsonAddresses(value); ok {
			return inRanges(addresses{ends}, o.addr, o.end)
		}
	case o.port != nil:
		if ends, ok := jsonPorts(value); ok {
			return inPorts(ports{ends}, o.port)
		}
	case o.words != nil:
		return hasWord(o.words, strings.Trim(string(value), `"`))
	default:
		return always(o.answer)
	}
	return always(perhaps)
}

// jsonAddresses reads an address, a prefix or a range.
func jsonAddresses(value json.RawMessage) (ends [2]netip.Addr, ok bool) {
	var text string
	if json.Unmarshal(value, &text) == nil {
		return rangeOf(text)
	}
	var many struct {
		Prefix *struct {
			Addr string
			Len  int
		}
		Range [2]netip.Addr
	}
	if json.Unmarshal(value, &many) != nil {
		return ends, false
	}
	if many.Prefix != nil {
		return rangeOf(many.Prefix.Addr + "/" + strconv.Itoa(many.Prefix.Len))
	}
	return many.Range, many.Range[0].IsValid() && many.Range[1].IsValid()
}

// jsonPorts reads a port or a range.
func jsonPorts(value json.RawMessage) (ends rules.Ports, ok bool) {
	var one uint16
	if json.Unmarshal(value, &one) == nil {
		return rules.Ports{First: one, Last: one}, true
	}
	var many struct{ Range [2]uint16 }
	err := json.Unmarshal(value, &many)
	return rules.Ports{First: many.Range[0], Last: many.Range[1]}, err == nil && many.Range[1] != 0
}

// flagsOf reads a comparison of the flags of TCP under a mask.
func flagsOf(left, right json.RawMessage) (c condition, known bool) {
	var masked struct {
		And []json.RawMessage `json:"&"`
	}
	var of struct {
		Payload struct{ Protocol, Field string }
	}
	if json.Unmarshal(left, &masked) != nil || len(masked.And) != 2 || json.Unmarshal(masked.And[0], &of) != nil || of.Payload.Field != "flags" {
		return condition{}, false
	}
	mask, ok := flagWords(masked.And[1])
	set, ok2 := flagWords(right)
	return tcpFlags(mask, set), ok && ok2
}

// flagWords reads one flag, or a list of them; 0 is none.
func flagWords(value json.RawMessage) (flags []string, ok bool) {
	var one string
	switch {
	case string(value) == "0":
		return nil, true
	case json.Unmarshal(value, &one) == nil:
		flags = []string{one}
	case json.Unmarshal(value, &flags) != nil:
		return nil, false
	}
	for i := range flags {
		flags[i] = strings.ToUpper(flags[i])
	}
	return flags, true
}

// selector is the left side of a comparison.
type selector struct {
	Payload *struct{ Protocol, Field string }
	Meta    *struct{ Key string }
	Ct      *struct{ Key, Dir string }
	Fib     *struct {
		Result string
		Flags  []string
	}
}

// operand reads the left side of a comparison.
func (r *nftReader) operand(left json.RawMessage) operand {
	var s selector
	unknown := operand{answer: perhaps}
	if json.Unmarshal(left, &s) != nil {
		return unknown
	}
	switch {
	case s.Payload != nil:
		return payload(s.Payload.Protocol, s.Payload.Field)
	case s.Meta != nil:
		return meta(s.Meta.Key)
	case s.Ct != nil:
		return tracked(s.Ct.Key, s.Ct.Dir)
	case s.Fib != nil && s.Fib.Result == "type" && slices.Equal(s.Fib.Flags, []string{"daddr"}):
		return operand{words: typeOf}
	case s.Fib != nil && slices.Contains(s.Fib.Flags, "saddr"):
		return operand{answer: some}
	}
	return unknown
}

// payload returns a field of a protocol's header.
func payload(protocol, name string) operand {
	o := operand{answer: perhaps}
	switch protocol {
	case "ip", "ip6":
		o.depends = []condition{ofFamily(protocol)}
	case "th":
	default:
		o.depends = []condition{ofProtocol(protocol)}
	}
	switch name {
	case "saddr":
		o.addr, o.end = sourceOf, destinationOf
	case "daddr":
		o.addr, o.end = destinationOf, sourceOf
	case "sport":
		o.port = sourcePortOf
	case "dport":
		o.port = destinationPortOf
	case "protocol", "nexthdr":
		o.words = protocolWords
	case "ttl", "hoplimit", "length", "id", "dscp", "ecn", "sequence", "window":
		o.answer = some
	}
	return o
}

// ofFamily asks for packets of a family, in nft's words.
func ofFamily(word string) condition {
	return condition{ask: func(p *Packet) answer { return answerOf(p.Family.NFTWord() == word) }}
}

// protocolWords returns the protocol of a packet, by its name and its number.
func protocolWords(p *Packet) ([]string, bool) {
	return []string{p.Protocol, strconv.Itoa(int(rules.ProtocolNumber(p.Protocol)))}, true
}

// meta returns what the kernel knows beside the bytes of a packet.
func meta(key string) operand {
	link := func(of func(*Packet) string) operand {
		return operand{words: func(p *Packet) ([]string, bool) { return []string{of(p)}, of(p) != "" }}
	}
	switch key {
	case "iifname", "iif":
		return link(func(p *Packet) string { return p.In })
	case "oifname", "oif":
		return link(func(p *Packet) string { return p.Out })
	case "l4proto":
		return operand{words: protocolWords}
	case "nfproto":
		return operand{words: func(p *Packet) ([]string, bool) { return []string{p.Family.String()}, true }}
	case "protocol":
		return operand{words: func(p *Packet) ([]string, bool) { return []string{p.Family.NFTWord()}, true }}
	case "pkttype":
		return operand{words: func(*Packet) ([]string, bool) { return []string{"host", "unicast"}, true }}
	case "mark", "length", "skuid", "skgid", "cgroup", "cpu", "random", "time", "day", "hour", "priority":
		return operand{answer: some}
	}
	return operand{answer: perhaps}
}

// tracked returns what conntrack knows of a packet.
func tracked(key, direction string) operand {
	switch {
	case key == "state", key == "status":
		return operand{words: lowStates}
	case key == "direction":
		return operand{words: func(p *Packet) ([]string, bool) {
			if p.isReply() {
				return []string{"reply", "1"}, true
			}
			return []string{"original", "0"}, true
		}}
	case direction == "original" && strings.HasSuffix(key, "daddr"):
		return operand{addr: origDstOf, end: origDstOf}
	case direction == "reply" && strings.HasSuffix(key, "saddr"):
		return operand{addr: replySrcOf, end: replySrcOf}
	case direction == "original" && key == "proto-dst":
		return operand{port: origPortOf}
	case direction == "reply" && key == "proto-src":
		return operand{port: replyPortOf}
	case key == "mark", key == "zone", strings.HasSuffix(key, "saddr"), key == "proto-src", key == "bytes", key == "packets":
		return operand{answer: some}
	}
	return operand{answer: perhaps}
}
