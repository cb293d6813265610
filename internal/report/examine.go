package report

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"natspread/internal/config"
	"natspread/internal/doctor"
	"natspread/internal/rules"
	"natspread/restore/iptables"
)

// Judged is the config by which doctor judges a host.
type Judged struct {
	Config config.Config
	Path   string // of its file below the root; "" for one that is no file there
	Bad    error  // why the services are not those of the config file; nil when they are
}

// Examine returns all that keeps a config's balancer from working on the host: what Read
// finds, and what takes longer to find. The worst comes first.
func (h Host) Examine(ctx context.Context, judged Judged) ([]doctor.Finding, error) {
	report, err := h.Read(ctx)
	if err != nil {
		return nil, err
	}
	wanted := report.Status.Wanted
	balancer := doctor.Balancer{
		Services: judged.Config.Services, Variant: report.Status.Variant, Applied: wanted.Current,
		Config: judged.Path, ConfigBad: judged.Bad, State: h.Restore.Store().Files(wanted.Current),
	}
	balancer.Rulesets, balancer.Unread = iptables.Rulesets(ctx, h.Restore.Run)
	var unread error
	balancer.Native, unread = iptables.NativeRules(ctx, h.Restore.Run)
	balancer.Unread = errors.Join(balancer.Unread, unread)
	found := append(report.Findings, h.Doctor.Examine(balancer)...)
	if pending := wanted.Pending; pending != nil && pending.Left() > 0 {
		found = append(found, doctor.Finding{
			Severity: doctor.Risk, Fix: "natspread confirm",
			What: fmt.Sprintf("generation %d waits to be confirmed: else it is reverted, and boot never loads it", pending.Number),
		})
	}
	if !report.Status.Loaded {
		ahead, err := h.ahead(ctx, judged.Config)
		if err != nil {
			return nil, err
		}
		found = append(found, ahead...)
	}
	doctor.Sort(found)
	return found, nil
}

// ahead finds what will keep the connections of services from passing once they are
// loaded, without what apply fixes.
func (h Host) ahead(ctx context.Context, cfg config.Config) ([]doctor.Finding, error) {
	found, err := h.Remaining(ctx, cfg, configFamilies(cfg))
	return slices.DeleteFunc(found, func(f doctor.Finding) bool { return f.Fix == fixApply }), err
}

// configFamilies returns the families that a config has services of.
func configFamilies(cfg config.Config) []rules.Family {
	return slices.DeleteFunc(rules.Families(), func(family rules.Family) bool {
		return !slices.ContainsFunc(cfg.Services, func(s config.Service) bool { return rules.FamilyOf(s.Backends[0].Addr) == family })
	})
}

// Router returns who is let through the host from now on, for each family that the tables
// have rules for. An image has no policy yet.
func (h Host) Router(ctx context.Context, tables rules.Tables, image bool) (found []doctor.Finding, err error) {
	var filters []rules.Ruleset
	var variant rules.Variant
	if !image {
		kernel, err := h.Restore.Kernel(ctx)
		if err != nil {
			return nil, err
		}
		variant = kernel.Variant
		if filters, err = iptables.Filters(ctx, h.Restore.Run); err != nil {
			return nil, err
		}
	}
	for _, family := range Families(tables) {
		policy := ""
		if !image {
			policy = forwardPolicy(filters, family, variant)
		}
		found = append(found, h.Doctor.Router(family, policy))
	}
	return found, nil
}

// forwardPolicy returns the policy of FORWARD; where there is no filter table everything is
// let through.
func forwardPolicy(filters []rules.Ruleset, family rules.Family, variant rules.Variant) string {
	for _, filter := range filters {
		if forward, held := filter.Chain("filter", rules.Forward); held && filter.Family == family && filter.Variant == variant {
			return forward.Policy
		}
	}
	return "ACCEPT"
}
