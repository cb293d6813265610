package main

import (
	"slices"
	"time"
)

// set says when a row is played.
type set int

const (
	quick  set = iota // with each change
	tested            // by make fleet-test
	whole             // by make fleet-table
)

// engineKind is what moves addresses or routes.
type engineKind int

const (
	keepalivedPair engineKind = iota
	conntrackdPair            // the same with a source address; conntrackd carries the entries
	birdRouter
	frrRouter
	staticRouter
	twoRouters
	byRoute // nothing: a person changes routes
)

// ruleSource says who makes the rules of takeover.
type ruleSource int

const (
	byKey  ruleSource = iota // natspread, for takeover = true
	copied                   // a person, who copies what natspread makes for source where it refuses the key
	none
)

// death is how a balancer ends.
type death int

const (
	pulled  death = iota // its cables
	ordered              // its engine, by SIGTERM
	killed               // its engine, by SIGKILL
	alive                // not at all
)

// forwardPolicy is what FORWARD does.
type forwardPolicy int

const (
	accepts forwardPolicy = iota
	drops                 // all but what the rules accept
)

// What some rules of natspread have in common, by which a person deletes them.
const (
	forBegun     = "-A NATSPREAD-TAKEOVER" // FORWARD accepts what backends began
	forMidstream = "! --tcp-flags"         // a drained backend keeps its open connections
)

// row is a scene: a fleet, how one of its balancers dies, and what that may cost.
type row struct {
	name      string
	set       set
	engine    engineKind
	variant   string // of iptables
	family    int    // 4 without it
	udp       bool   // in place of TCP
	balancers int    // behind a router: 3 without it
	algorithm string // source without it
	snat      string // none without it
	rules     ruleSource
	cut       string // what the rules of natspread have that a person deletes
	forward   forwardPolicy
	death     death
	back      bool          // the dead one comes back
	sysctls   string        // lines beside those of the page
	slow      bool          // keepalived has advert_int 1
	flush     bool          // notify_backup runs conntrack -F
	stays     bool          // nopreempt: the one that took over keeps the addresses
	fixed     bool          // the gateways of the backends do not move
	cache     bool          // conntrackd has an external cache, which it commits when primary
	late      bool          // 1 s later, as with very many entries
	timer     bool          // notify.sh runs conntrackd -t on backup
	drained   int           // so many backends are drained before the death
	after     bool          // the connections begin after the drain
	more      bool          // the second balancer has one backend more
	samePort  bool          // the connections of a kind have one source port
	closes    bool          // the client closes its half of the idle ones before another balancer has taken over
	apart     time.Duration // the client moves to the other balancer so much later than the backends
	loses     []int         // the kinds of which some must be lost; nil: nothing may be
}

// strictBack are the sysctls of rows in which entries of before are not to be believed.
const strictBack = "net.netfilter.nf_conntrack_tcp_be_liberal = 0\n"

// rows are all of them. Those that must lose are the proof that the others tell something.
func rows() []row { return slices.Concat(pairRows(), routerRows(), conntrackdRows(), losingRows()) }

// The variants of iptables.
const (
	nft    = "nft"
	legacy = "legacy"
)

