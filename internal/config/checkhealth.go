package config

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"natspread/internal/config/field"
	"natspread/internal/config/meant"
	"natspread/internal/config/ranges"
	"natspread/internal/config/source"
	"natspread/internal/text"
)

// checkHealth files what is wrong between the check of a service and its other keys.
func (s inspection) checkHealth(d *draft) {
	if _, given := d.keys.Of("check"); !given {
		s.checkUnchecked(d)
		return
	}
	if !d.checked() {
		return
	}
	s.checkPointless(d.check)
	s.checkCheckPort(d)
	s.checkTimeout(d.check)
	s.checkSource(d)
	s.checkPrimaries(d)
}

// checkUnchecked files keys that only mean something where backends are checked.
func (s inspection) checkUnchecked(d *draft) {
	fix := "write " + d.simpleCheck()
	const why = "the service has no check, so nothing tells which backends are up"
	for _, name := range []string{"min_up", "on_down"} {
		if at, given := d.keys.Of(name); given && !d.Broken {
			s.Refuse(at, fix, "cannot use %s %s: %s", name, s.Show(at), why)
		}
	}
	for _, b := range d.backends {
		if b.Val.Backup && !d.Broken {
			s.Refuse(b.At, fix, "cannot use backend %s as a backup: %s", s.Show(b.At), why)
		}
	}
}

// simpleCheck writes a check that goes with the service's other keys.
func (d *draft) simpleCheck() string {
	portless := slices.ContainsFunc(d.backends, func(b field.Located[Backend]) bool { return b.Val.Port == 0 || b.Val.Last != 0 })
	if !portless && (len(d.protocols) == 0 || d.speaks(TCP)) {
		return exampleOf("check")
	}
	return "check = { type = " + source.Quote(string(CheckTCP)) + ", port = " + d.likelyPort() + " }"
}

// checked tells whether the service has a check whose type is known.
func (d *draft) checked() bool { return d.check.kind.Val != "" }

// speaks tells whether the service has a protocol.
func (d *draft) speaks(protocol Protocol) bool { return slices.Contains(values(d.protocols), protocol) }

// likelyPort writes the port where the backends are most likely to answer a check: one of
// theirs, or else the first that clients ask for.
func (d *draft) likelyPort() string {
	for _, b := range d.backends {
		if b.Val.Port != 0 {
			return strconv.Itoa(int(b.Val.Port))
		}
	}
	for _, l := range d.listen {
		return strconv.Itoa(int(l.Val.Ports.First))
	}
	return "80"
}

// pointless holds the keys that only some types of checks use: these types, and why a check of
// another type has no use for the key.
var pointless = map[string]struct {
	types []CheckType
	why   string
}{
	"path":     {[]CheckType{CheckHTTP, CheckHTTPS}, "asks for no path"},
	"host":     {[]CheckType{CheckHTTP, CheckHTTPS}, "sends no Host header"},
	"expect":   {[]CheckType{CheckHTTP, CheckHTTPS}, "gets no status code"},
	"tls_name": {[]CheckType{CheckHTTPS}, "sees no certificate"},
	"insecure": {[]CheckType{CheckHTTPS}, "sees no certificate"},
	"send":     {[]CheckType{CheckTCP, CheckUDP}, "sends a request of its own"},
	"receive":  {[]CheckType{CheckTCP, CheckUDP}, "looks at the status code alone: see expect"},
}

// checkPointless files keys that mean nothing for the type of the check, and a check by udp
// that sends nothing.
func (s inspection) checkPointless(c checkDraft) {
	for _, k := range c.keys {
		if p, some := pointless[k.Name]; some && !slices.Contains(p.types, c.kind.Val) {
			s.Refuse(k.At, c.pointlessFix(k.Name), "cannot use %s: %s check %s", k.Name, withArticle(string(c.kind.Val)), p.why)
		}
	}
	if c.kind.Val == CheckUDP && !c.has("send", "path", "host", "expect", "tls_name", "insecure") {
		s.Refuse(c.kind.At, c.write("send", source.Quote("ping"))+", with what the backends answer to",
			"cannot use check %s: a udp check needs something to send, or nothing would tell a dead backend from a silent one", s.Show(c.kind.At))
	}
}

// withArticle puts "a" or "an" before the name of a type or a protocol, as it is spoken.
func withArticle(name string) string {
	if strings.HasPrefix(name, "h") || strings.HasPrefix(name, "s") {
		return "an " + name
	}
	return "a " + name
}

