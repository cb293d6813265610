package report

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"natspread/internal/atomicfile"
	"natspread/internal/config"
	"natspread/internal/configfiles"
	"natspread/internal/doctor"
	"natspread/internal/rules"
	"natspread/restore/generation"
)

// Diff is what diff prints, and apply --dry-run a part of it.
type Diff struct {
	Differ   bool            `json:"differ"`
	Services []ServiceChange `json:"services"`        // what becomes of them; none where only rules are known
	Findings []Finding       `json:"findings"`        // what keeps the host from working, without risks, the worst first
	Added    int             `json:"added"`           // lines of rules that apply would add, or that M adds to N
	Removed  int             `json:"removed"`         // lines that apply would remove, or that M removes
	Diff     string          `json:"diff"`            // of the rules, unified
	Notes    []string        `json:"notes,omitempty"` // what else is to say of it

	unnamed  error            // why the services are not known; nil where they are
	advice   []doctor.Finding // what is to say of the config on this host
	health   []string         // who is out of what is loaded: no difference, a line each
	foreign  int              // lines of others that apply --exclusive would remove
	loaded   int              // the generation that is loaded; 0 when none is
	outdated string           // why apply would make a new generation all the same; "" when it would not
}

// errNoServices says that nobody expects services to be named.
var errNoServices = errors.New("a file of rules names no services")

// Wanted is one side of a comparison: what a config asks for.
type Wanted struct {
	Name     string // of the config
	Config   config.Config
	Files    configfiles.Set
	Tables   rules.Tables
	Families []rules.Family // that are compared
}

// Diff compares a host with what a config asks for: the rules with the rules, and the
// services with those of the generation whose rules the kernel was given. What the report
// of these families calls broken is a difference, too.
func (h Host) Diff(ctx context.Context, wanted Wanted) (Diff, error) {
	h.Doctor = h.Doctor.Once()
	found, err := h.read(ctx, wanted.Families)
	if err != nil {
		return Diff{}, err
	}
	var result Diff
	given := found.Status.Wanted.Generation
	result.outdated = given.Outdated(generation.Generation{
		Tables: wanted.Tables, Config: wanted.Files, Manifest: generation.Manifest{Variant: found.Status.Variant, Proven: true},
	})
	if result.outdated == "" { // then apply keeps how natspread 0.1 wrote the jumps
		wanted.Tables = given.Tables
	}
	tables := wanted.Tables.All()
	for _, i := range tablesOf(wanted.Families) {
		kernel := found.Status.Tables[i]
		if overlay := found.Status.Wanted.Overlay; overlay != nil {
			kernel = withoutOverlay(kernel, overlay.Tables.All()[i], given.Tables.All()[i])
		}
		result.addRules(diff.Diff("kernel "+tables[i].String(), kernel.OwnText(), wanted.Name+" "+tables[i].String(), tables[i].Text()))
	}
	result.addFindings(found)
	if found.Status.Loaded {
		result.health = found.watched.lines(servicesOf(found.config, wanted.Families))
	}
	result.advice = unsaid(found.Findings, h.Advice(config.Config{Services: servicesOf(wanted.Config, wanted.Families)}))
	before, err := found.loadedConfig()
	if err != nil {
		result.unnamed = err
		return result, nil
	}
	result.name(serviceChanges(before, wanted.Config, wanted.Families))
	return result, nil
}

// withoutOverlay returns a table of the kernel's with the generation's chains in place of those
// that an overlay has others of, where the kernel holds these as it should. So who is out is no
// difference, and what somebody changed is one.
func withoutOverlay(kernel rules.Saved, overlay, generation rules.Table) rules.Saved {
	held, errHeld := rules.ParseSaved(overlay.Name, overlay.Text())
	own, errOwn := rules.ParseSaved(generation.Name, generation.Text())
	if errors.Join(errHeld, errOwn) != nil {
		return kernel
	}
	was, is := chainsOf(held), chainsOf(own)
	var chains []rules.SavedChain
	for _, chain := range kernel.Chains {
		meant, known := was[chain.Name]
		if known && slices.EqualFunc(chain.Rules, meant.Rules, func(a, b rules.SavedRule) bool { return a.Text == b.Text }) {
			if chain, known = is[chain.Name]; !known {
				continue
			}
		}
		chains = append(chains, chain)
		delete(is, chain.Name)
	}
	for name, chain := range is {
		if _, known := was[name]; !known {
			chains = append(chains, chain)
		}
	}
	return rules.Saved{Name: kernel.Name, Chains: chains}
}

// chainsOf returns natspread's chains of a table by their names.
func chainsOf(table rules.Saved) map[string]rules.SavedChain {
	chains := map[string]rules.SavedChain{}
	for _, chain := range table.OwnChains() {
		chains[chain.Name] = chain
	}
	return chains
}

