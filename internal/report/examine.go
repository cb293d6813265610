package report

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"natspread/internal/compare"
	"natspread/internal/config"
	"natspread/internal/doctor"
	"natspread/internal/doctor/finding"
	"natspread/internal/rules"
	"natspread/render"
	"natspread/restore/generation"
	"natspread/restore/iptables"
)

// Judged is the config by which doctor judges a host.
type Judged struct {
	Config config.Config
	Paths  []string // of its files, and the directory of some, below the root
	Bad    error    // why the services are not those of the config file; nil when they are
	Ask    bool     // look beyond the host: connect to backends that have no check, and ask who reaches clients outside
}

// Examine returns all that keeps a config's balancer from working on the host: what Read
// finds, and what takes longer to find. The worst comes first.
func (h Host) Examine(ctx context.Context, judged Judged) ([]doctor.Finding, error) {
	h.Doctor = h.Doctor.Once()
	h.Doctor.Asks = true
	report, err := h.Read(ctx)
	if err != nil {
		return nil, err
	}
	ahead, err := h.ahead(ctx, report, judged.Config)
	if err != nil {
		return nil, err
	}
	missing, err := h.missing(ctx, judged.Config)
	if err != nil {
		return nil, err
	}
	edited := report.edited
	if judged.Bad != nil { // which doctor says with whose config it uses instead
		edited = nil
	}
	var old []doctor.Finding
	if report.Status.Loaded { // else the old rules may be what is wanted again
		old = h.OldRules(judged.Config)
	}
	found := slices.Concat(report.Findings, missing, waiting(report.Status.Wanted), ahead, edited, report.refusing, report.unreached,
		unsaid(report.Findings, h.Doctor.Examine(balancerOf(report, judged))), old)
	if judged.Ask {
		found = append(found, h.Doctor.Unchecked(judged.Config.Services, found)...)
		found = append(found, h.Doctor.Outside(judged.Config.Services)...)
	}
	finding.Sort(found)
	return found, nil
}

// missing finds matches and targets that the rules of a config take, and that are not there.
func (h Host) missing(ctx context.Context, cfg config.Config) ([]doctor.Finding, error) {
	kernel, err := h.Restore.Kernel(ctx)
	if err != nil {
		return nil, err
	}
	var found []doctor.Finding
	for _, table := range render.New(cfg).All() {
		var missing *iptables.MissingError
		if errors.As(kernel.Missing(ctx, table), &missing) {
			one := doctor.Finding{Severity: doctor.Broken, What: missing.Error(), Fix: missing.Fix()}
			if !slices.ContainsFunc(found, func(f doctor.Finding) bool { return f.What == one.What }) { // the tables of a family lack the same
				found = append(found, one)
			}
		}
	}
	return found, nil
}

// balancerOf returns what doctor is to judge by. What is applied is what boot ends up with,
// or the current generation where no generation is good.
func balancerOf(report Report, judged Judged) doctor.Balancer {
	wanted := report.Status.Wanted
	return doctor.Balancer{
		Services: judged.Config.Services, Variant: report.Status.Variant, Applied: cmp.Or(wanted.Boot.Number, wanted.Current),
		Config: judged.Paths, ConfigBad: judged.Bad, Hooks: report.hooks, Unread: report.unread,
	}
}

// waiting says that a generation waits to be confirmed, which may be forgotten.
func waiting(wanted generation.Wanted) []doctor.Finding {
	if wanted.Pending == nil || wanted.Pending.Left() <= 0 {
		return nil
	}
	return []doctor.Finding{{
		Severity: doctor.Risk, Fix: fixConfirm,
		What: fmt.Sprintf("generation %d waits to be confirmed: else it is reverted, and boot never loads it", wanted.Pending.Number),
	}}
}

// ahead finds what will keep the connections of services from passing that are not loaded,
// or not as the config has them, once they are, and which rules of others are not reached
// then: without what apply fixes, and without what the report says already.
func (h Host) ahead(ctx context.Context, report Report, cfg config.Config) ([]doctor.Finding, error) {
	loaded := report.config
	if !report.Status.Loaded {
		loaded = config.Config{}
	}
	var changed config.Config
	for _, change := range compare.Configs(loaded, cfg) {
		if change.After != nil {
			changed.Services = append(changed.Services, *change.After)
		}
	}
	way, err := h.way(ctx, report, changed, configFamilies(changed))
	if err != nil {
		return nil, err
	}
	whole, err := h.way(ctx, report, cfg, configFamilies(cfg))
	found := slices.DeleteFunc(append(way.Found, whole.Unreached...), func(f doctor.Finding) bool { return f.Fix == doctor.FixApply })
	return unsaid(report.Findings, found), err
}

// unsaid returns those findings whose words were not said before.
func unsaid(before, found []doctor.Finding) []doctor.Finding {
	said := map[string]bool{}
	for _, f := range before {
		said[f.What] = true
	}
	return slices.DeleteFunc(found, func(f doctor.Finding) bool { return said[f.What] })
}

// configFamilies returns the families that a config has services of.
func configFamilies(cfg config.Config) []rules.Family {
	return slices.DeleteFunc(rules.Families(), func(family rules.Family) bool {
		return !slices.ContainsFunc(cfg.Services, func(s config.Service) bool { return familyOf(s) == family })
	})
}

// Router returns who is let through the host from now on, for each family that the tables
// have rules for. An image has no policy yet. A policy that cannot be read is a Risk.
func (h Host) Router(ctx context.Context, tables rules.Tables, image bool) (found []doctor.Finding, err error) {
	if image {
		for _, family := range familiesOf(tables) {
			found = append(found, h.Doctor.Router(family, "")...)
		}
		return found, nil
	}
	kernel, err := h.Restore.Kernel(ctx)
	if err != nil {
		return nil, err
	}
	filters, unread := iptables.Filters(ctx, h.Restore.Run)
	for _, family := range familiesOf(tables) {
		policy, read := forwardPolicy(filters, family, kernel.Variant)
		if !read && unread != nil {
			found = append(found, doctor.Finding{Severity: doctor.Risk, What: fmt.Sprintf("%v: cannot tell the policy of FORWARD: %v", family, unread)})
			continue
		}
		found = append(found, h.Doctor.Router(family, policy)...)
	}
	return found, nil
}

// forwardPolicy returns the policy of FORWARD, and whether the filter table was read. Where
// that has no chain everything is let through.
func forwardPolicy(filters []rules.Ruleset, family rules.Family, variant rules.Variant) (policy string, read bool) {
	for _, filter := range filters {
		if filter.Family != family || filter.Variant != variant {
			continue
		}
		if forward, held := filter.Chain("filter", rules.Forward); held {
			return forward.Policy, true
		}
		return "ACCEPT", true
	}
	return "ACCEPT", false
}
