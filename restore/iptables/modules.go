package iptables

import (
	"context"
	"errors"
	"fmt"

	"natspread/internal/program"
	"natspread/internal/rules"
)

// extension is a match or target of iptables that a kernel may be without.
type extension struct {
	name   string // what iptables calls it
	module string
	table  rules.TableName // where it is looked for
	used   func(rules.Rule) bool
	probe  rules.Rule // one that has nothing else of the kind
}

// nowhere is the chain that the rules of probes lead to.
const nowhere = rules.Prefix + "-probe"

// extensions are those that the kernels of large distributions keep in a package of their
// own, and that some do not have at all. The others come with nat itself.
func extensions() []extension {
	leads := rules.Target{Chain: nowhere}
	return []extension{
		{"match conntrack", "xt_conntrack", rules.NAT, rules.Rule.AsksConntrack, rules.Rule{Translated: true, Target: leads}},
		{"target TCPMSS", "xt_TCPMSS", rules.Mangle, func(r rules.Rule) bool { return r.Target.Kind == rules.ClampMSS }, rules.Rule{Protocol: "tcp", Handshake: true, Target: rules.Target{Kind: rules.ClampMSS}}},
		{"target HMARK", "xt_HMARK", rules.NAT, func(r rules.Rule) bool { return r.Target.Kind == rules.Hash }, rules.Rule{Target: rules.Target{Kind: rules.Hash, Prefix: 32, Slots: 16}}},
		{"target CONNMARK", "xt_connmark", rules.NAT, func(r rules.Rule) bool { return r.Target.Kind == rules.RestoreMark }, rules.Rule{Target: rules.Target{Kind: rules.RestoreMark}}},
		{"match mark", "xt_mark", rules.NAT, func(r rules.Rule) bool { return r.Mark != rules.Mark{} }, rules.Rule{Mark: rules.Mark{Mask: 1}, Target: leads}},
		{"match statistic", "xt_statistic", rules.NAT, func(r rules.Rule) bool { return r.Statistic != rules.Statistic{} }, rules.Rule{Statistic: rules.Statistic{Every: 2}, Target: leads}},
	}
}

// in tells whether a table has a rule with the extension.
func (e extension) in(table rules.Table) bool {
	for _, chain := range table.Chains {
		for _, rule := range chain.Rules {
			if e.used(rule) {
				return true
			}
		}
	}
	return false
}

// MissingError says that iptables or the kernel does not have a match or target.
type MissingError struct {
	Variant   rules.Variant
	Family    rules.Family
	Extension string // target HMARK
	Module    string // of the kernel
}

// Error says what is missing.
func (e *MissingError) Error() string {
	return fmt.Sprintf("the kernel or the %s variant of iptables has no %s for %v", e.Variant, e.Extension, e.Family)
}

// Fix returns the line that loads the module.
func (e *MissingError) Fix() string {
	return fmt.Sprintf("modprobe %s # RHEL 10: dnf install kernel-modules-extra", e.Module)
}

// Is makes it one of the errors of missing programs.
func (e *MissingError) Is(target error) bool { return target == program.ErrMissing }

// Missing is a MissingError when a rule of a table takes a match or target that is not
// there. It is found in a scratch namespace by a rule that has nothing else: what the programs
// say of a refused transaction does not name it. Programs that refuse the same table without
// that rule, too, tell nothing of it.
func (k Kernel) Missing(ctx context.Context, table rules.Table) error {
	for _, extension := range extensions() {
		if !extension.in(table) || !isRefusal(k.prove(ctx, probe(table.Family, extension.table, extension.probe))) {
			continue
		}
		if k.prove(ctx, probe(table.Family, extension.table)) == nil {
			return &MissingError{k.Variant, table.Family, extension.name, extension.module}
		}
	}
	return nil
}

// probe is a table that has these rules, and nothing that any iptables could refuse.
func probe(family rules.Family, name rules.TableName, list ...rules.Rule) rules.Table {
	if name == rules.Mangle {
		return rules.Table{Family: family, Name: name, Chains: []rules.Chain{{Name: rules.ServiceMSS, Rules: list}}}
	}
	return rules.Table{Family: family, Chains: []rules.Chain{
		{Name: rules.ServiceOut}, {Name: rules.ServicePost}, {Name: rules.ServicePre, Rules: list}, {Name: nowhere},
	}}
}

// withCause adds to the error of a refused table which match or target is missing, if one is,
// and the line that fixes it.
func (k Kernel) withCause(ctx context.Context, table rules.Table, err error) error {
	var missing *MissingError
	if !isRefusal(err) || !errors.As(k.Missing(ctx, table), &missing) {
		return err
	}
	return fmt.Errorf("%w: %w; fix: %s", err, missing, missing.Fix())
}
