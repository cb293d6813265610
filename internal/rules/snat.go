package rules

import "strings"

// appendSource appends the address of an SNAT target, or the range of addresses out of which the kernel picks
// one by the client and who it asks.
func (t Target) appendSource(b []byte) []byte {
	b = t.appendSocket(b)
	if t.Last.IsValid() {
		b = appendAddress(append(b, '-'), t.Last)
	}
	return t.appendRandom(b)
}

// appendRandom appends how the source port is picked.
func (t Target) appendRandom(b []byte) []byte {
	if t.Random {
		b = append(b, randomFully...)
	}
	return b
}

// randomFully has two CPUs pick different source ports.
const randomFully = " --random-fully"

// source takes the options of -j SNAT.
func (r *ruleReader) source(target *Target) {
	r.word("--to-source")
	first, last, ranged := strings.Cut(r.next(), "-")
	if target.Address, target.Port, _ = r.backend(first); ranged {
		target.Last = r.address(last)
		r.bad = r.bad || target.Port != 0 || target.Address.Is4() != target.Last.Is4() || target.Address.Compare(target.Last) >= 0
	}
	target.Random = r.random()
}

// random takes the option that ends some targets.
func (r *ruleReader) random() bool {
	if r.done || r.peek() != randomFully[1:] {
		return false
	}
	r.next()
	return true
}
