package walk

import (
	"cmp"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"natspread/internal/rules"
	"natspread/internal/subnet"
)

// optionReader reads the words of a rule.
type optionReader struct {
	rule   *Rule
	words  []string
	module string // the match that the options are of
	not    bool   // the next one is inverted
}

// short are the options that people write in other ways than iptables-save does.
var short = map[string]string{
	"--protocol": "-p", "--proto": "-p", "--source": "-s", "--src": "-s", "--destination": "-d", "--dst": "-d",
	"--in-interface": "-i", "--out-interface": "-o", "--match": "-m", "--jump": "-j", "--goto": "-g",
	"--destination-port": "--dport", "--source-port": "--sport", "--destination-ports": "--dports", "--source-ports": "--sports",
	"--to-port": "--to-ports",
}

// modules are the matches whose options are read one by one.
var modules = []string{"tcp", "udp", "sctp", "multiport", "conntrack", "state", "comment", "addrtype", "iprange", "statistic", "nth", "random"}

// next takes the next word; "" behind the last one.
func (r *optionReader) next() string {
	if len(r.words) == 0 {
		return ""
	}
	word := r.words[0]
	r.words = r.words[1:]
	return word
}

// all reads all of them.
func (r *optionReader) all() {
	r.rule.Share = Share{Part: 1}
	for len(r.words) > 0 {
		word := r.next()
		if plain, long := short[word]; long {
			word = plain
		}
		switch {
		case word == "!":
			r.not = true
			continue
		case word == "-j" || word == "-g":
			r.rule.Target = targetOf(r.next(), word == "-g", r.words)
			return
		case word == "-m":
			r.begin(r.next())
		case word == "":
		case r.module != "" && !slices.Contains(modules, r.module) && strings.HasPrefix(word, "--"):
			r.more(word)
		default:
			r.option(word)
		}
		r.not = false
	}
}

// begin begins the options of a match.
func (r *optionReader) begin(module string) {
	r.module = module
	if !slices.Contains(modules, module) {
		r.rule.Unknown = append(r.rule.Unknown, "-m "+module)
	}
}

// more adds an option with its values to a match that natspread cannot judge.
func (r *optionReader) more(word string) {
	last := &r.rule.Unknown[len(r.rule.Unknown)-1]
	if r.not {
		*last += " !"
	}
	*last += " " + word
	for len(r.words) > 0 && r.words[0] != "!" && !strings.HasPrefix(r.words[0], "-") {
		*last += " " + r.next()
	}
}

// unknown notes an option that natspread cannot judge.
func (r *optionReader) unknown(words ...string) {
	if r.not {
		words = append([]string{"!"}, words...)
	}
	r.rule.Unknown = append(r.rule.Unknown, strings.Join(words, " "))
}

// add adds a condition.
func (r *optionReader) add(t test) {
	if r.not {
		t = inverted(t)
	}
	r.rule.tests = append(r.rule.tests, t)
}

// option reads one option with its value.
func (r *optionReader) option(name string) {
	asks, value := &r.rule.Asks, ""
	if name != "--syn" && name != "--random" {
		value = r.next()
	}
	switch name {
	case "--comment":
		r.rule.Comment = unquoted(value)
	case "-p", "--ctproto":
		r.keep(&asks.Protocol, value)
		r.add(func(p *Packet) answer { return is(sameProtocol(value, p.Protocol)) })
	case "-i":
		r.link(value)
	case "-o":
		r.keep(&asks.Out, value)
		r.add(leaves(value))
	case "-s", "-d", "--src-range", "--dst-range", "--ctorigdst", "--ctreplsrc":
		r.address(name, value)
	case "--dport", "--dports", "--ctorigdstport", "--ctreplsrcport", "--sport", "--sports":
		r.port(name, value)
	case "--syn":
		r.add(flagged("FIN,SYN,RST,ACK", "SYN"))
	case "--tcp-flags":
		r.add(flagged(value, r.next()))
	case "--state", "--ctstate":
		r.add(inState(value))
	case "--dst-type", "--src-type":
		r.kind(name, value)
	default:
		if !r.share(name, value) {
			r.unknown(name, value)
		}
	}
}

// keep keeps what a condition asks for, if it is not inverted.
func (r *optionReader) keep(place *string, value string) {
	if !r.not {
		*place = value
	}
}

// link reads the interface that packets come in by. What the host makes itself comes in by none.
func (r *optionReader) link(name string) {
	r.keep(&r.rule.Asks.In, name)
	if r.not {
		r.rule.Asks.NotLinks = append(r.rule.Asks.NotLinks, name)
	}
	r.add(func(p *Packet) answer { return is(!p.Made && sameLink(name, p.In)) })
}

// leaves asks for the interface that packets leave by.
func leaves(name string) test {
	return func(p *Packet) answer {
		if p.Out == "" && name != "+" {
			return perhaps
		}
		return is(sameLink(name, p.Out))
	}
}

// address reads the option of an address.
func (r *optionReader) address(name, value string) {
	list, ok := prefixes(value)
	if !ok {
		r.unknown(name, value)
		return
	}
	asks := &r.rule.Asks
	of, kept := destinationOf, &asks.Destination
	switch name {
	case "-s", "--src-range":
		of, kept = sourceOf, &asks.Source
	case "--ctorigdst":
		of, kept = askedOf, &asks.Original
	case "--ctreplsrc":
		kept = &asks.Backend
	}
	if !r.not {
		*kept = list
	}
	switch {
	case r.not && name == "-s": // the clients in it are asked about, too
		asks.Source = append(asks.Source, list...)
	case r.not && kept == &asks.Destination:
		asks.NotDestination = append(asks.NotDestination, list...)
	}
	r.add(among(list, of))
}

