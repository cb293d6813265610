package selftest

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"natspread/internal/config"
	"natspread/internal/text"
)

// judge compares what came of a service's connections with what its config says. Each share may
// fall out on one side by chance with a probability of tail.
func judge(s *serviceTest, asks []*ask, tail float64) Service {
	service := s.service
	judged := Service{
		Name: service.Name, Listen: text.Strings(service.Listen), Protocols: text.Strings(service.Protocols),
		Algorithm: string(service.Algorithm), SNAT: service.SNAT.String(), Backends: []Backend{}, Clients: []Client{}, Sources: []string{}, NotTried: s.notTried,
	}
	j := &judgement{serviceTest: s, asks: asks, result: &judged, told: map[string]bool{}}
	judged.Findings = append([]Finding{}, s.findings...)
	if len(s.targets) > 0 {
		j.clients()
		j.sources()
		j.affinity()
		j.shares(tail)
	}
	return judged
}

// judgement is what is judged of one service.
type judgement struct {
	*serviceTest
	asks   []*ask
	result *Service
	told   map[string]bool // causes of clients that are not served
}

// find adds a finding.
func (j *judgement) find(fix, format string, args ...any) {
	j.result.Findings = append(j.result.Findings, Finding{fmt.Sprintf(format, args...), fix})
}

// group are clients that should get the same.
type group struct {
	place place
	want  answer
}

// clients judges what clients got, by where they are.
func (j *judgement) clients() {
	for _, g := range []group{
		{outside, served}, {beside, served}, {itself, served},
		{outside, byHost}, {beside, byHost}, {outside, refused}, {beside, refused}, {other, refused}, {itself, refused},
	} {
		came := Client{Place: g.place, Wanted: g.want}
		for _, c := range j.serviceTest.clients {
			if c.place == g.place && c.want == g.want {
				if came.Clients++; came.Clients == 1 && c.address.IsValid() {
					came.Address = c.address.String()
				}
			}
		}
		var wrong *ask
		for _, a := range j.asks {
			if a.client.place != g.place || a.client.want != g.want {
				continue
			}
			came.Connections++
			if a.asWanted() {
				came.AsWanted++
			} else if wrong == nil && a.made {
				wrong = a
			}
		}
		if came.Clients > 0 {
			j.result.Clients = append(j.result.Clients, came)
		}
		if wrong != nil {
			j.wrong(wrong)
		}
	}
}

// asWanted tells whether a connection came to what the config says. No answer is as good as a
// refusal: a refusal may be lost, where nobody sends it again. One that was not made would have got
// none.
func (a *ask) asWanted() bool {
	got, _ := a.answer()
	silent := got == "" && (a.err != nil || !a.made)
	return got == a.want || silent && a.want == refused
}

// wrong finds that a connection came to something else than what is wanted.
func (j *judgement) wrong(a *ask) {
	got, _ := a.answer()
	what := map[answer]string{served: "is served by " + a.server.String(), refused: "is refused", byHost: "gets what the host itself has there"}[got]
	if got == "" {
		if what = "gets no answer"; a.err == nil {
			what = "is answered by " + a.server.String() + ", which is no backend"
		}
	}
	want := map[answer]string{served: "", refused: ", and should be refused", byHost: ", and should get what the host itself has there"}[a.want]
	why, fix := j.cause(a, got)
	if why != "" && j.told[why] {
		return
	}
	j.told[why] = true
	j.find(fix, "%s %s at %s %s%s%s", a.client.String(), what, a.target.protocol, a.test.at(a.target, *a.client), want, why)
}

// String says who a client is.
func (c *client) String() string {
	switch c.place {
	case itself:
		return "the balancer itself"
	case beside:
		return "client " + c.address.String() + ", beside the backends,"
	case other:
		return "client " + c.address.String() + ", by another interface than the service's,"
	}
	return "client " + c.address.String()
}

// cause says why a client is not served, if that is known, and what fixes it.
func (j *judgement) cause(a *ask, got answer) (why, fix string) {
	if a.client.want != served {
		return "", ""
	}
	if at, name := j.through(a.target); name != "" {
		return fmt.Sprintf(": service %s listens at backend %v, and a connection passes the nat rules only once", name, at),
			fmt.Sprintf("write the backends of %s in place of %v", name, at)
	}
	address := a.client.address
	if a.client.place == beside && !j.service.Serves(address) {
		return ": hairpin has it, and allow and deny do not let it in", fmt.Sprintf("let allow and deny admit %q, or take it out of hairpin", networkOf(address))
	}
	if a.client.place == beside && j.service.SNAT.Mode == config.None && got == "" {
		hairpin := append(slices.Clone(j.service.Hairpin), networkOf(address))
		return ": backends answer it directly, and not by way of the balancer", fmt.Sprintf("write hairpin = [%s]", quoted(hairpin))
	}
	return "", ""
}

// quoted writes subnets as a list in the config has them.
func quoted(subnets []netip.Prefix) string {
	words := text.Strings(subnets)
	for i := range words {
		words[i] = `"` + words[i] + `"`
	}
	return strings.Join(words, ", ")
}

// through returns a backend where another service listens for what a target becomes, and that
// service.
func (j *judgement) through(t target) (at netip.AddrPort, name string) {
	for _, backend := range j.service.Active() {
		at := t.listen.AnswersAt(backend, t.port)
		if name := j.chained(t.protocol, at); name != "" {
			return at, name
		}
	}
	return netip.AddrPort{}, ""
}