// pairRows are those of two balancers of which one is active.
func pairRows() []row {
	return []row{
		{name: "pair, nft", variant: nft},
		{name: "pair, legacy", variant: legacy, set: tested},
		{name: "pair, FORWARD drops, nft", variant: nft, forward: drops, set: whole},
		{name: "pair, FORWARD drops, legacy", variant: legacy, forward: drops, set: whole},
		{name: "pair, advert 1 s, nft", variant: nft, slow: true, set: whole},
		{name: "pair, advert 1 s, legacy", variant: legacy, slow: true, set: whole},
		{name: "pair, strict rp_filter", variant: nft, sysctls: "net.ipv4.conf.all.rp_filter = 1\n", set: whole},
		{name: "pair, flow", variant: nft, algorithm: "flow", set: whole},
		{name: "pair, stopped in order", variant: nft, slow: true, death: ordered, set: whole},
		{name: "pair, keepalived killed, advert 1 s", variant: nft, slow: true, death: killed, set: whole},
		{name: "pair, falls back", variant: nft, back: true, set: tested},
		{name: "pair, falls back, advert 1 s", variant: nft, slow: true, back: true, set: whole},
		{name: "pair, falls back, conntrack -F on backup, advert 1 s", variant: nft, slow: true, back: true, flush: true, sysctls: strictBack, set: whole},
		{name: "pair, falls back, conntrack -F on backup", variant: nft, back: true, flush: true, sysctls: strictBack, set: whole},
		{name: "pair, nopreempt, no be_liberal", variant: nft, back: true, stays: true, sysctls: strictBack, set: whole},
		{name: "pair, drained before", variant: nft, drained: 1, set: tested},
		{name: "pair, all drained before, nft", variant: nft, drained: 3, set: tested},
		{name: "pair, all drained before, legacy", variant: legacy, drained: 3, set: whole},
		{name: "IPv6, swapped by route, nft", variant: nft, engine: byRoute, family: 6, set: whole},
		{name: "IPv6, swapped by route, legacy", variant: legacy, engine: byRoute, family: 6, set: whole},
		{name: "swapped by route, backends 1 s earlier", variant: nft, engine: byRoute, death: alive, apart: time.Second, set: tested},
		{name: "UDP, swapped by route, nft", variant: nft, engine: byRoute, udp: true, set: whole},
		{name: "UDP, swapped by route, legacy", variant: legacy, engine: byRoute, udp: true, set: whole},
	}
}

// routerRows are those of balancers behind a router.
func routerRows() []row {
	return []row{
		{name: "BIRD, nft", variant: nft, engine: birdRouter},
		{name: "BIRD, legacy", variant: legacy, engine: birdRouter, set: whole},
		{name: "BIRD, two balancers", variant: nft, engine: birdRouter, balancers: 2, set: whole},
		{name: "BIRD, stopped in order", variant: nft, engine: birdRouter, death: ordered, set: whole},
		{name: "BIRD, flow", variant: nft, engine: birdRouter, algorithm: "flow", set: whole},
		{name: "BIRD, the dead one comes back", variant: nft, engine: birdRouter, back: true, set: whole},
		{name: "FRR, nft", variant: nft, engine: frrRouter, set: tested},
		{name: "router alone", variant: nft, engine: staticRouter, set: whole},
		{name: "two routers", variant: nft, engine: twoRouters, set: whole},
	}
}

// conntrackdRows are those of a pair with a source address, whose entries conntrackd carries.
func conntrackdRows() []row {
	return []row{
		{name: "conntrackd, nft", variant: nft, engine: conntrackdPair, algorithm: "random", set: tested},
		{name: "conntrackd, legacy", variant: legacy, engine: conntrackdPair, algorithm: "random", set: whole},
		{name: "conntrackd, no be_liberal", variant: nft, engine: conntrackdPair, algorithm: "random", sysctls: strictBack, set: whole},
		{name: "conntrackd, falls back, nft", variant: nft, engine: conntrackdPair, algorithm: "random", back: true, set: tested},
		{name: "conntrackd, falls back, legacy", variant: legacy, engine: conntrackdPair, algorithm: "random", back: true, set: whole},
		{name: "conntrackd, falls back, no be_liberal, nft", variant: nft, engine: conntrackdPair, algorithm: "random", back: true, sysctls: strictBack, set: whole},
		{name: "conntrackd, falls back, no be_liberal, legacy", variant: legacy, engine: conntrackdPair, algorithm: "random", back: true, sysctls: strictBack, set: whole},
		{name: "conntrackd, external cache, advert 1 s", variant: nft, engine: conntrackdPair, algorithm: "random", cache: true, slow: true, set: whole},
	}
}