// pointlessFix returns the fix for a key that means nothing for the type: the type that was
// meant by it, or where other keys speak against that, to take it out.
func (c checkDraft) pointlessFix(key string) string {
	if c.has("send", "receive") {
		return "take " + key + " out"
	}
	return "write type = " + source.Quote(meant.CheckType(c.has))
}

// checkCheckPort files a check without a port where the port of the backends will not do: they need
// not listen there with the protocol of the check, or one of them has none.
func (s inspection) checkCheckPort(d *draft) {
	c := d.check
	if c.has("port") {
		return
	}
	protocol := c.kind.Val.Protocol()
	if len(d.protocols) > 0 && !d.speaks(protocol) {
		fix := c.write("port", d.likelyPort()) + ", with the port where they do"
		if protocol == TCP && d.speaks(UDP) {
			fix += `; or type = "udp" and what to send`
		}
		s.Refuse(c.kind.At, fix, "cannot use check %s: backends of %s service need not listen on %s",
			s.Show(c.kind.At), withArticle(strings.Join(text.Strings(values(d.protocols)), "+")), protocol)
		return
	}
	for _, b := range d.backends {
		if b.Val.Port == 0 || b.Val.Last != 0 {
			why := "it keeps the port the client asked for"
			switch {
			case b.Val.Last != 0:
				why = "it has a range of ports"
			case d.maps():
				why = "the service maps its ports"
			}
			s.Refuse(b.At, c.write("port", d.likelyPort())+", with the port to check", "cannot check backend %s: %s", s.Show(b.At), why).Related = s.Line(c.at)
			return
		}
	}
}

// checkTimeout files a timeout that is longer than the interval.
func (s inspection) checkTimeout(c checkDraft) {
	made := c.check()
	if made.Timeout <= made.Interval {
		return
	}
	fix := c.write("interval", s.Show(c.timeout.At))
	if c.interval.At == (source.Span{}) {
		s.Refuse(c.timeout.At, fix, "cannot use timeout %s: it is longer than the interval, which is %s by default", s.Show(c.timeout.At), text.Duration(made.Interval))
		return
	}
	s.Refuse(c.timeout.At, fix, "cannot use timeout %s: the interval on line %d is %s",
		s.Show(c.timeout.At), s.Line(c.interval.At), s.Show(c.interval.At)).Related = s.Line(c.interval.At)
}

// checkSource files a source of the other family.
func (s inspection) checkSource(d *draft) {
	six, by, known := d.family()
	source := d.check.source
	if known && source.Val.IsValid() && source.Val.Is6() != six {
		s.Refuse(source.At, "take source out, or write an "+familyName(six)+" address of this machine",
			"cannot use source %s: it is %s, but line %d makes the service %s",
			s.Show(source.At), familyName(!six), s.Line(by), familyName(six)).Related = s.Line(by)
	}
}

// checkPrimaries files a service that is nothing but backups, and a min_up that it never
// reaches. Primaries that are drained count, or natspread drain would write a config that is
// refused.
func (s inspection) checkPrimaries(d *draft) {
	all := len(d.backends)
	primaries := 0
	for _, b := range d.backends {
		if !b.Val.Backup {
			primaries++
		}
	}
	switch {
	case all == 0:
	case primaries == 0:
		last := d.backends[all-1].At
		s.Refuse(last, "take backup out", "cannot use backend %s as a backup: all %d backends are backups, and at least one must not be", s.Show(last), all)
	case d.minUp.Val > primaries:
		s.Refuse(d.minUp.At, "write min_up = "+strconv.Itoa(primaries), "cannot use min_up %s: only %d of the %d backends are no backups", s.Show(d.minUp.At), primaries, all)
	}
}

// checkBalanced files backends whose checks another service, or the same one, would balance: such a
// check would reach backends of that service. Services on "*" are left out, as that depends on the
// addresses of the host.
func (s inspection) checkBalanced(drafts []*draft) {
	if !slices.ContainsFunc(drafts, (*draft).checked) {
		return
	}
	listening := localKeys(drafts)
	for _, d := range drafts {
		if !d.checked() {
			continue
		}
		for _, b := range d.backends {
			target, _ := d.check.check().Of(b.Val)
			if target.Port() == 0 {
				continue
			}
			asked := listenKey{listen: Listen{Ports: Ports{First: target.Port(), Last: target.Port()}}}
			other := listening[balancedKey{d.check.kind.Val.Protocol(), target.Addr()}].Overlapping(asked)
			if other == nil {
				continue
			}
			fix := fmt.Sprintf("write local = false in %s, or the address of the machine that serves it here", other.service.label())
			s.Refuse(b.At, fix, "cannot use backend %s: its check would be balanced by %s, which listens there on line %d",
				s.Show(b.At), other.service.label(), s.Line(other.at)).Related = s.Line(other.at)
		}
	}
}

