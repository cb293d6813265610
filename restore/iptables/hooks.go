package iptables

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"natspread/internal/program"
	"natspread/internal/rules"
	"natspread/restore/nftables"
)

// hookedTables are the tables by which packets of a service come.
var hookedTables = []string{"raw", "mangle", "nat", "filter", "security"}

// ReadHooks returns all that decides about packets beside natspread's own rules: of both
// variants of iptables, and of each table of nftables. Beside what could be read stand the
// reasons for the rest. It makes no table. Natspread's many chains in a nat table are left out.
func ReadHooks(ctx context.Context, run program.Runner) (rules.Hooks, error) {
	n, err := listRuleset()
	reader := hookReader{run: run, listing: n}
	if err != nil {
		reader.failed = append(reader.failed, fmt.Errorf("cannot list the chains of nftables: %w", err))
	}
	for _, variant := range []rules.Variant{rules.NFT, rules.Legacy} {
		for _, family := range rules.Families() {
			reader.variant(ctx, Kernel{Run: run, Variant: variant}, family)
		}
	}
	for _, t := range n.tables {
		if n.isNative(t) {
			reader.native(ctx, t)
		}
	}
	reader.hooks.Chains = n.hooked()
	return reader.hooks, errors.Join(reader.failed...)
}

// listing is what the kernel lists of nftables without its rules.
type listing struct {
	tables []nftables.Table
	chains []nftables.Chain
}

// listRuleset asks the kernel. One that does not know nftables has none.
func listRuleset() (n listing, err error) {
	if n.tables, err = nftables.Tables(); err == nil {
		n.chains, err = nftables.Chains()
	}
	if nftables.IsMissing(err) {
		return listing{}, nil
	}
	return n, err
}

// hooked returns the chains that the kernel leads packets to.
func (n listing) hooked() []rules.BaseChain {
	var hooked []rules.BaseChain
	for _, c := range n.chains {
		if c.Hooked && c.Family != "" {
			dormant := slices.Contains(n.tables, nftables.Table{Family: c.Family, Name: c.Table, Dormant: true})
			hooked = append(hooked, rules.BaseChain{Family: c.Family, Table: c.Table, Name: c.Name, Dormant: dormant})
		}
	}
	return hooked
}

// isNative tells whether packets meet chains of a table that iptables does not show.
func (n listing) isNative(t nftables.Table) bool {
	return !t.Dormant && slices.ContainsFunc(n.chains, func(c nftables.Chain) bool {
		return c.Family != "" && c.Hooked && c.Family == t.Family && c.Table == t.Name && !isBuiltIn(c)
	})
}

// isBuiltIn tells whether a chain is one that iptables-nft made.
func isBuiltIn(c nftables.Chain) bool {
	return (c.Family == "ip" || c.Family == "ip6") && slices.Contains(hookedTables, c.Table) &&
		slices.Contains([]string{"PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"}, c.Name)
}

// hookReader collects what is read.
type hookReader struct {
	run     program.Runner
	listing listing
	hooks   rules.Hooks
	failed  []error
}

// variant reads the tables of a family by one variant.
func (r *hookReader) variant(ctx context.Context, k Kernel, family rules.Family) {
	text, err := r.legacy(ctx, k, family)
	if k.Variant == rules.NFT {
		text, err = r.nft(ctx, k, family)
	}
	switch {
	case errors.Is(err, program.ErrMissing):
	case err != nil:
		r.failed = append(r.failed, fmt.Errorf("cannot read the %v rules of the %s variant: %w", family, k.Variant, err))
	default:
		r.hooks.Rulesets = append(r.hooks.Rulesets, rules.ParseRuleset(family, k.Variant, text))
	}
}

// legacy reads the tables of iptables-legacy that are there. Without -t iptables-save makes
// none.
func (r *hookReader) legacy(ctx context.Context, k Kernel, family rules.Family) ([]byte, error) {
	path, err := k.path(ctx, family, "save")
	if err != nil || !slices.ContainsFunc(hookedTables, func(name string) bool { return k.hasTable(family, name) }) {
		return nil, err
	}
	if err := k.rights(); err != nil {
		return nil, err
	}
	text, err := k.Run(ctx, nil, path)
	return withoutOwnNAT(text), err
}

// isLeftOut tells whether a chain of a table is not read: in a nat table each of natspread's but
// the one that tells its connections from others.
func isLeftOut(table, chain string) bool {
	return table == rules.NAT.String() && rules.IsOwn(chain) && chain != rules.ServicePost
}

// withoutOwnNAT returns what iptables-save printed without the chains that are left out.
func withoutOwnNAT(text []byte) []byte {
	var left []byte
	table := ""
	for line := range bytes.Lines(text) {
		if line[0] == '*' {
			table = string(bytes.TrimSpace(line[1:]))
		}
		name, declared := bytes.CutPrefix(line, []byte(":"))
		if !declared {
			name, _ = bytes.CutPrefix(line, []byte("-A "))
		}
		name, _, _ = bytes.Cut(name, []byte(" "))
		if !isLeftOut(table, string(name)) {
			left = append(left, line...)
		}
	}
	return left
}

