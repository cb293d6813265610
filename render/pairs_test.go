package render

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"natspread/internal/config"
	"natspread/internal/rules"
	"natspread/internal/text"
)

// traits are what keys make of the rules of a service, by the words of the pairs below. Keys that reach
// no rule (on_remove, on_down, min_up, the keys of a check) have none.
var traits = map[string]func(config.Service) bool{
	"star":    func(s config.Service) bool { return slices.ContainsFunc(s.Listen, config.Listen.Any) },
	"several": func(s config.Service) bool { return len(s.Listen) > 1 },
	"range":   func(s config.Service) bool { return s.Listen[0].Ports.First < s.Listen[0].Ports.Last },
	"ports":   func(s config.Service) bool { return s.PortMap() != "" },
	"shift":   config.Service.Shifts,
	"own": func(s config.Service) bool {
		return hasBackend(s, func(b config.Backend) bool { return s.Stays(s.Listen[0], b) })
	},
	"protocols":     func(s config.Service) bool { return len(s.Protocols) > 1 },
	"snat":          func(s config.Service) bool { return s.SNAT.Mode == config.Address },
	"none":          func(s config.Service) bool { return s.SNAT.Mode == config.None },
	"hairpin":       func(s config.Service) bool { return len(s.Hairpin) > 0 },
	"round-robin":   func(s config.Service) bool { return s.Algorithm == config.RoundRobin },
	"source":        func(s config.Service) bool { return s.Algorithm == config.Source },
	"flow":          func(s config.Service) bool { return s.Algorithm == config.Flow },
	"source_prefix": func(s config.Service) bool { return s.Slots > 0 && s.SourcePrefix < s.Backends[0].Addr.BitLen() },
	"interface":     func(s config.Service) bool { return len(s.Interfaces) > 0 },
	"interfaces":    func(s config.Service) bool { return len(s.Interfaces) > 1 },
	"allow":         func(s config.Service) bool { return len(s.Allow) > 0 },
	"deny":          func(s config.Service) bool { return len(s.Deny) > 0 },
	"host":          func(s config.Service) bool { return s.Refused == config.ToHost },
	"not local":     func(s config.Service) bool { return !s.Local },
	"forward":       func(s config.Service) bool { return s.Forward == config.Accept },
	"clamp_mss":     func(s config.Service) bool { return s.ClampMSS.On },
	"takeover":      func(s config.Service) bool { return s.Takeover },
	"weight":        func(s config.Service) bool { return hasBackend(s, func(b config.Backend) bool { return b.Weight > 1 }) },
	"drain":         func(s config.Service) bool { return hasBackend(s, config.Backend.Drained) },
	"backup":        func(s config.Service) bool { return hasBackend(s, func(b config.Backend) bool { return b.Backup }) },
}

// hasBackend tells whether a service has a backend of which something is true.
func hasBackend(s config.Service, is func(config.Backend) bool) bool {
	return slices.ContainsFunc(s.Backends, is)
}

// pairs are the traits that touch: two keys that decide about one rule, or about one chain. Any
// other two write rules that neither knows of. What config refuses together is no pair.
var pairs = map[string][]string{
	// The pick writes a rule for each turn, slot or draw, of each backend that gets connections,
	// for each protocol.
	"round-robin": {"weight", "drain", "backup", "protocols", "ports", "own", "shift"},
	"source":      {"weight", "drain", "backup", "protocols", "ports", "own", "shift", "source_prefix", "takeover"},
	"flow":        {"own", "takeover"},
	// The end of the pick: where a connection goes is told by the port that was asked, or by the address.
	"ports": {"several", "protocols", "star", "shift", "own", "drain", "forward", "takeover"},
	"own":   {"range", "protocols", "weight", "drain", "backup", "hairpin", "interface", "allow", "host"},
	"shift": {"range", "star", "forward"},
	// PRE and OUT: what leads to the chain, from which side.
	"interface":  {"star", "not local", "allow", "several"},
	"interfaces": {"star"},
	"star":       {"range", "protocols", "not local"},
	// The gate stands before the chain and knows the listen addresses, to refuse there.
	"allow": {"deny", "star", "takeover"},
	"deny":  {"host"},
	// POST tells by what was asked, for "*" by the backend, and rewrites for some clients only.
	"snat": {"star", "several"},
	"none": {"hairpin", "takeover", "star"},
	// FORWARD accepts by the backend, a drained one too, and by the port where it answers.
	"forward": {"star", "range", "drain", "takeover", "protocols"},
	// POST has a rule for what each backend says first, but for one that is down.
	"takeover": {"drain", "backup", "several", "protocols"},
}

// TestPairs looks for a story of each trait alone, in each family, for TCP and UDP, as a list and as a
// tree; and of each pair of traits that touch, in one service.
func TestPairs(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join(storyDir, "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	seen := map[[2]string]bool{}
	for _, path := range paths {
		story, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		cfg, err := config.Parse(path, story.Files[0].Data)
		if err != nil {
			t.Fatal(err)
		}
		for _, service := range cfg.Services {
			has := append(traitsOf(service), surroundings(cfg, service)...)
			for _, a := range has {
				for _, b := range has {
					seen[[2]string{a, b}] = true
				}
			}
		}
	}
	for name := range pairs {
		if traits[name] == nil {
			t.Errorf("there is no trait %s", name)
		}
	}
	for name := range traits {
		for _, with := range []string{"ipv4", "ipv6", "tcp", "udp", "list", "tree"} {
			if !seen[[2]string{name, with}] && (name != "clamp_mss" || with != "udp") { // which has no segments
				t.Errorf("no story has %s with %s", name, with)
			}
		}
		for _, other := range pairs[name] {
			if traits[other] == nil || !seen[[2]string{name, other}] {
				t.Errorf("no story has a service with %s and %s", name, other)
			}
		}
	}
}

// traitsOf returns the traits of a service.
func traitsOf(service config.Service) []string {
	var has []string
	for name, is := range traits {
		if is(service) {
			has = append(has, name)
		}
	}
	return has
}

// surroundings returns the family of a service, its protocols, and the layout that it is in: a tree
// where the services of its family, or its own backends, are too many for a list.
func surroundings(cfg config.Config, service config.Service) []string {
	layout := "list"
	pre, _ := New(cfg).Of(familyOf(service)).Chain(rules.ServicePre)
	branches := func(r rules.Rule) bool { return rules.ServiceOf(r.Target.Chain) == "" }
	if slices.ContainsFunc(pre.Rules, branches) || len(service.Backends) > measured.backends {
		layout = "tree"
	}
	return append(text.Strings(service.Protocols), familyOf(service).String(), layout)
}
