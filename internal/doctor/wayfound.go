package doctor

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"natspread/internal/config"
	"natspread/internal/doctor/finding"
	"natspread/internal/doctor/travel"
	"natspread/internal/packetpath"
	"natspread/internal/rules"
	"natspread/internal/text"
)

// finder turns what happens to packets into findings.
type finder struct {
	examination
	family  rules.Family
	packets travel.All
	found   []Finding
	behind  []Finding
	said    map[string]bool // rules that a finding was made of, by their words
}

// follow follows the packets on each part of their way.
func (f *finder) follow(path packetpath.Path) {
	events, there := path.Arrive(f.packets.Arriving.List)
	f.arriving(f.packets.Arriving, events)
	answers, back := path.Return(f.packets.Returning.List)
	f.zones(events, answers, there, back)
	f.passing(path.Pass(f.packets.Passing.List), answers)
	f.delivered(path.Deliver(f.packets.Delivered.List))
	f.firstPackets(path)
	local, _ := path.Leave(f.packets.Leaving.List)
	f.leaving(f.packets.Leaving, local)
	f.leaving(f.packets.PassingOut, path.PassOut(f.packets.PassingOut.List))
}

// deed is what one rule does, and how sure that is.
type deed struct {
	what packetpath.Kind
	rule packetpath.Rule
	sure bool
	lost bool // natspread's own rule lets them through, but is not there
}

// victims are those that a rule does it to.
type victims struct {
	finding.Loss
	names []string
}

// deeds sorts events by the rule, in the order in which packets meet them.
func deeds(t travel.Packets, events []packetpath.Event, kinds ...packetpath.Kind) (keys []deed, done map[deed]*victims) {
	done = map[deed]*victims{}
	for _, event := range events {
		if !slices.Contains(kinds, event.What) {
			continue
		}
		for _, i := range event.Packets {
			key := deed{what: event.What, rule: event.Rule, sure: event.Sure}
			if done[key] == nil {
				done[key] = &victims{}
				keys = append(keys, key)
			}
			done[key].add(t, i)
		}
	}
	return keys, done
}

// add adds the service and the backend of a packet. What one service adds comes in one go.
func (v *victims) add(t travel.Packets, i int) {
	v.Services, v.Backends = addLast(v.Services, t.Of[i].Name), addLast(v.Backends, t.Backend(i).Addr())
	v.names = addLast(v.names, t.Name(i))
}

// addLast adds a value, unless it is the last one already.
func addLast[T comparable](list []T, value T) []T {
	if len(list) > 0 && list[len(list)-1] == value {
		return list
	}
	return append(list, value)
}

// String names the services with the addresses.
func (v *victims) String() string {
	word := "service "
	if len(v.Services) > 1 {
		word = "services "
	}
	return fmt.Sprintf("%s%s (%s)", word, text.Few(v.Services), text.Few(v.names))
}

// nothing says that they get nothing.
func (v *victims) nothing() string {
	if len(v.Services) > 1 {
		return v.String() + " get nothing"
	}
	return v.String() + " gets nothing"
}

// quoted names a rule with its words: rule 1 of PREROUTING of the nat table (nft): -A ...
func quoted(r packetpath.Rule) string {
	if r.Place == 0 {
		return r.Text + " in " + r.Hook
	}
	return fmt.Sprintf("rule %d of %s: %s", r.Place, r.Hook, r.Text)
}

// untilLoaded stands behind a line that takes a rule of others out.
const untilLoaded = " # until what made it makes it again: take it out there, too"

// add adds a finding. What is not sure is a Risk, in other words.
func (f *finder) add(sure bool, what, unsure, fix string, loss finding.Loss) {
	found := Finding{Severity: Broken, What: fmt.Sprintf("%v: %s", f.family, what), Fix: fix, Loss: loss}
	if !sure {
		found.Severity, found.What = Risk, fmt.Sprintf("%v: %s", f.family, unsure)
	}
	f.found = append(f.found, found)
}