// sources judges whom the backends saw.
func (j *judgement) sources() {
	seen := map[string]bool{}
	var wrong *ask
	var want []netip.Addr
	for _, a := range j.asks {
		got, backend := a.answer()
		if got != served || a.client.place == itself {
			continue
		}
		expected := j.sourcesOf(a, backend)
		word := a.seen.String()
		switch {
		case a.seen == a.client.address:
			word = "the client"
		case a.seen == j.gateway(linkIn, j.service.Is6()):
			word = "the balancer"
		}
		seen[word] = true
		if !slices.Contains(expected, a.seen) && wrong == nil {
			wrong, want = a, expected
		}
	}
	j.result.Sources = slices.AppendSeq(j.result.Sources, maps.Keys(seen))
	slices.Sort(j.result.Sources)
	if wrong == nil {
		return
	}
	j.find("", "backend %v sees %v and not %s as its client, with snat = %q", wrong.server, wrong.seen, strings.Join(text.Strings(want), " or "), j.service.SNAT.String())
}

// sourcesOf returns whom a backend may see as the client of a connection.
func (j *judgement) sourcesOf(a *ask, backend int) []netip.Addr {
	switch {
	case j.own[j.service.Backends[backend].Addr]: // which is not forwarded
		return []netip.Addr{a.client.address}
	case j.service.SNAT.Mode == config.Address:
		return j.service.SNAT.Addresses()
	case j.service.SNAT.Mode == config.None && !j.hairpins(a.client.address):
		return []netip.Addr{a.client.address}
	}
	return []netip.Addr{j.gateway(linkIn, j.service.Is6())}
}

// affinity judges whether each client keeps its backend.
func (j *judgement) affinity() {
	if !j.bySource() {
		return
	}
	first := map[netip.Addr]int{}
	for _, a := range j.asks {
		got, backend := a.answer()
		if got != served || !a.client.counted {
			continue
		}
		kept, known := first[a.client.address]
		if known && kept != backend {
			j.find("", "client %v is at backend %v and at %v: it does not keep its backend", a.client.address, j.service.Backends[kept], j.service.Backends[backend])
			return
		}
		first[a.client.address] = backend
	}
}

// counts returns how many of the counted connections each backend had. Of clients that keep their
// backend only the first one counts: the others are no chance any more.
func (j *judgement) counts() (counts []int, all int) {
	counts = make([]int, len(j.service.Backends))
	known := map[netip.Addr]bool{}
	for _, a := range j.asks {
		got, backend := a.answer()
		if got != served || !a.client.counted || j.bySource() && known[a.client.address] {
			continue
		}
		known[a.client.address] = true
		counts[backend]++
		all++
	}
	return counts, all
}

// shares judges what each backend got.
func (j *judgement) shares(tail float64) {
	counts, all := j.counts()
	j.result.Connections = all
	wanted := j.service.Shares(j.service.Owned())
	var worst *Finding
	var off float64
	for i, backend := range j.service.Backends {
		least, most := between(all, wanted[i], tail)
		if j.service.Algorithm == config.RoundRobin {
			least, most = j.turns(all, i)
		}
		ratio := func(n int) float64 { return float64(n) / float64(max(1, all)) }
		observed := Backend{
			Address: backend.String(), WantedShare: wanted[i], ObservedShare: ratio(counts[i]),
			LeastShare: ratio(least), MostShare: ratio(most), Connections: counts[i],
		}
		j.result.Backends = append(j.result.Backends, observed)
		if d := max(observed.ObservedShare-wanted[i], wanted[i]-observed.ObservedShare); all > 0 && (counts[i] < least || counts[i] > most) && d > off {
			off = d
			worst = &Finding{What: fmt.Sprintf("backend %v gets %s of %d connections, and should get %s", backend, text.Percent(observed.ObservedShare), all, text.Percent(wanted[i]))}
		}
	}
	// Where some were not served, that is found already, and may be why.
	if worst == nil || slices.ContainsFunc(j.asks, func(a *ask) bool { return a.client.counted && !a.asWanted() }) {
		return
	}
	if clients, prefix := j.oneNetwork(); clients > 0 {
		worst.What = fmt.Sprintf("backend %v gets all of %d clients: source_prefix = %d takes them for one, as allow has few subnets of that size", j.busiest(counts), clients, prefix)
		worst.Fix = "take source_prefix out: each address is a client of its own then"
	}
	j.result.Findings = append(j.result.Findings, *worst)
}

// busiest returns the backend that got the most.
func (j *judgement) busiest(counts []int) config.Backend {
	return j.service.Backends[slices.Index(counts, slices.Max(counts))]
}

// oneNetwork returns how many clients were counted that source_prefix takes for one; 0 where it
// tells some of them apart.
func (j *judgement) oneNetwork() (clients, prefix int) {
	if !j.bySource() {
		return 0, 0
	}
	networks := map[netip.Prefix]bool{}
	for _, c := range j.serviceTest.clients {
		if c.counted {
			bits, _ := c.address.Prefix(j.service.SourcePrefix)
			networks[bits] = true
			clients++
		}
	}
	if len(networks) > 1 {
		return 0, 0
	}
	return clients, j.service.SourcePrefix
}

// turns returns the fewest and the most of n connections that a backend may get in turn. Each target
// may have turns of its own, of which the last period may be cut off; and connections that are made
// at the same time may stand in another order.
func (j *judgement) turns(n, backend int) (least, most int) {
	period, divisor := config.Turns(j.service.Active())
	if !slices.Contains(j.service.Active(), j.service.Backends[backend]) || n == 0 {
		return 0, 0
	}
	own := j.service.Backends[backend].Weight / divisor
	slack := own*len(j.targets) + 2
	return max(0, n*own/period-slack), min(n, (n*own+period-1)/period+slack)
}
