package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"natspread/internal/config"
	"natspread/internal/network"
	"natspread/internal/rules"
	"natspread/internal/text"
)

// uplink is an interface that connections of a family come in by.
type uplink struct {
	family rules.Family
	link   network.Link
}

// uplinks looks for listen addresses on another interface than that of the default route.
// Clients beside it are answered there; all others by the default route, where a provider
// drops a source address that is not its own. A rule for the source does not help: an answer
// is routed while it has that of the backend.
func (e examination) uplinks() []Finding {
	var held groups[uplink, netip.Addr]
	for _, service := range e.Services {
		for _, listen := range service.Listen {
			holder, known := e.network.Holder(listen.Addr)
			link := holder.Link
			if known && link.Up && !link.NoARP && link.Name != "lo" && service.ComesBy(link.Name) && !e.leadsToBackend(service, link.Name) {
				held.add(uplink{familyOf(service), link}, listen.Addr)
			}
		}
	}
	var found []Finding
	for _, up := range held.keys {
		out := e.network.DefaultLink(up.family)
		if out != "" && out != up.link.Name && !e.answersMarked(up) {
			found = append(found, e.otherUplink(up, out, held.values[up]))
		}
	}
	return found
}

// Outside finds families whose services are for everybody on a host without a default route: who is on none of
// its subnets gets no answer.
func (h Host) Outside(services []config.Service) []Finding {
	read, err := h.readNetwork()
	if err != nil {
		return nil
	}
	var found []Finding
	for _, family := range (Balancer{Services: services}).families() {
		var names []string
		for _, service := range services {
			if familyOf(service) == family && len(service.Allow) == 0 {
				names = append(names, service.Name)
			}
		}
		if _, there := read.Default(family); there || len(names) == 0 {
			continue
		}
		found = append(found, Finding{
			Severity: Risk, What: fmt.Sprintf("%v: there is no default route: clients of %s that no other route leads to get no answer", family, text.Few(names)),
			Fix: fmt.Sprintf("%s route add default via GATEWAY # or, where there are no such clients: allow = SUBNETS in service %s, then: %s", ipProgram(family), names[0], FixApply),
		})
	}
	return found
}

// answersMarked tells whether connections that come in by an interface get a mark, and a
// mark leads their answers back there.
func (e examination) answersMarked(up uplink) bool {
	marks := func(_ rules.SavedChain, rule rules.SavedRule) bool {
		words := slices.Collect(rule.Words())
		at := slices.Index(words, "-i")
		return rule.JumpsTo() == "CONNMARK" && at >= 0 && at+1 < len(words) && words[at+1] == up.link.Name && !slices.Contains(words, "--restore-mark")
	}
	return e.mangles(up.family, marks) && e.network.MarkLeads(up.link, up.family)
}

// otherUplink is the finding of listen addresses on an interface whose answers leave by
// another one. The first rule keeps what has a route of its own on that: without it the first
// packet of a connection would leave by the uplink, where its mark is set already. Each uplink
// has preferences of its own, as the kernel refuses a rule that is there already.
func (e examination) otherUplink(up uplink, out string, addrs []netip.Addr) Finding {
	gateway := "GATEWAY"
	if known, found := e.network.Gateway(up.link, up.family); found {
		gateway = known.String()
	}
	number := up.link.Index%200 + 1
	fix := strings.NewReplacer(
		"IPTABLES", rules.Program(up.family, e.Variant, ""), "LINK", up.link.Name, "FWMARK", fmt.Sprintf("%#x/0xff00", number<<8),
		"IP", ipProgram(up.family), "TABLE", fmt.Sprint(1000+number), "BEFORE", fmt.Sprint(1000+2*number), "AFTER", fmt.Sprint(1001+2*number),
		"GATEWAY", gateway,
	).Replace("IPTABLES -t mangle -A PREROUTING -i LINK -m conntrack --ctstate NEW -j CONNMARK --set-xmark FWMARK" +
		" && IPTABLES -t mangle -A PREROUTING ! -i LINK -m connmark ! --mark 0x0/0xff00 -j CONNMARK --restore-mark --nfmask 0xff00 --ctmask 0xff00" +
		" && IPTABLES -t mangle -A OUTPUT -m connmark ! --mark 0x0/0xff00 -j CONNMARK --restore-mark --nfmask 0xff00 --ctmask 0xff00" +
		" && IP rule add pref BEFORE lookup main suppress_prefixlength 0 && IP rule add pref AFTER fwmark FWMARK lookup TABLE && IP route add default via GATEWAY dev LINK table TABLE")
	if strict, err := e.strict(up.link.Name); up.family == rules.IPv4 && err == nil && strict { // it would drop what comes in there
		fix += " && " + loosen(up.link.Name)
	}
	return Finding{Severity: Risk, What: fmt.Sprintf("%s is on %s, and answers to clients that are not beside it leave by %s", text.Few(addrs), up.link.Name, out), Fix: fix}
}