// port reads the option of a port.
func (r *optionReader) port(name, value string) {
	list, ok := rules.ReadPortList(value)
	switch {
	case !ok:
		r.unknown(name, value)
	case name == "--sport" || name == "--sports":
		r.add(fromPorts(list))
	case name == "--ctorigdstport":
		r.rule.Asks.Named = append(r.rule.Asks.Named, list...)
		r.add(inPorts(list, askedPortOf))
	default:
		r.rule.Asks.Named = append(r.rule.Asks.Named, list...)
		if name != "--ctreplsrcport" {
			wanted := list
			if r.not {
				wanted = otherPorts(list)
			}
			r.rule.Asks.Ports = bothPorts(r.rule.Asks.Ports, wanted)
		}
		r.add(inPorts(list, portOf))
	}
}

// otherPorts returns the ports that are in none of some ranges.
func otherPorts(list []rules.Ports) []rules.Ports {
	others, next := []rules.Ports{}, 0
	for _, one := range slices.SortedFunc(slices.Values(list), func(a, b rules.Ports) int { return cmp.Compare(a.First, b.First) }) {
		if int(one.First) > next {
			others = append(others, rules.Ports{First: uint16(next), Last: one.First - 1})
		}
		next = max(next, int(one.Last)+1)
	}
	if next <= math.MaxUint16 {
		others = append(others, rules.Ports{First: uint16(next), Last: math.MaxUint16})
	}
	return others
}

// kind reads what sort of address the source or the destination is to be.
func (r *optionReader) kind(name, value string) {
	switch {
	case value != "LOCAL":
		r.unknown(name, value)
	case name == "--src-type":
		r.add(func(p *Packet) answer { return is(p.Made) })
	default:
		r.add(func(p *Packet) answer { return is(p.Local) })
	}
}

// share reads an option of the matches that take a part of what reaches them; false for any other.
func (r *optionReader) share(name, value string) bool {
	share := &r.rule.Share
	number, err := strconv.ParseFloat(value, 64)
	bad := err != nil || math.IsNaN(number) || number < 0 || r.not
	switch {
	case name == "--mode" && value == "random":
		share.Mode = Random
	case name == "--mode" && value == "nth":
		share.Mode = Nth
	case bad && name != "--counter":
		return false
	case name == "--probability" && number <= 1:
		share.Part = number
	case name == "--average" && r.module == "random" && number <= 100:
		share.Mode, share.Part = Random, number/100
	case name == "--every" && number >= 1 && number <= math.MaxInt32:
		share.Every, share.Part = int(number), 1/math.Floor(number)
		if r.module == "nth" && share.Mode == All {
			share.Mode = Nth
		}
	case name == "--packet" && number <= math.MaxInt32:
		share.Packet = int(number)
	case name == "--counter" && r.module == "nth":
		share.Mode, share.Counter = Counter, value
	default:
		return false
	}
	return true
}

// prefixes reads ADDRESS, ADDRESS/BITS, ADDRESS/MASK or FIRST-LAST; not a mask with holes.
func prefixes(value string) ([]netip.Prefix, bool) {
	if first, last, ranged := strings.Cut(value, "-"); ranged {
		low, errLow := netip.ParseAddr(first)
		high, errHigh := netip.ParseAddr(last)
		if errLow != nil || errHigh != nil || low.BitLen() != high.BitLen() || high.Less(low) {
			return nil, false
		}
		return rangePrefixes(low, high), true
	}
	if one, err := netip.ParsePrefix(value); err == nil {
		return []netip.Prefix{one.Masked()}, true
	}
	text, mask, masked := strings.Cut(value, "/")
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return nil, false
	}
	bits := addr.BitLen()
	if masked {
		m, err := netip.ParseAddr(mask)
		if err != nil || m.BitLen() != addr.BitLen() {
			return nil, false
		}
		if bits = leadingOnes(m.AsSlice()); bits < 0 {
			return nil, false
		}
	}
	one, err := addr.WithZone("").Prefix(bits)
	return []netip.Prefix{one}, err == nil
}

// leadingOnes counts the ones of a mask; -1 where it has holes.
func leadingOnes(mask []byte) int {
	bits, ended := 0, false
	for i := range len(mask) * 8 {
		on := mask[i/8]&(0x80>>(i%8)) != 0
		if on && ended {
			return -1
		}
		ended = ended || !on
		if on {
			bits++
		}
	}
	return bits
}

// rangePrefixes returns the prefixes that a range of addresses consists of.
func rangePrefixes(low, high netip.Addr) []netip.Prefix {
	var list []netip.Prefix
	for low.IsValid() && low.Compare(high) <= 0 {
		bits := low.BitLen()
		for bits > 0 {
			wider, err := low.Prefix(bits - 1)
			if err != nil || wider.Addr() != low || subnet.Last(wider).Compare(high) > 0 {
				break
			}
			bits--
		}
		one := netip.PrefixFrom(low, bits)
		list = append(list, one)
		low = subnet.Last(one).Next()
	}
	return list
}

// unquoted returns a word without the quotes that iptables-save puts around it.
func unquoted(word string) string {
	inner, quoted := strings.CutPrefix(word, `"`)
	if !quoted {
		return word
	}
	return strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(strings.TrimSuffix(inner, `"`))
}
