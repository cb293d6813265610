package rules

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// thousands returns a table with rules enough for several parts, and chains without any.
func thousands() Table {
	table := sample(IPv4)
	for i := range 3 * parallelRules {
		chain := Chain{Name: fmt.Sprintf("%s-x%05d", Prefix, i)}
		for k := range i % 3 {
			chain.Rules = append(chain.Rules, Rule{Protocol: "tcp", Target: Target{Kind: DNAT, Address: netip.AddrFrom4([4]byte{10, byte(k), byte(i >> 8), byte(i)}), Port: 80}})
		}
		table.Chains = append(table.Chains, chain)
	}
	table.Sort()
	return table
}

// TestReadThousands reads a large table back, and refuses it where one rule is another: in the first
// chain, in the last one or between.
func TestReadThousands(t *testing.T) {
	want := thousands()
	text := string(want.Text())
	if got, ok := readCanonical(IPv4, NAT, text); !ok || !got.sameAs(want) {
		t.Error("it does not come back")
	}
	lines := strings.SplitAfter(text, "\n")
	last := len(lines) - 3 // before COMMIT
	first := last
	for strings.HasPrefix(lines[first], "-A "+Prefix) {
		first--
	}
	for _, i := range []int{first + 1, (first + last) / 2, last} {
		changed := append([]string(nil), lines...)
		changed[i] = strings.TrimSuffix(changed[i], "\n") + " --modprobe=x\n"
		if _, err := Parse(IPv4, NAT, []byte(strings.Join(changed, ""))); err == nil || !strings.Contains(err.Error(), "--modprobe=x") {
			t.Errorf("line %d, %q: %v", i+1, changed[i], err)
		}
	}
}

// sameAs tells whether two tables have the same chains.
func (t Table) sameAs(other Table) bool {
	return cmp.Equal(t.Text(), other.Text()) && Tables{IPv4: t}.Equal(Tables{IPv4: other})
}

// TestReadCanonical reads each sample as the strict reader of saved tables does.
func TestReadCanonical(t *testing.T) {
	for _, table := range []Table{sample(IPv4), sample(IPv6), sampleSlots(IPv4), sampleFilter(IPv4), sampleFilter(IPv6), {}, {Name: Filter}} {
		text := table.Text()
		got, ok := readCanonical(table.Family, table.Name, string(text))
		saved, err := ParseSaved(table.Name, text)
		if err != nil || !ok {
			t.Fatalf("%s: %v, %v", table, ok, err)
		}
		want, err := saved.Own(table.Family)
		if diff := cmp.Diff(want.Chains, got.Chains, sameAddress); err != nil || diff != "" {
			t.Errorf("%s: %v, saved -, canonical +\n%s", table, err, diff)
		}
	}
}