// loadedConfig returns the config whose rules the kernel was given; one without services
// where nothing is loaded.
func (r Report) loadedConfig() (config.Config, error) {
	switch {
	case !r.Status.Loaded:
		return config.Config{}, nil
	case r.Status.Wanted.Generation.Number == 0:
		return config.Config{}, errors.New("no generation says which services the kernel's rules are for")
	}
	return r.config, r.configBad
}

// DiffGenerations compares two generations.
func DiffGenerations(from, to generation.Generation, families []rules.Family) Diff {
	var result Diff
	before, after := from.Tables.All(), to.Tables.All()
	for _, i := range tablesOf(families) {
		result.addRules(diff.Diff(
			fmt.Sprintf("generation %d %s", from.Number, before[i].String()), before[i].Text(),
			fmt.Sprintf("generation %d %s", to.Number, after[i].String()), after[i].Text()))
	}
	was, err := config.ParseGeneration(from.Number, from.Config)
	is, alsoErr := config.ParseGeneration(to.Number, to.Config)
	if result.unnamed = errors.Join(err, alsoErr); result.unnamed == nil {
		result.name(serviceChanges(was, is, families))
	}
	return result
}

// maxSaved bounds a file of iptables-save: 10,000 services of three backends are
// 8 MB.
const maxSaved = 64 << 20

// ReadSaved reads a file of iptables-save, also a FIFO, as in
// --saved <(ssh HOST iptables-save); "-" is standard input.
func ReadSaved(name string, in io.Reader) ([]byte, error) {
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, atomicfile.Cause(err)
		}
		defer file.Close()
		in = file
	}
	text, err := io.ReadAll(io.LimitReader(in, maxSaved+1))
	if err == nil && len(text) > maxSaved {
		err = fmt.Errorf("it is larger than %d MiB", maxSaved>>20)
	}
	return text, atomicfile.Cause(err)
}

// DiffSaved compares what iptables-save printed of one family, under a name, with what a
// config asks for.
func DiffSaved(name string, text []byte, wanted Wanted) (Diff, error) {
	var result Diff
	for _, family := range wanted.Families {
		for _, table := range []rules.Table{wanted.Tables.Of(family), wanted.Tables.Filter(family), wanted.Tables.Mangle(family)} {
			saved, err := rules.ParseSaved(table.Name, text)
			if table.Name != rules.NAT && errors.Is(err, rules.ErrNoTable) { // iptables-save prints what there is
				saved, err = rules.Saved{Name: table.Name}, nil
			}
			if err != nil {
				return Diff{}, err
			}
			result.addRules(diff.Diff(name, saved.OwnText(), wanted.Name+" "+table.String(), table.Text()))
		}
	}
	result.unnamed = errNoServices
	return result, nil
}

// tablesOf returns the places of the families' tables, in the order of rules.Tables.All.
func tablesOf(families []rules.Family) []int {
	var places []int
	for i, table := range rules.NoTables().All() {
		if slices.Contains(families, table.Family) {
			places = append(places, i)
		}
	}
	return places
}

// addRules adds the diff of one table.
func (d *Diff) addRules(unified []byte) {
	if len(unified) == 0 {
		return
	}
	// The first line is the command line that would make the diff.
	_, unified, _ = bytes.Cut(unified, []byte("\n"))
	for line := range strings.Lines(string(unified)) {
		switch {
		case strings.HasPrefix(line, "+++ "), strings.HasPrefix(line, "--- "):
		case line[0] == '+':
			d.Added++
		case line[0] == '-':
			d.Removed++
		}
	}
	d.Diff += string(unified)
	d.Differ = true
}

// addFindings adds what the report calls broken.
func (d *Diff) addFindings(found Report) {
	broken := Broken(found.Findings)
	if found.Status.Loaded {
		d.loaded = found.Status.Wanted.Generation.Number
	}
	d.Findings = FindingsOf(broken)
	d.Differ = d.Differ || len(broken) > 0
}

// RemoveForeign adds that lines vanish that are not natspread's.
func (d *Diff) RemoveForeign(lines int) {
	d.foreign = lines
	d.Differ = d.Differ || lines > 0
}

// name adds what becomes of the services. What no rule shows, as on_remove, is a
// difference too: apply would make a new generation of it.
func (d *Diff) name(services []ServiceChange) {
	d.Services = services
	d.Differ = d.Differ || len(services) > 0
}

// Filled returns the diff for programs: with empty lists for absent ones, so that they
// always find an array, and with what Summary says beside the counts as notes.
func (d Diff) Filled() Diff {
	if !d.Differ && d.outdated != "" {
		d.Notes = append(d.Notes, d.newGeneration())
	}
	if d.unnamed != nil && !errors.Is(d.unnamed, errNoServices) {
		d.Notes = append(d.Notes, d.nameless())
	}
	d.Notes = append(append(d.Notes, d.health...), NotesOf(d.advice)...)
	d.Services = append([]ServiceChange{}, d.Services...)
	d.Findings = append([]Finding{}, d.Findings...)
	return d
}
