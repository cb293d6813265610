package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"

	"natspread/internal/config"
)

// benchFirst measures the kernel's time for a new connection's whole first packet:
// received in front, through netfilter and routing, sent on to the backends.
func benchFirst(opts options, out io.Writer) error {
	stages, samples, err := measureProbes(opts, firstProbes(opts.variants(), opts.sizes()))
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\nfirst packet of a new connection: µs of the kernel's time, from the client's cable to the\nbackends'; medians of %d rounds, with their quartiles\n\n", opts.rounds)
	for _, s := range stages {
		fmt.Fprintf(out, "%-62s %s\n", s.name, spread(samples[s.name]))
	}
	fmt.Fprintf(out, "\nratios: medians of the rounds' own\n\n")
	for _, variant := range opts.variants() {
		firstTargets(figures{samples, out}, variant, opts.sizes())
		slotTargets(figures{samples, out}, variant, opts.sizes())
		takeoverTargets(figures{samples, out}, variant, opts.sizes())
		conditionTargets(figures{samples, out}, variant, opts.sizes())
	}
	return nil
}

// measureProbes measures those of the probes that were asked for.
func measureProbes(opts options, probes []probe) ([]*stage, map[string][]float64, error) {
	probes = slices.DeleteFunc(probes, func(p probe) bool { return !opts.match.MatchString(p.name) })
	stages, err := prepareStages(probes, opts.quick)
	if err != nil {
		return nil, nil, err
	}
	samples, err := measure(stages, opts.rounds)
	return stages, samples, err
}

// The names of figures that others are compared to.
const (
	nameSending = "sending alone"
	nameRouting = "routing"
	nameTracked = "routing, conntrack on"
	nameNAT     = "routing, a nat table for others"
	nameMap     = "nftables' own map"
	nameOurs    = "natspread"
	nameFlat    = "flat"
	nameKube    = "kube-proxy's layout"
	addresses   = "by address"
	gaps        = "by address with gaps"
	ports       = "by port"
	last        = "last"
	atRandom    = "at random"
	stranger    = "no service"
)

// scale is the name of a figure: a layout, its size, what is asked of it and the
// variant.
func scale(layout string, n int, kind, asked, variant string) string {
	return strings.Join([]string{layout, fmt.Sprintf("%s %s", thousands(n), kind), asked, variant}, ", ")
}

// thousands writes a number with a comma.
func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%d,%03d", n/1000, n%1000)
}

// firstProbes lists what is measured.
func firstProbes(variants []string, size sizes) []probe {
	probes := []probe{
		through(nameSending, &layout{name: nameSending, variant: closed}, backendAddress(0, 0)),
		through(nameRouting, &layout{name: nameRouting}, backendAddress(0, 0)),
	}
	for _, n := range size.steps {
		native, all := many(nameMap, "native", addresses, n, plain(nftMap))
		probes = append(probes, growth(native, all, nameMap)...)
		if n == size.many {
			probes = append(probes, asking(scale(nameMap, n, addresses, "all in turn", native.variant), native, all, all...))
		}
	}
	native, all := many(nameMap, "native", ports, size.many, plain(nftMap))
	probes = append(probes, asking(scale(nameMap, size.many, ports, last, native.variant), native, all, all[size.many-1]))
	for _, variant := range variants {
		probes = append(probes, smallProbes(variant, size)...)
		probes = append(probes, scaleProbes(variant, size)...)
		probes = append(probes, slotProbes(variant, size)...)
		probes = append(probes, takeoverProbes(variant, size)...)
		probes = append(probes, conditionProbes(variant, size)...)
	}
	return probes
}

// growth are the figures of a layout that internal/lab/plot draws: what the last service costs, and one
// taken at random. In a list the last one is the worst.
func growth(l *layout, all []service, name string) []probe {
	n := len(all)
	var shuffled []service
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(n) {
		shuffled = append(shuffled, all[i])
	}
	return []probe{
		asking(scale(name, n, addresses, last, l.variant), l, all, all[n-1]),
		asking(scale(name, n, addresses, atRandom, l.variant), l, all, shuffled...),
	}
}

// made makes services of a kind.
func made(kind string, n int) []service {
	switch kind {
	case ports:
		return byPort(n)
	case gaps:
		return withGaps(n)
	}
	return byAddress(n)
}

// through asks for a destination that is not rewritten.
func through(name string, l *layout, to netip.AddrPort) probe {
	none := func(netip.AddrPort) []netip.AddrPort { return nil }
	return probe{name: name, layout: l, to: []netip.AddrPort{to}, backends: none, source: netip.MustParseAddr(clientAddress)}
}

// asking asks for services, in turn, that a layout of all those has.
func asking(name string, l *layout, all []service, asked ...service) probe {
	p := probe{name: name, layout: l}
	for _, s := range asked {
		p.to = append(p.to, s.listen)
	}
	wanted := map[netip.AddrPort][]netip.AddrPort{}
	for _, s := range all {
		wanted[s.listen] = s.backends
	}
	p.backends = func(asked netip.AddrPort) []netip.AddrPort { return wanted[asked] }
	return p
}

// article is the balancer of the embedded example, which is the article's.
func article() service {
	s := service{listen: netip.MustParseAddrPort(vip + ":80")}
	for i := range byte(perService) {
		s.backends = append(s.backends, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, i + 1}), 80))
	}
	return s
}

