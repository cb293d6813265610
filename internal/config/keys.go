package config

import (
	"math"
)

// serviceKeys are the keys below [[service]].
var serviceKeys = []key[draft]{
	{"name", `name = "web"`, func(d *draft, f field) { set(&d.name, f, parseName) }},
	{"listen", `listen = "192.0.2.10:80"`, func(d *draft, f field) { d.listen = many(f, f.oneOrMore(), parseListen) }},
	{"protocol", `protocol = "tcp"`, func(d *draft, f field) { d.protocols = many(f, f.oneOrMore(), oneOf(TCP, UDP, SCTP)) }},
	{"snat", `snat = "masquerade"`, func(d *draft, f field) { set(&d.snat, f, parseSNAT) }},
	{"backends", `backends = ["10.0.0.1:80", "10.0.0.2:80"]`, setBackends},
	{"algorithm", `algorithm = "random"`, func(d *draft, f field) { set(&d.algorithm, f, oneOf(Random, RoundRobin, Source, Flow)) }},
	{"slots", `slots = 256`, setSlots},
	{"source_prefix", `source_prefix = 24`, setSourcePrefix},
	{"interface", `interface = "eth0"`, func(d *draft, f field) { set(&d.iface, f, parseInterface) }},
	{"hairpin", `hairpin = ["10.0.0.0/24"]`, func(d *draft, f field) { d.hairpin = many(f, f.list(), parsePrefix) }},
	{"local", `local = true`, func(d *draft, f field) { f.setBool(&d.local) }},
	{"on_remove", `on_remove = "drain"`, func(d *draft, f field) { set(&d.onRemove, f, oneOf(Drain, Reset)) }},
	{"forward", `forward = "leave"`, func(d *draft, f field) { set(&d.forward, f, oneOf(Leave, Accept)) }},
	{"takeover", `takeover = true`, func(d *draft, f field) { f.setBool(&d.takeover) }},
	{"check", `check = "tcp"`, setCheck},
	{"min_up", `min_up = 1`, func(d *draft, f field) { setNumber(&d.minUp, f, 1, math.MaxInt) }},
	{"on_down", `on_down = "keep"`, func(d *draft, f field) { set(&d.onDown, f, oneOf(Keep, ResetDown)) }},
}

// backendKeys are the keys of a backend that is written as a table.
var backendKeys = []key[backendDraft]{
	{"address", `address = "10.0.0.1:80"`, func(b *backendDraft, f field) { set(&b.address, f, parseBackend) }},
	{"weight", `weight = 1`, setWeight},
	{"drain", `drain = true`, func(b *backendDraft, f field) { f.setBool(&b.drain) }},
	{"backup", `backup = true`, func(b *backendDraft, f field) { f.setBool(&b.backup) }},
}

// backendDraft is a backend written as a table.
type backendDraft struct {
	address located[Backend]
	weight  int
	drain   bool
	backup  bool
}