// arriving says what becomes of packets of clients before natspread translates them.
func (f *finder) arriving(t travel.Packets, events []packetpath.Event) {
	keys, done := deeds(t, events, packetpath.Dropped, packetpath.Taken, packetpath.Untracked, packetpath.Asked)
	for _, key := range keys {
		to, rule := done[key].String(), quoted(key.rule)
		f.said[rule] = true
		switch key.what {
		case packetpath.Dropped:
			f.add(key.sure, done[key].nothing()+": "+rule+" drops it", "cannot tell whether "+rule+" drops what comes for "+to, f.removed(key.rule), done[key].Loss)
		case packetpath.Taken:
			f.add(key.sure, done[key].nothing()+": "+rule+" takes it", rule+" may take what comes for "+to, f.removed(key.rule), done[key].Loss)
		case packetpath.Untracked:
			f.add(key.sure, done[key].nothing()+": "+rule+" keeps it from being tracked, so it is not translated", rule+" may keep what comes for "+to+" from being tracked, so that it is not translated", f.removed(key.rule), done[key].Loss)
		case packetpath.Asked:
			f.add(false, "", "cannot tell what becomes of what comes for "+to+": "+rule+" decides", "", done[key].Loss)
		}
	}
	keys, done = deeds(t, events, packetpath.Unreached)
	for _, key := range keys {
		found := Finding{Severity: Risk, What: fmt.Sprintf("%v: what comes for %s no longer reaches %s", f.family, done[key], quoted(key.rule))}
		if key.rule.Native || namesPort.MatchString(key.rule.Text) { // else it is there for more than this
			found.Fix = key.rule.Remove + untilLoaded
		}
		f.behind = append(f.behind, found)
	}
}

// namesPort finds a rule of iptables that is for some destination ports, or one address.
var namesPort = regexp.MustCompile(` (--dports?|--destination-ports?|-d) `)

// removed returns the line after which a rule does no harm. Before a rule of its own nat table
// natspread puts its jump itself.
func (f *finder) removed(r packetpath.Rule) string {
	if !r.Native && r.Table == "nat" && r.Variant == f.Variant {
		return FixApply
	}
	return r.Remove + untilLoaded
}

// zones says which services have their packets in one zone of conntrack, and the replies in
// another: there they are taken for what nobody asked for.
func (f *finder) zones(events, answers []packetpath.Event, there, back []int) {
	zone, known := map[string]int{}, map[string]bool{}
	for i, service := range f.packets.Arriving.Of {
		zone[service.Name], known[service.Name] = there[i], true
	}
	apart := map[string]bool{} // whether it is sure, by service
	for i, service := range f.packets.Returning.Of {
		if one := zone[service.Name]; known[service.Name] && (one != back[i] || one < 0) {
			apart[service.Name] = one >= 0 && back[i] >= 0
		}
	}
	said := map[string]bool{}
	for _, part := range []struct {
		travel.Packets
		events []packetpath.Event
	}{{f.packets.Arriving, events}, {f.packets.Returning, answers}} {
		keys, done := deeds(part.Packets, part.events, packetpath.Zoned)
		for _, key := range keys {
			hit := slices.DeleteFunc(slices.Clone(done[key].Services), func(name string) bool {
				_, is := apart[name]
				again := said[name]
				said[name] = said[name] || is
				return !is || again
			})
			if len(hit) == 0 {
				continue
			}
			f.add(apart[hit[0]], fmt.Sprintf("replies of backends of %s are not translated back: %s puts packets one way into another zone of conntrack", text.Few(hit), quoted(key.rule)),
				fmt.Sprintf("cannot tell whether replies of backends of %s are translated back: %s may put them into another zone of conntrack", text.Few(hit), quoted(key.rule)),
				key.rule.Remove+untilLoaded, finding.Loss{Services: hit})
		}
	}
}

