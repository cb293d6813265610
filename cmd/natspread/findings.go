package main

import (
	"context"

	"natspread/internal/config"
	"natspread/internal/doctor"
	"natspread/internal/rules"
	"natspread/restore"
)

// doctor returns where doctor looks. The switches are the kernel's and not on disk,
// so they are the same below every root.
func (o options) doctor() doctor.Host {
	return doctor.Host{Root: o.root, Sysctls: "/proc/sys", Proc: "/proc"}
}

// forwarded returns the families that natspread switches forwarding on for.
func forwarded(tables rules.Tables) []rules.Family {
	var families []rules.Family
	for _, family := range rules.Families() {
		if !tables.Of(family).Empty() {
			families = append(families, family)
		}
	}
	return families
}

// addForwarding adds to a status what keeps the host from forwarding, now or after
// the next boot: that is drift. What could come to that, and how to mend each, is
// only talk, a line each. A host without natspread's rules has nothing to forward.
func (s *session) addForwarding(o options, status *restore.Status) (talk []string, err error) {
	if status.State == restore.NotLoaded {
		return nil, nil
	}
	cfg, _ := config.Parse(configPath, status.Wanted.Config) // the status itself tells of one that is bad
	found, err := o.doctor().Forwarding(cfg.Services, forwarded(status.Wanted.Tables)...)
	if err != nil {
		return nil, err
	}
	status.Forwarding = nil // that is among what was found, and where it comes from
	for _, finding := range found {
		if finding.Severity == doctor.Risk {
			talk = append(talk, finding.What)
		} else {
			status.State = restore.Drift
			status.Forwarding = append(status.Forwarding, restore.Line{Text: finding.What})
		}
		talk = append(talk, mending(finding)...)
	}
	return talk, nil
}

// mending says how to mend a finding, where there is a line for it.
func mending(finding doctor.Finding) []string {
	if finding.Fix == "" {
		return nil
	}
	return []string{"to mend it: " + finding.Fix}
}

// dropped finds what is dropped of a config's connections where the policy of FORWARD is
// DROP. natspread leaves that chain alone, and clients would only see time pass. What
// cannot be read is for doctor to tell.
func (s *session) dropped(ctx context.Context, o options, variant restore.Variant, cfg config.Config, tables rules.Tables) []doctor.Finding {
	for _, family := range forwarded(tables) {
		if policy, err := s.host(o).ForwardPolicy(ctx, family); err == nil && policy == "DROP" {
			balancer := s.packetsOf(ctx, o, cfg)
			balancer.Variant = string(variant)
			return o.doctor().Dropped(balancer)
		}
	}
	return nil
}

// addDropped adds that to the notes of a status, and returns how to mend it.
func (s *session) addDropped(ctx context.Context, o options, status *restore.Status) (talk []string) {
	cfg, err := config.Parse(configPath, status.Wanted.Config)
	if err != nil || status.State == restore.NotLoaded {
		return nil
	}
	for _, finding := range s.dropped(ctx, o, status.Variant, cfg, status.Wanted.Tables) {
		status.Notes = append(status.Notes, finding.What)
		talk = append(talk, mending(finding)...)
	}
	return talk
}

// tellFinding tells a finding, and how to mend it where there is a line for it.
func (s *session) tellFinding(o options, finding doctor.Finding) {
	for _, line := range append([]string{finding.What}, mending(finding)...) {
		s.tell(o, "%s", line)
	}
}

// tellRouter says, after an install, who is let through the host. A policy that cannot
// be read makes no install fail that is complete.
func (s *session) tellRouter(ctx context.Context, o options, tables rules.Tables) {
	for _, family := range forwarded(tables) {
		policy := "" // an image has none yet
		if !o.offline() {
			var err error
			if policy, err = s.host(o).ForwardPolicy(ctx, family); err != nil {
				s.tell(o, "%v: see natspread(8), FORWARDING", err)
				continue
			}
		}
		s.tellFinding(o, o.doctor().Router(family, policy))
	}
}