// losingRows are those that must lose.
func losingRows() []row {
	return []row{
		{name: "no takeover", variant: nft, rules: none, loses: []int{push, down}},
		{name: "random, rules copied", variant: nft, rules: copied, algorithm: "random", loses: []int{idle, echo}, set: tested},
		{name: "masquerade", variant: nft, rules: none, snat: "masquerade", loses: everyKind(), set: tested},
		{name: "source address, no conntrackd", variant: nft, rules: none, snat: snatAddress, loses: []int{push, down}, set: whole},
		{name: "source address, no conntrackd, clients with one port", variant: nft, rules: none, snat: snatAddress, samePort: true, loses: []int{idle}, set: whole},
		{name: "nf_conntrack_tcp_loose = 0", variant: nft, sysctls: "net.netfilter.nf_conntrack_tcp_loose = 0\n", loses: everyKind(), set: tested},
		{name: "FORWARD drops what backends began, rules deleted", variant: nft, cut: forBegun, forward: drops, loses: []int{push, down}, set: tested},
		{name: "falls back, no be_liberal", variant: nft, back: true, sysctls: strictBack, loses: []int{echo, up}, set: tested},
		{name: "falls back, no be_liberal, advert 1 s", variant: nft, slow: true, back: true, sysctls: strictBack, loses: []int{idle}, set: whole},
		{name: "swapped by route, backends 1 s earlier, no be_liberal", variant: nft, engine: byRoute, death: alive, apart: time.Second, sysctls: strictBack, loses: []int{echo, push, down, up}, set: whole},
		{name: "UDP, no takeover, nft", variant: nft, engine: byRoute, udp: true, rules: none, loses: []int{push}, set: whole},
		{name: "UDP, no takeover, legacy", variant: legacy, engine: byRoute, udp: true, rules: none, loses: []int{push}, set: whole},
		{name: "UDP, random, rules copied, nft", variant: nft, engine: byRoute, udp: true, rules: copied, algorithm: "random", loses: []int{idle, echo}, set: whole},
		{name: "UDP, random, rules copied, legacy", variant: legacy, engine: byRoute, udp: true, rules: copied, algorithm: "random", loses: []int{idle, echo}, set: whole},
		{name: "BIRD, gateways that do not move", variant: nft, engine: birdRouter, fixed: true, loses: []int{push, down}, set: whole},
		{name: "BIRD, random, rules copied", variant: nft, engine: birdRouter, rules: copied, algorithm: "random", loses: []int{idle, echo}, set: whole},
		{name: "BIRD, masquerade", variant: nft, engine: birdRouter, rules: none, snat: "masquerade", loses: everyKind(), set: whole},
		{name: "BIRD, the dead one comes back, no be_liberal", variant: nft, engine: birdRouter, back: true, sysctls: strictBack, loses: []int{push, down}, set: whole},
		{name: "conntrackd, external cache, late commit, by source", variant: nft, engine: conntrackdPair, cache: true, late: true, loses: []int{push}, set: whole},
		{name: "conntrackd, external cache, late commit, no be_liberal", variant: nft, engine: conntrackdPair, algorithm: "random", cache: true, late: true, sysctls: strictBack, loses: []int{echo}, set: whole},
		{name: "conntrackd, external cache, falls back, late commit", variant: nft, engine: conntrackdPair, algorithm: "random", cache: true, late: true, back: true, loses: []int{push}, set: whole},
		{name: "conntrackd, external cache, falls back, no be_liberal", variant: nft, engine: conntrackdPair, algorithm: "random", cache: true, back: true, sysctls: strictBack, loses: []int{echo}, set: whole},
		{name: "conntrackd, -t on backup", variant: nft, engine: conntrackdPair, algorithm: "random", timer: true, loses: []int{push, down}, set: whole},
		{name: "drained before, rules deleted", variant: nft, cut: forMidstream, drained: 1, loses: []int{echo}, set: tested},
		{name: "opened after the drain", variant: nft, drained: 1, after: true, loses: []int{echo}, set: whole},
		{name: "one balancer has one backend more", variant: nft, more: true, loses: []int{echo}, set: tested},
		{name: "closed before another has taken over", variant: nft, closes: true, loses: []int{idle}, set: tested},
	}
}

// everyKind is all of them.
func everyKind() []int { return []int{idle, echo, push, down, up} }

// behindRouter tells whether a router spreads over the balancers.
func (r row) behindRouter() bool { return r.engine >= birdRouter && r.engine <= twoRouters }

// protocol is that of the connections.
func (r row) protocol() string {
	if r.udp {
		return "udp"
	}
	return "tcp"
}
