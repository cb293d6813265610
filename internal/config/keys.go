package config

import (
	"math"

	"natspread/internal/config/field"
	"natspread/internal/config/habits"
	"natspread/internal/config/meant"
	"natspread/internal/config/value"
	"natspread/internal/text"
)

// serviceKeys are the keys below [[service]].
var serviceKeys = []field.Key[draft]{
	{Name: "name", Example: `name = "web"`, Set: func(d *draft, f field.Field) { field.Set(&d.name, f, value.ParseName) }},
	{Name: "listen", Example: `listen = "192.0.2.10:80"`, Lists: true, Set: setListen},
	{Name: "ports", Example: portsExample, Set: setPorts},
	{Name: "protocol", Example: `protocol = "tcp"`, Lists: true, Set: setProtocols},
	{Name: "snat", Example: `snat = "masquerade"`, Lists: true, Set: setSNAT},
	{Name: "snat_ports", Example: `snat_ports = "random-fully"`, Set: func(d *draft, f field.Field) {
		field.Set(&d.snatPorts, f, value.OneOf(habits.SourcePorts, KeepPorts, RandomPorts))
	}},
	{Name: "backends", Example: `backends = ["10.0.0.1:80", "10.0.0.2:80"]`, Lists: true, Set: setBackends},
	{Name: "pool", Example: `pool = "web"`, Set: func(d *draft, f field.Field) { field.Set(&d.pool, f, value.ParsePool) }},
	{Name: "algorithm", Example: `algorithm = "random"`, Set: func(d *draft, f field.Field) {
		field.Set(&d.algorithm, f, value.OneOf(habits.Algorithms, Random, RoundRobin, Source, Flow))
	}},
	{Name: "slots", Example: `slots = 256`, Set: setSlots},
	{Name: "source_prefix", Example: `source_prefix = 24`, Set: setSourcePrefix},
	{Name: "interface", Example: `interface = "eth0"`, Lists: true, Set: setInterfaces},
	{Name: "hairpin", Example: `hairpin = ["10.0.0.0/24"]`, Lists: true, Set: func(d *draft, f field.Field) { d.hairpin = field.Many(f, f.List(), value.ParsePrefix) }},
	{Name: "allow", Example: `allow = ["198.51.100.0/24"]`, Lists: true, Set: setAllow},
	{Name: "deny", Example: `deny = ["198.51.100.7/32"]`, Lists: true, Set: setDeny},
	{Name: "refused", Example: `refused = "reject"`, Set: func(d *draft, f field.Field) {
		field.Set(&d.gate.refused, f, value.OneOf(habits.Refused, Reject, ToHost))
	}},
	{Name: "local", Example: `local = true`, Set: func(d *draft, f field.Field) { f.SetBool(&d.local) }},
	{Name: "on_remove", Example: `on_remove = "drain"`, Set: func(d *draft, f field.Field) { field.Set(&d.onRemove, f, value.OneOf(habits.OnRemove, Drain, Reset)) }},
	{Name: "forward", Example: `forward = "leave"`, Set: func(d *draft, f field.Field) { field.Set(&d.forward, f, value.OneOf(habits.Forward, Leave, Accept)) }},
	{Name: "clamp_mss", Example: `clamp_mss = true`, Set: setClampMSS},
	{Name: "takeover", Example: `takeover = true`, Set: func(d *draft, f field.Field) { f.SetBool(&d.takeover) }},
	{Name: "check", Example: `check = "tcp"`, Set: setCheck},
	{Name: "min_up", Example: `min_up = 1`, Set: func(d *draft, f field.Field) { field.SetNumber(&d.minUp, f, 1, math.MaxInt) }},
	{Name: "on_down", Example: `on_down = "keep"`, Set: func(d *draft, f field.Field) { field.Set(&d.onDown, f, value.OneOf(habits.OnDown, Keep, ResetDown)) }},
}

// poolKeys are the keys below [pool.NAME]: what services may share.
var poolKeys = keysOf("backends", "check", "min_up", "on_down")

// defaultKeys are the keys below [defaults].
var defaultKeys = keysOf("snat", "snat_ports", "algorithm", "on_remove", "forward", "clamp_mss")

// keysOf returns those of serviceKeys that have the names.
func keysOf(names ...string) []field.Key[draft] {
	keys := make([]field.Key[draft], len(names))
	for i, name := range names {
		keys[i], _ = field.Find(serviceKeys, name)
	}
	return keys
}

// backendKeys are the keys of a backend that is written as a table.
var backendKeys = []field.Key[backendDraft]{
	{Name: "address", Example: `address = "10.0.0.1:80"`, Set: func(b *backendDraft, f field.Field) { field.Set(&b.address, f, b.parse) }},
	{Name: "port", Example: `port = 80`, Set: setBackendPort},
	{Name: "weight", Example: `weight = 1`, Set: setWeight},
	{Name: "drain", Example: `drain = true`, Set: func(b *backendDraft, f field.Field) { f.SetBool(&b.drain) }},
	{Name: "backup", Example: `backup = true`, Set: func(b *backendDraft, f field.Field) { f.SetBool(&b.backup) }},
}

// hasKey tells whether a key is one of some.
func hasKey[T any](keys []field.Key[T], name string) bool {
	_, found := field.Find(keys, name)
	return found
}

// exampleOf shows how a key is written, or is empty for a key nobody knows.
func exampleOf(name string) string {
	if k, ok := field.Find(serviceKeys, name); ok {
		return k.Example
	}
	if k, ok := field.Find(backendKeys, name); ok {
		return k.Example
	}
	if k, ok := field.Find(checkKeys, name); ok {
		return k.Example
	}
	return ""
}

// meantKeys are all keys, for what was meant by another one.
var meantKeys = meant.Keys{
	Service: field.Names(serviceKeys), Backend: field.Names(backendKeys), Check: field.Names(checkKeys),
	Protocols: text.Strings([]Protocol{TCP, UDP, SCTP}),
}

// backendDraft is a backend written as a table.
type backendDraft struct {
	address field.Located[Backend]
	port    field.Located[Ports] // the zero value where it has no key of its own
	weight  int
	drain   bool
	backup  bool
	weights map[string]string // the fixes for those of the service, by how they were written
	parse   func(address string) (Backend, *value.Fault)
}
