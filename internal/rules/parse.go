package rules

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"natspread/internal/slots"
)

// errRule says that a text is none of the rules that natspread writes.
var errRule = errors.New("not a rule that natspread writes")

// ParseRule reads the text of a rule, as iptables-save prints it after
// "-A CHAIN ". Only what Rule can hold is taken, and only in the spelling of
// Rule.AppendText: an option more, a quote, another order is an error.
func ParseRule(text string) (Rule, error) {
	var rule Rule
	_, err := rule.parse(text, nil)
	return rule, err
}

// parse reads a rule, and writes it into a buffer that is handed back for the next one.
func (r *Rule) parse(text string, buffer []byte) ([]byte, error) {
	reader := ruleReader{rest: text, rule: r}
	for !reader.done {
		if err := reader.option(); err != nil {
			return buffer, fmt.Errorf("%.200q: %w", text, err)
		}
	}
	if !r.scoped() {
		return buffer, fmt.Errorf("%.200q: %w", text, errRule)
	}
	// The reader takes options in any order and numbers in any spelling; to ask
	// for the same text back is simpler than to forbid each of these, and stricter.
	if buffer = r.AppendText(buffer[:0]); string(buffer) != text {
		return buffer, fmt.Errorf("%.200q: %w", text, errRule)
	}
	return buffer, nil
}

// ruleReader takes a rule apart, word by word.
type ruleReader struct {
	rest string
	done bool // the last word was taken
	rule *Rule
	bad  bool // a value did not parse
}

// next takes the next word; "" behind the last one.
func (r *ruleReader) next() string {
	end := strings.IndexByte(r.rest, ' ')
	if r.done = end < 0; r.done {
		end = len(r.rest)
	}
	word := r.rest[:end]
	r.rest = r.rest[min(end+1, len(r.rest)):]
	return word
}

// option takes one option with its values.
func (r *ruleReader) option() error {
	rule := r.rule
	switch word := r.next(); word {
	case "-s":
		rule.Source = r.prefix()
	case "-d":
		rule.Destination = r.prefix()
		r.bad = r.bad || rule.NotDestination.IsValid() // iptables takes one -d a rule
	case "!":
		r.bad = r.next() != "-d"
		rule.NotDestination = r.prefix()
	case "-i":
		rule.InInterface = r.next()
		r.bad = !plain(strings.TrimSuffix(rule.InInterface, "+")) || len(rule.InInterface) > maxInterface
	case "-p":
		rule.Protocol = r.next()
		r.bad = r.bad || ProtocolNumber(rule.Protocol) == 0
	case "-m":
		r.match(r.next())
	case "-j":
		r.target(r.next())
	case "-g":
		rule.Target = Target{Kind: Goto, Chain: r.ownChain(r.next())}
	default:
		r.bad = true
	}
	if r.bad {
		return errRule
	}
	return nil
}

// maxInterface is the longest name of an interface: IFNAMSIZ less its NUL.
const maxInterface = 15

// plain tells whether a name has no byte that iptables-restore could read as a
// quote, an escape, a wildcard, an option or the end of a word.
func plain(name string) bool {
	for _, c := range []byte(name) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9'
		if !letter && !strings.ContainsRune("-_.:@", rune(c)) {
			return false
		}
	}
	return name != "" && name[0] != '-'
}

// ownChain tells whether natspread may have given the name to a chain.
func ownChain(name string) bool {
	return IsOwn(name) && plain(name) && len(name) <= MaxChain
}

// match takes the options of one match.
func (r *ruleReader) match(name string) {
	rule := r.rule
	switch name {
	case "tcp", "udp", "sctp":
		r.packet()
	case "addrtype":
		r.word("--dst-type")
		r.word("LOCAL")
		rule.LocalDestination = true
	case "conntrack":
		r.conntrack()
	case "mark":
		r.mark()
	case "statistic":
		r.statistic()
	case "comment":
		r.word("--comment")
		rule.Comment = r.next()
		r.bad = r.bad || rule.Comment != Comment
	default:
		r.bad = true
	}
}

// packet takes the options of -m tcp, udp or sctp.
func (r *ruleReader) packet() {
	switch r.peek() {
	case "--sport":
		r.next()
		r.rule.SourcePorts = r.ports()
	case "--dport":
		r.next()
		r.rule.DestinationPorts = r.ports()
	case "--tcp-flags":
		r.next()
		r.word("SYN,RST")
		r.word("SYN")
		r.rule.Handshake = true
		r.bad = r.bad || r.rule.Protocol != "tcp"
	case "!":
	default:
		r.bad = true
	}
	if r.peek() == "!" {
		r.rule.Midstream = true // the one spelling that parse takes
		r.bad = r.bad || r.rule.Protocol != "tcp"
		for range 4 {
			r.next()
		}
	}
}

