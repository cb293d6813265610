package iptables

import (
	"context"
	"slices"
	"strings"

	"natspread/internal/rules"
	"natspread/restore/nftables"
)

// sendCounted is send, but first tells Counting what those rules counted that the transaction
// takes out. Where many chains change, a table that is known without reading it is read: send
// needs its policies then.
func (k Kernel) sendCounted(ctx context.Context, table rules.Table, observed Snapshot, transaction []byte) (err error) {
	if len(observed.saved.Chains) == 0 && len(declaredIn(transaction)) >= many {
		if observed.saved, err = k.Read(ctx, table); err != nil {
			return err
		}
	}
	counts := k.counted(table, observed, transaction)
	if len(counts) == 0 {
		return k.send(ctx, table, observed.saved, transaction)
	}
	done := k.Counting(counts)
	err = k.send(ctx, table, observed.saved, transaction)
	done(err == nil)
	return err
}

// counted returns what the rules of services counted in the chains that a transaction empties.
// By nft the kernel is asked for a few chains at the last moment; else the counters are those
// that were read before.
func (k Kernel) counted(table rules.Table, observed Snapshot, transaction []byte) (counts []rules.Count) {
	if k.Counting == nil || table.Name != rules.NAT {
		return nil
	}
	declared := declaredIn(transaction)
	packetsOf := func(name string) []uint64 { return nftPackets(table.Family, table.Name, name) }
	if k.Variant == rules.Legacy || len(declared) >= many {
		saved := savedPackets(observed.saved)
		packetsOf = func(name string) []uint64 { return saved[name] }
	}
	for _, name := range declared {
		lines, held := observed.chains[name]
		if !held || rules.ServiceOf(name) == "" {
			continue
		}
		packets := packetsOf(name)
		if len(packets) != strings.Count(lines, "\n") { // somebody changed it since
			continue
		}
		for i, line := range slices.Collect(strings.Lines(lines)) {
			if count, good := rules.CountOf(table.Family, name, ruleIn(line, name), packets[i]); good {
				counts = append(counts, count)
			}
		}
	}
	return counts
}

// ruleIn returns the text of a rule in an "-A CHAIN …" line.
func ruleIn(line, chain string) string {
	return strings.TrimSuffix(strings.TrimPrefix(line, "-A "+chain+" "), "\n")
}

// savedPackets returns what the rules of each chain counted, as iptables-save printed it.
func savedPackets(saved rules.Saved) map[string][]uint64 {
	all := make(map[string][]uint64, len(saved.Chains))
	for _, chain := range saved.Chains {
		packets := make([]uint64, len(chain.Rules))
		for i, rule := range chain.Rules {
			packets[i] = rule.Packets
		}
		all[chain.Name] = packets
	}
	return all
}

// nftPackets returns what the rules of a chain counted, as the kernel says.
func nftPackets(family rules.Family, table rules.TableName, name string) []uint64 {
	held, err := nftables.Rules(family, table.String(), name)
	if err != nil {
		return nil
	}
	packets := make([]uint64, len(held))
	for i, rule := range held {
		packets[i] = rule.Packets()
	}
	return packets
}