// balancedKey is what connections that the balancer makes itself are told by.
type balancedKey struct {
	protocol Protocol
	address  netip.Addr
}

// localKeys returns what services listen for of the balancer's own connections.
func localKeys(drafts []*draft) map[balancedKey]ranges.Ranges[listenKey] {
	all := listenKeys(slices.DeleteFunc(slices.Clone(drafts), func(d *draft) bool { return !d.local }))
	slices.SortFunc(all, compareKeys)
	by := map[balancedKey]ranges.Ranges[listenKey]{}
	for group := range ranges.Runs(all, func(a, b listenKey) bool {
		return a.family == b.family && a.protocol == b.protocol && a.listen.Addr == b.listen.Addr
	}) {
		by[balancedKey{group[0].protocol, group[0].listen.Addr}] = newRanges(group)
	}
	return by
}

// asking is the checks of a service, without those that a service before it asks for already.
type asking struct {
	d        *draft
	backends int
	cost     int // of one round, in checks by tcp
	interval time.Duration
}

// rate returns how many a second that is.
func (a asking) rate() float64 { return float64(a.cost) / a.interval.Seconds() }

// checkRate files checks that are too many a second, at the service that has most of them.
// What several services ask alike is asked once.
func (s inspection) checkRate(drafts []*draft) {
	type key struct {
		target netip.AddrPort
		check  Check
	}
	known := map[key]bool{}
	var all []asking
	for _, d := range drafts {
		if !d.checked() {
			continue
		}
		check := d.check.check()
		own := asking{d: d, interval: check.Interval}
		for _, b := range d.backends {
			target, asked := check.Of(b.Val)
			if k := (key{target, asked}); !known[k] {
				known[k] = true
				own.backends++
			}
		}
		own.cost = own.backends * check.Type.Cost()
		all = append(all, own)
	}
	s.refuseRate(all)
}

// refuseRate files too many checks a second, at the service that asks for most of them among those
// whose interval has to become longer.
func (s inspection) refuseRate(all []asking) {
	total := rateOf(all, 0)
	if total <= MaxCheckRate {
		return
	}
	enough := time.Second
	for enough <= maxInterval && rateOf(all, enough) > MaxCheckRate {
		enough += time.Second
	}
	short := slices.DeleteFunc(slices.Clone(all), func(a asking) bool { return a.interval >= enough })
	most := slices.MaxFunc(short, func(a, b asking) int { return cmp.Compare(a.rate(), b.rate()) })
	fix := most.d.check.write("interval", source.Quote(text.Duration(enough)))
	switch {
	case enough > maxInterval:
		fix = "natspread can't ask so often: spread the services over several balancers"
	case len(short) > 1:
		fix += ", in each check that has a shorter one"
	}
	what := fmt.Sprintf("%d backends every %s are %.0f checks a second", most.backends, text.Duration(most.interval), most.rate())
	if len(all) > 1 {
		what += fmt.Sprintf(", of %.0f in all", total)
	}
	what += fmt.Sprintf(", and %d are the most", MaxCheckRate)
	if slices.ContainsFunc(all, func(a asking) bool { return a.cost > a.backends }) {
		what += fmt.Sprintf("; one by https counts as %d", CheckHTTPS.Cost())
	}
	s.Refuse(most.d.check.at, fix, "cannot use check: %s", what)
}

// rateOf returns how many checks a second services ask for with no interval shorter than one.
// The costs of one interval are added before the division, so that no rounding error puts a rate
// of exactly MaxCheckRate above it.
func rateOf(all []asking, shortest time.Duration) float64 {
	costs := map[time.Duration]int{}
	for _, a := range all {
		costs[max(a.interval, shortest)] += a.cost
	}
	rate := 0.0
	for _, interval := range slices.Sorted(maps.Keys(costs)) {
		rate += float64(costs[interval]) / interval.Seconds()
	}
	return rate
}