// conntrack takes the options of -m conntrack.
func (r *ruleReader) conntrack() {
	rule := r.rule
	for strings.HasPrefix(r.peek(), "--ct") {
		switch r.next() {
		case "--ctstate":
			state := r.next()
			rule.Translated, rule.SourceTranslated, rule.BeginsOrSNAT = state == "DNAT", state == "SNAT", state == "NEW,SNAT"
			r.bad = r.bad || !rule.Translated && !rule.SourceTranslated && !rule.BeginsOrSNAT
		case "--ctproto":
			rule.ConnectionProtocol = r.protocol()
		case "--ctorigsrc":
			rule.OriginalSource = r.connectionEnd()
		case "--ctstatus":
			r.word("EXPECTED")
			rule.Expected = true
		case "--ctorigdst":
			rule.OriginalDestination = r.connectionEnd()
		case "--ctreplsrc":
			rule.ReplySource = r.connectionEnd()
		case "--ctorigsrcport":
			rule.OriginalSourcePorts = r.ports()
		case "--ctorigdstport":
			rule.OriginalPorts = r.ports()
		case "--ctreplsrcport":
			rule.ReplyPorts = r.ports()
		default:
			r.bad = true
		}
	}
}

// mark takes the options of -m mark.
func (r *ruleReader) mark() {
	r.word("--mark")
	value, mask, _ := strings.Cut(r.next(), "/")
	r.rule.Mark = Mark{r.hex(value), r.hex(mask)}
	r.bad = r.bad || r.rule.Mark.Mask == 0 || r.rule.Mark.Value&^r.rule.Mark.Mask != 0
}

// hex reads 0xf0, at most the mark of the last slot.
func (r *ruleReader) hex(text string) uint16 {
	n, err := strconv.ParseUint(text, 0, 16)
	r.bad = r.bad || err != nil || n >= slots.Max
	return uint16(n)
}

// ownChain takes the name of a chain of ours.
func (r *ruleReader) ownChain(name string) string {
	r.bad = r.bad || !ownChain(name)
	return name
}

// peek returns the next word without taking it.
func (r *ruleReader) peek() string {
	word, _, _ := strings.Cut(r.rest, " ")
	return word
}

// word takes a word that has to be there.
func (r *ruleReader) word(want string) { r.bad = r.next() != want || r.bad }

// number takes an unsigned number of so many bits.
func (r *ruleReader) number(bits int) uint64 {
	n, err := strconv.ParseUint(r.next(), 10, bits)
	r.bad = r.bad || err != nil
	return n
}

// ports takes N or N:M.
func (r *ruleReader) ports() Ports {
	ports, ok := parsePorts(r.next(), ":")
	r.bad = r.bad || !ok
	return ports
}

// prefix takes ADDRESS/LENGTH without host bits. Length 0 is no condition, and
// iptables-save prints none.
func (r *ruleReader) prefix() netip.Prefix {
	prefix, err := netip.ParsePrefix(r.next())
	r.bad = r.bad || err != nil || prefix.Masked() != prefix || prefix.Bits() == 0
	return prefix
}

// protocol takes the number of a protocol.
func (r *ruleReader) protocol() string {
	number := uint8(r.number(8))
	for _, known := range protocols {
		if known.number == number {
			return known.name
		}
	}
	r.bad = true
	return ""
}

// connectionEnd takes an address, or a prefix of several.
func (r *ruleReader) connectionEnd() netip.Prefix {
	if strings.Contains(r.peek(), "/") {
		return r.prefix()
	}
	address := r.address(r.next())
	return netip.PrefixFrom(address, address.BitLen())
}

// address reads an address that a machine can have.
func (r *ruleReader) address(text string) netip.Addr {
	address, err := netip.ParseAddr(text)
	r.bad = r.bad || err != nil || !canBeHeld(address)
	return address
}

// canBeHeld tells whether a machine can have an address. A zone could hold any byte, and
// iptables takes the unspecified address without complaint.
func canBeHeld(address netip.Addr) bool { return address.Zone() == "" && !address.IsUnspecified() }

// backend reads ADDRESS, ADDRESS:PORT or [ADDRESS]:PORT.
func (r *ruleReader) backend(text string) (address netip.Addr, port uint16, hasPort bool) {
	pair, err := netip.ParseAddrPort(text)
	if err != nil {
		return r.address(text), 0, false
	}
	r.bad = r.bad || !canBeHeld(pair.Addr())
	return pair.Addr(), pair.Port(), true
}