// passing says what becomes of packets on their way to a backend and back. A backend is named
// once, by the first rule that drops its packets.
func (f *finder) passing(requests, replies []packetpath.Event) {
	seen := map[string]bool{}
	var keys []deed
	done := map[deed]*victims{}
	for _, part := range []struct {
		travel.Packets
		events []packetpath.Event
	}{{f.packets.Passing, requests}, {f.packets.Returning, replies}} {
		for _, event := range part.events {
			if event.What == packetpath.Dropped {
				keys = f.drops(part.Packets, event, keys, done, seen)
			}
		}
	}
	for _, key := range keys {
		if rule := quoted(key.rule); !f.said[rule] {
			f.said[rule] = true
			f.dropped(key, *done[key])
		}
	}
	f.unseen(requests)
	f.lost(replies)
}

// delivered says what becomes of packets to backends that are the host itself, in INPUT.
func (f *finder) delivered(events []packetpath.Event) {
	t := f.packets.Delivered
	for _, event := range events {
		if event.What != packetpath.Dropped {
			continue
		}
		var v victims
		var fixes []string
		for _, i := range event.Packets {
			v.add(t, i)
			fixes = addLast(fixes, fmt.Sprintf("%s -I INPUT -d %v -p %s --dport %d -j ACCEPT", rules.Program(f.family, event.Rule.Variant, ""), t.List[i].Destination, t.List[i].Protocol, t.List[i].DestinationPort))
		}
		to, by := text.Few(v.Services)+" to "+text.Few(v.names)+", which is this host,", quoted(event.Rule)
		fix := strings.Join(fixes[:min(len(fixes), 4)], " && ") + " # until the next boot"
		if event.Rule.Native || event.Rule.Table != "filter" { // no accept in filter lets through what these drop
			fix = f.removed(event.Rule)
		}
		f.add(event.Sure, "connections of "+to+" are dropped by "+by, "cannot tell whether "+by+" drops connections of "+to, fix, v.Loss)
	}
}

// drops adds what one rule drops to what is known.
func (f *finder) drops(t travel.Packets, event packetpath.Event, keys []deed, done map[deed]*victims, seen map[string]bool) []deed {
	for _, i := range event.Packets {
		service, name := t.Of[i], t.Name(i)
		key := deed{event.What, event.Rule, event.Sure, service.Forward == config.Accept && event.Rule.Variant == f.Variant && event.Rule.Table == "filter"}
		if done[key] == nil {
			if seen[name] {
				continue
			}
			done[key] = &victims{}
			keys = append(keys, key)
		}
		if !seen[name] {
			seen[name] = true
			done[key].names, done[key].Backends = append(done[key].names, name), append(done[key].Backends, t.Backend(i).Addr())
		}
		done[key].Services = addLast(done[key].Services, service.Name)
	}
	return keys
}

// dropped is the finding of a rule, or a policy, that drops balanced connections. In the
// variant in use, natspread's own rules can let its connections through; these also hold
// after the next boot.
func (f *finder) dropped(d deed, v victims) {
	if d.rule.Native {
		f.droppedByNative(d, v)
		return
	}
	by := "the " + string(d.rule.Variant) + " variant: " + d.rule.Text
	fix := rules.Program(f.family, d.rule.Variant, "") + " -I FORWARD -m conntrack --ctstate DNAT -j ACCEPT"
	switch {
	case d.lost:
		fix = FixApply
	case d.rule.Table != "filter" || !d.rule.OfForward:
		fix, by = d.rule.Remove+untilLoaded, quoted(d.rule)
	case d.rule.Variant != f.Variant:
		fix += " # until the next boot"
	default:
		fix += fmt.Sprintf(" # until the next boot; for good: forward = \"accept\" in service %s, then: %s", text.Few(v.Services), FixApply)
	}
	to := fmt.Sprintf("connections of %s to %s", text.Few(v.Services), text.Few(v.names))
	f.add(d.sure, to+" are dropped by "+by, fmt.Sprintf("cannot tell whether the %s variant lets %s through, or drops them: %s", d.rule.Variant, to, strings.TrimPrefix(by, "the "+string(d.rule.Variant)+" variant: ")), fix, v.Loss)
}