// smallProbes are the figures of single services.
func smallProbes(variant string, size sizes) []probe {
	small := func(name string, rules func() ([]byte, error), s service) probe {
		return asking(name+", "+variant, &layout{name, variant, rules}, []service{s}, s)
	}
	text := func(rules []byte) func() ([]byte, error) { return func() ([]byte, error) { return rules, nil } }
	one := wide(1)[0]
	probes := []probe{
		through(nameTracked+", "+variant, &layout{nameTracked, variant, text(tracked())}, backendAddress(0, 0)),
		through(nameNAT+", "+variant, &layout{nameNAT, variant, text(foreign())}, backendAddress(0, 0)),
		small("one DNAT rule", text(oneDNAT(one)), one),
		small("the article's rules", text(flat([]service{article()})), article()),
		small("natspread, the article's balancer", func() ([]byte, error) { return natspreadText(config.Example()) }, article()),
	}
	for _, n := range []int{perService, size.wide} {
		s := wide(n)[0]
		rules := func() ([]byte, error) { return natspread([]service{s}) }
		probes = append(probes, small(nameWide(n), rules, s))
	}
	return probes
}

// scaleProbes are the figures of many services.
func scaleProbes(variant string, size sizes) []probe {
	var probes []probe
	grown := func(name string, n int, rules func([]service) ([]byte, error)) (*layout, []service) {
		l, all := many(name, variant, addresses, n, rules)
		probes = append(probes, growth(l, all, name)...)
		return l, all
	}
	for _, n := range size.steps {
		l, all := grown(nameOurs, n, natspread)
		grown(nameFlat, n, plain(flat))
		grown(nameKube, n, plain(kube))
		if n >= size.many {
			probes = append(probes, placeProbes(l, all, size)...)
		}
	}
	l, all := many(nameOurs, variant, gaps, size.many, natspread)
	probes = append(probes, asking(scale(nameOurs, size.many, gaps, last, variant), l, all, all[size.many-1]))
	l, all = many(nameOurs, variant, ports, size.many, natspread)
	return append(probes,
		asking(scale(nameOurs, size.many, ports, last, variant), l, all, all[size.many-1]),
		through(scale(nameOurs, size.many, ports, stranger, variant), l, backendAddress(0, 0)))
}

// many is a layout of so many services.
func many(name, variant, kind string, n int, rules func([]service) ([]byte, error)) (*layout, []service) {
	all := made(kind, n)
	return &layout{fmt.Sprintf("%s of %d %s", name, n, kind), variant, func() ([]byte, error) { return rules(all) }}, all
}

// plain is a layout that is made without an error.
func plain(rules func([]service) []byte) func([]service) ([]byte, error) {
	return func(all []service) ([]byte, error) { return rules(all), nil }
}

// placeProbes ask for services all over natspread's layout, and for none of them.
func placeProbes(l *layout, all []service, size sizes) []probe {
	var probes []probe
	n := len(all)
	for i, name := range positionNames(n, size, l.variant) {
		probes = append(probes, asking(name, l, all, all[i*n/size.positions]))
	}
	return append(probes,
		asking(scale(nameOurs, n, addresses, "all in turn", l.variant), l, all, all...),
		through(scale(nameOurs, n, addresses, stranger, l.variant), l, backendAddress(0, 0)),
		through(scale(nameOurs, n, addresses, stranger+" but beside them", l.variant), l, serviceAddress(n)))
}

// positionNames are the names of figures of single services, evenly spread over the
// config.
func positionNames(n int, size sizes, variant string) []string {
	var names []string
	for i := range size.positions {
		names = append(names, scale(nameOurs, n, addresses, fmt.Sprint("number ", i*n/size.positions+1), variant))
	}
	return names
}

// nameWide is the name of a service of so many backends.
func nameWide(backends int) string {
	return fmt.Sprintf("natspread, 1 service of %d backends", backends)
}

// firstTargets prints the ratios that were promised for a variant; against
// kube-proxy's layout only nft has a promise.
func firstTargets(f figures, variant string, size sizes) {
	ours := func(n int, kind, asked string) string { return scale(nameOurs, n, kind, asked, variant) }
	native := func(kind string) string { return scale(nameMap, size.many, kind, last, "native") }
	promised := map[string]float64{"nft": 1}[variant]
	many := ours(size.many, addresses, last)

	f.ratio(many, native(addresses), 1.15)
	f.ratio(f.less(many, nameSending), f.less(native(addresses), nameSending), 0)
	f.ratio(f.worst(append(positionNames(size.many, size, variant), many)), native(addresses), 1.15)
	f.ratio(f.worst(append(positionNames(size.most, size, variant), ours(size.most, addresses, last))), native(addresses), 0)
	f.ratio(ours(size.many, gaps, last), native(addresses), 1.15)
	f.ratio(ours(size.many, ports, last), native(ports), 1.25)
	f.ratio(many, scale(nameKube, size.many, addresses, last, variant), promised/12)
	f.ratio(ours(size.most, addresses, last), scale(nameKube, size.most, addresses, last, variant), promised/25)
	f.ratio(many, scale(nameFlat, size.many, addresses, last, variant), 0)
	f.ratio(ours(size.most, addresses, last), ours(1, addresses, last), 1.35)
	f.ratio(nameWide(size.wide)+", "+variant, nameWide(perService)+", "+variant, 1.3)
	for _, base := range []string{nameTracked, nameNAT} {
		f.ratio(ours(size.many, addresses, stranger), base+", "+variant, 1.1)
		f.ratio(ours(size.many, addresses, stranger+" but beside them"), base+", "+variant, 1.1)
		f.ratio(ours(size.many, ports, stranger), base+", "+variant, 1.1)
	}
	f.ratio(nameNAT+", "+variant, nameTracked+", "+variant, 0)
	f.ratio("natspread, the article's balancer, "+variant, "the article's rules, "+variant, 0)
	for _, asked := range []string{"all in turn", atRandom} {
		f.ratio(ours(size.many, addresses, asked), scale(nameMap, size.many, addresses, asked, "native"), 0)
	}
}
