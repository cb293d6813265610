package iptables

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"natspread/internal/rules"
)

// errTakenChanged says that what is to be taken out is not there as it was listed.
var errTakenChanged = errors.New("the rules that are to be taken out have changed since they were listed: natspread adopt lists them anew")

// takeOut has a load of the nat table take rules out: each has to stand there as it was listed.
func (s *Snapshot) takeOut(list []rules.Taken) error {
	s.listed, s.taken = list, nil
	for _, one := range list {
		chain, found := s.saved.Chain(one.Chain)
		if !found || rules.IsOwn(one.Chain) {
			return fmt.Errorf("%w: chain %s is gone", errTakenChanged, one.Chain)
		}
		one.Held, one.Place = held(chain, one.Text), placeOf(chain, one)
		if one.Text != "" && one.Held == 0 {
			return fmt.Errorf("%w: %s", errTakenChanged, one)
		}
		s.taken = append(s.taken, one)
	}
	return nil
}

// held counts the rules of a chain that have a text.
func held(chain rules.SavedChain, text string) int {
	count := 0
	for _, rule := range chain.Rules {
		if rule.Text == text {
			count++
		}
	}
	return count
}

// placeOf returns the place among the rules of others in a chain of one that is listed at a place of all
// rules: that place itself, if the rule is there, else that of the first with its text.
func placeOf(chain rules.SavedChain, listed rules.Taken) int {
	place, first := 0, 0
	for i, rule := range chain.Rules {
		if rules.IsOwn(rule.JumpsTo()) {
			continue
		}
		place++
		switch {
		case rule.Text != listed.Text:
		case i+1 == listed.Place:
			return place
		case first == 0:
			first = place
		}
	}
	return first
}

// takenOf returns those of some rules that stand in the nat table of a family.
func takenOf(family rules.Family, list []rules.Taken) []rules.Taken {
	return slices.DeleteFunc(slices.Clone(list), func(t rules.Taken) bool { return t.Family != family })
}

// SnapshotsWithout is Snapshots for a load of the nat tables that takes out rules of others.
func (k Kernel) SnapshotsWithout(ctx context.Context, list []rules.Taken, tables rules.Tables) (read Snapshots, err error) {
	if read, err = k.Snapshots(ctx, tables); err != nil {
		return read, err
	}
	for _, family := range rules.Families() {
		if err := read[family].takeOut(takenOf(family, list)); err != nil {
			return read, err
		}
	}
	return read, nil
}

// Taken returns what the load takes out, as it stands there.
func (s Snapshots) Taken() []rules.Taken {
	return slices.Concat(s[rules.IPv4].taken, s[rules.IPv6].taken)
}

// withTaken adds to a transaction the lines that take rules out, by their text: the kernel refuses all of it
// where one is gone. Their places may be those of others by then.
func withTaken(transaction []byte, name rules.TableName, taken []rules.Taken) []byte {
	var lines []byte
	for _, one := range taken {
		if one.Text == "" {
			lines = fmt.Appendf(lines, "-X %s\n", one.Chain)
		} else {
			lines = fmt.Appendf(lines, "-D %s %s\n", one.Chain, one.Text)
		}
	}
	return spliced(transaction, name, lines)
}

// spliced adds lines to the end of a transaction, which may be nil.
func spliced(transaction []byte, name rules.TableName, lines []byte) []byte {
	switch {
	case len(lines) == 0:
		return transaction
	case transaction == nil:
		transaction = append(begin(name), "COMMIT\n"...)
	}
	body := transaction[:len(transaction)-len("COMMIT\n")]
	return slices.Concat(body, lines, []byte("COMMIT\n"))
}

// putBack returns the lines that put back what is not there any more, each rule at the place that it had
// among the rules of others, behind so many jumps of natspread's in each chain.
func putBack(now rules.Saved, jumps map[string][]placed, taken []rules.Taken) []byte {
	var lines []byte
	for _, one := range taken {
		if _, found := now.Chain(one.Chain); one.Text == "" && !found {
			lines = fmt.Appendf(lines, "-N %s\n", one.Chain)
		}
	}
	sorted := slices.Clone(taken)
	slices.SortStableFunc(sorted, func(a, b rules.Taken) int { return a.Place - b.Place })
	back := map[string]int{} // by chain and text, how many were put back
	longer := map[string]int{}
	for _, one := range sorted {
		chain, _ := now.Chain(one.Chain)
		key := one.Chain + " " + one.Text
		if one.Text == "" || held(chain, one.Text)+back[key] >= one.Held {
			continue
		}
		others := len(chain.Rules) - len(jumpsIn(now, one.Chain)) + longer[one.Chain]
		place := min(one.Place, others+1) + len(jumps[one.Chain])
		lines = fmt.Appendf(lines, "-I %s %d %s\n", one.Chain, place, one.Text)
		back[key]++
		longer[one.Chain]++
	}
	return lines
}

// othersAsBefore is an error unless what others have in a table is what they had before, without what was
// taken out.
func othersAsBefore(before rules.Saved, taken []rules.Taken, now rules.Saved) error {
	want := foreignLines(before)
	for _, one := range taken {
		if at := slices.Index(want, one.String()); at >= 0 {
			want = slices.Delete(want, at, at+1)
		}
	}
	if !slices.Equal(want, foreignLines(now)) {
		return fmt.Errorf("%w: other rules than those that were listed went, or came", errNotInSync)
	}
	return nil
}

// tookOut is an error unless a load took out what it was to, and nothing else of others.
func (k Kernel) tookOut(ctx context.Context, table rules.Table, before Snapshot) error {
	now, err := k.Save(ctx, table)
	if err != nil {
		return err
	}
	return othersAsBefore(before.saved, before.taken, now)
}

// PutBack puts rules of others back that a load took out, where they are not there any more.
func (k Kernel) PutBack(ctx context.Context, list []rules.Taken) error {
	for _, family := range rules.Families() {
		own := takenOf(family, list)
		if len(own) == 0 {
			continue
		}
		table := rules.Table{Family: family}
		now, err := k.Save(ctx, table)
		if err != nil {
			return err
		}
		lines := putBack(now, stateOfSaved(now).jumps, own)
		if len(lines) == 0 {
			continue
		}
		if err := k.send(ctx, table, now, spliced(nil, rules.NAT, lines)); err != nil {
			return fmt.Errorf("cannot put back the %v rules that were taken out: %w", family, err)
		}
	}
	return nil
}