// droppedByNative is that of a chain of nft's own. No rule of iptables can let through what
// it drops. Not every chain ahead of FORWARD can ask for ct status: at ingress, and at the
// priority of raw, replies are not tracked yet.
func (f *finder) droppedByNative(d deed, v victims) {
	chain := strings.TrimPrefix(d.rule.Hook, "the nftables chain ")
	found := Finding{Severity: Broken, Fix: d.rule.Remove + untilLoaded, Loss: v.Loss}
	if !d.sure {
		found.Severity = Risk
	}
	if d.rule.Place == 0 && d.rule.OfForward {
		found.Fix = "nft insert rule " + chain + " ct status dnat accept # and for good in the file that makes the chain"
	}
	switch {
	case d.rule.Place != 0:
		to := fmt.Sprintf("connections of %s to %s", text.Few(v.Services), text.Few(v.names))
		found.What = fmt.Sprintf("%v: %s are dropped, also with forward = \"accept\": %s", f.family, to, quoted(d.rule))
		if !d.sure {
			found.What = fmt.Sprintf("%v: cannot tell whether %s drops %s; forward = \"accept\" does not change that", f.family, quoted(d.rule), to)
		}
	case d.sure:
		found.Loss.All = true
		found.What = fmt.Sprintf("the nftables chain %s drops every balanced connection, also with forward = \"accept\": its policy is drop, and no rule accepts", chain)
	default:
		found.What = fmt.Sprintf("cannot tell whether the nftables chain %s, whose policy is drop, lets balanced connections through; forward = \"accept\" does not change that", chain)
	}
	f.found = append(f.found, found)
}

// unseen says who translates the source of clients whose address backends are to see.
func (f *finder) unseen(requests []packetpath.Event) {
	keys, done := deeds(f.packets.Passing, requests, packetpath.Hidden, packetpath.Asked)
	for _, key := range keys {
		rule, of := quoted(key.rule), text.Few(done[key].Services)
		if f.said[rule] {
			continue
		}
		if key.what == packetpath.Asked {
			f.add(false, "", fmt.Sprintf("cannot tell what becomes of connections of %s to %s: %s decides", of, text.Few(done[key].names), rule), "", done[key].Loss)
			continue
		}
		how := "do not see"
		if !key.sure {
			how = "may not see"
		}
		f.add(false, "", fmt.Sprintf("backends of %s %s the client's address, although snat is \"none\": %s translates it", of, how, rule), key.rule.Remove+untilLoaded, finding.Loss{})
	}
}

// lost says which replies are not tracked, so that they are not translated back.
func (f *finder) lost(replies []packetpath.Event) {
	keys, done := deeds(f.packets.Returning, replies, packetpath.Untracked)
	for _, key := range keys {
		rule, of := quoted(key.rule), text.Few(done[key].Services)
		if f.said[rule] {
			continue
		}
		f.add(key.sure, fmt.Sprintf("replies of backends of %s are not translated back: %s keeps them from being tracked", of, rule),
			fmt.Sprintf("replies of backends of %s may not be translated back: %s may keep them from being tracked", of, rule), key.rule.Remove+untilLoaded, finding.Loss{Services: done[key].Services})
	}
}

// leaving says what becomes of connections that the host itself makes to a service. Clients
// do not notice.
func (f *finder) leaving(t travel.Packets, events []packetpath.Event) {
	keys, done := deeds(t, events, packetpath.Dropped, packetpath.Taken, packetpath.Untracked)
	for _, key := range keys {
		if !key.sure {
			continue
		}
		what := map[packetpath.Kind]string{packetpath.Dropped: "are dropped", packetpath.Taken: "are not balanced", packetpath.Untracked: "are not balanced"}[key.what]
		f.add(false, "", fmt.Sprintf("connections that this host itself makes to %s %s: %s", done[key], what, quoted(key.rule)), f.removed(key.rule), finding.Loss{})
	}
}