// nft reads the tables of iptables-nft, all at once. Where one of them cannot be read that
// fails, and each is read by itself.
func (r *hookReader) nft(ctx context.Context, k Kernel, family rules.Family) ([]byte, error) {
	wanted := r.chainsOf(family)
	path, err := k.path(ctx, family, "restore")
	if err != nil || len(wanted) == 0 {
		return nil, err
	}
	if err := k.rights(); err != nil {
		return nil, err
	}
	text, err := k.listChains(ctx, path, wanted)
	for rest := wanted; err != nil && len(rest) > 0; {
		table := rest[0].Table
		end := slices.IndexFunc(rest, func(c nftables.Chain) bool { return c.Table != table })
		if end < 0 {
			end = len(rest)
		}
		one, failed := k.listChains(ctx, path, rest[:end])
		if failed != nil {
			r.unreadable(ctx, family, table, failed)
		}
		text, rest = append(text, one...), rest[end:]
	}
	r.partly(family, wanted)
	return text, nil
}

// unreadable reads a table by nft which iptables cannot read, because it has rules of nft's own.
func (r *hookReader) unreadable(ctx context.Context, family rules.Family, table string, err error) {
	if program.Find("/", "nft") == "" {
		r.failed = append(r.failed, fmt.Errorf("cannot read the %v %s table: %w", family, table, err))
		return
	}
	r.native(ctx, nftables.Table{Family: family.NFTWord(), Name: table})
}

// chainsOf returns the chains that iptables-nft is to list, table by table: by name, as it
// else reads every chain of the kernel.
func (r *hookReader) chainsOf(family rules.Family) []nftables.Chain {
	var wanted []nftables.Chain
	for _, name := range hookedTables {
		for _, c := range r.listing.chains {
			left := isLeftOut(name, c.Name) || c.Hooked && !isBuiltIn(c)
			if c.Family == family.NFTWord() && c.Table == name && !left {
				wanted = append(wanted, c)
			}
		}
	}
	return wanted
}

// listChains lists chains in the form of iptables-save. Each begins with its policy or its
// name, and nothing says of which table it is: that is known by the order.
func (k Kernel) listChains(ctx context.Context, path string, wanted []nftables.Chain) ([]byte, error) {
	var question, saved []byte
	for i, c := range wanted {
		if i == 0 || wanted[i-1].Table != c.Table {
			question = fmt.Appendf(question, "*%s\n", c.Table)
		}
		question = fmt.Appendf(question, "-S %s\n", c.Name)
		if i == len(wanted)-1 || wanted[i+1].Table != c.Table {
			question = append(question, "COMMIT\n"...)
		}
	}
	listed, err := k.list(ctx, path, question)
	if err != nil {
		return nil, err
	}
	at := -1
	for line := range strings.Lines(string(listed)) {
		if begins := strings.HasPrefix(line, "-P ") || strings.HasPrefix(line, "-N "); begins && at+1 < len(wanted) {
			at++
			if at == 0 || wanted[at-1].Table != wanted[at].Table {
				saved = fmt.Appendf(saved, "*%s\n", wanted[at].Table)
			}
		}
		saved = append(saved, savedLine(line)...)
	}
	return saved, nil
}

// shown are the expressions of rules that iptables-nft makes, and shows.
var shown = []string{"match", "target", "counter", "cmp", "payload", "meta", "immediate", "bitwise", "range", "limit", "log"}

// isShown tells whether iptables-nft may show all of a rule: it shows no expression that it does
// not make itself, and no comparison but of what is equal or not.
func isShown(r nftables.Rule) bool {
	return !slices.ContainsFunc(r.Expressions, func(e nftables.Expression) bool {
		return !slices.Contains(shown, e.Name) || e.Name == "cmp" && e.Number(unix.NFTA_CMP_OP) > unix.NFT_CMP_NEQ
	})
}

// partly notes those rules which have another expression. iptables-nft prints such a rule
// without it, as if it asked for less.
func (r *hookReader) partly(family rules.Family, chains []nftables.Chain) {
	for _, c := range chains {
		if rules.IsOwn(c.Name) {
			continue
		}
		all, err := nftables.Rules(family, c.Table, c.Name)
		if err != nil && !errors.Is(err, unix.ENOENT) {
			r.failed = append(r.failed, fmt.Errorf("cannot read chain %s of the %v %s table: %w", c.Name, family, c.Table, err))
		}
		for i, one := range all {
			if !isShown(one) {
				r.hooks.Partly = append(r.hooks.Partly, rules.PartlyShown{Family: family, Table: c.Table, Chain: c.Name, Place: i + 1})
			}
		}
	}
}

// native reads a table by nft, as values and as text: only the text has each rule as people
// know it.
func (r *hookReader) native(ctx context.Context, t nftables.Table) {
	path := program.Find("/", "nft")
	if path == "" {
		r.failed = append(r.failed, fmt.Errorf("cannot read the rules of the nftables table %s %s: %w: install nftables", t.Family, t.Name, program.ErrMissing))
		return
	}
	values, err := r.run(ctx, nil, path, "-j", "list", "table", t.Family, t.Name)
	var text []byte
	if err == nil {
		text, err = r.run(ctx, nil, path, "-a", "list", "table", t.Family, t.Name)
	}
	if err != nil {
		r.failed = append(r.failed, fmt.Errorf("cannot read the nftables table %s %s: %w", t.Family, t.Name, err))
		return
	}
	r.hooks.Native = append(r.hooks.Native, rules.NativeTable{Family: t.Family, Name: t.Name, JSON: values, Text: text})
}
