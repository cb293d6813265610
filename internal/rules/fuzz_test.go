package rules

import (
	"bytes"
	"strings"
	"testing"
)

// FuzzParseRule holds whatever ParseRule takes to this: it is written the same
// way again, and no byte of it could end a word, a line or a quote for
// iptables-restore.
func FuzzParseRule(f *testing.F) {
	for _, family := range Families() {
		for _, chain := range append(sample(family).Chains, sampleSlots(family).Chains...) {
			for _, rule := range chain.Rules {
				f.Add(string(rule.AppendText(nil)))
			}
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		rule, err := ParseRule(text)
		if err != nil {
			return
		}
		if back := string(rule.AppendText(nil)); back != text {
			t.Errorf("read %q, wrote %q", text, back)
		}
		for _, word := range strings.Split(text, " ") {
			if word == "" || strings.HasPrefix(word, "--modprobe") || strings.Trim(word, letters) != "" && word != "!" {
				t.Errorf("took the word %q of %q", word, text)
			}
		}
	})
}

// letters are all that a word of ours is made of.
const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:@/[],"

// FuzzParseSaved holds the reader of everyone's table to this: no panic; what it
// takes names each chain once and gives an own text that reads as itself. What the reader of the
// canonical form refuses, it says why.
func FuzzParseSaved(f *testing.F) {
	f.Add([]byte(busy))
	f.Add([]byte(emptyText))
	f.Add(sampleFilter(IPv4).Text())
	f.Add(sample(IPv4).Text())
	f.Add(sampleMangle(IPv4).Text())
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, kind := range []TableName{NAT, Filter, Mangle} {
			saved, err := ParseSaved(kind, text)
			if err == nil {
				mustReadAgain(t, saved)
			}
			table, err := Parse(IPv4, kind, text)
			if err == nil && !bytes.Equal(table.Text(), text) {
				t.Errorf("parsed %q as %q", text, table.Text())
			}
			if err == errCanonical {
				t.Errorf("refused %q without a reason", text)
			}
		}
	})
}

// mustReadAgain fails unless each chain stands once in what was read, and its own text
// reads as itself.
func mustReadAgain(t *testing.T, saved Saved) {
	own := saved.OwnText()
	again, err := ParseSaved(saved.Name, own)
	if err != nil {
		t.Fatalf("cannot read the own text %q: %v", own, err)
	}
	if !bytes.Equal(again.OwnText(), own) {
		t.Errorf("the own text %q becomes %q", own, again.OwnText())
	}
	for _, chain := range saved.Chains {
		if got, _ := saved.Chain(chain.Name); len(got.Rules) != len(chain.Rules) {
			t.Errorf("chain %q stands twice", chain.Name)
		}
	}
}

// FuzzDecodeFile holds DecodeFile to this: whatever it takes is, byte for byte, what EncodeFile
// makes of it. Sums are corrected before, or none would ever be right.
func FuzzDecodeFile(f *testing.F) {
	for _, family := range Families() {
		f.Add(EncodeFile(sample(family)))
		f.Add(EncodeFile(Table{Family: family}))
		f.Add(EncodeFile(sampleFilter(family)))
		f.Add(EncodeFile(sampleMangle(family)))
		f.Add(EncodeFile(sampleSlots(family)))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		for _, which := range []Table{{}, {Family: IPv6}, {Name: Filter}, {Family: IPv6, Name: Filter}, {Name: Mangle}, {Family: IPv6, Name: Mangle}} {
			_, body, _ := bytes.Cut(file, []byte("\n"))
			for _, tried := range [][]byte{file, append(header(which.String(), body), body...)} {
				table, err := DecodeFile(which.Family, which.Name, tried)
				if err == nil && !bytes.Equal(EncodeFile(table), tried) {
					t.Errorf("took %q, which EncodeFile writes as %q", tried, EncodeFile(table))
				}
			}
		}
	})
}

// FuzzParseRuleset holds the lenient reader to this: no panic, no chain that stands twice
// in a table, and of a text that the strict one takes, the same chains.
func FuzzParseRuleset(f *testing.F) {
	f.Add([]byte(busy))
	f.Add([]byte(emptyText))
	f.Add([]byte("*raw\r\n:A\r\n-A B -j DROP\n*\n:\n-A \n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		read := ParseRuleset(IPv4, "nft", text)
		for name, chains := range read.Tables {
			seen := map[string]bool{}
			for _, chain := range chains {
				if seen[chain.Name] {
					t.Errorf("chain %q stands twice in %q", chain.Name, name)
				}
				seen[chain.Name] = true
			}
		}
		for _, kind := range []TableName{NAT, Filter, Mangle} {
			if saved, err := ParseSaved(kind, text); err == nil && len(saved.Chains) > len(read.Tables[kind.String()]) {
				t.Errorf("%d chains of %v, and leniently %d", len(saved.Chains), kind, len(read.Tables[kind.String()]))
			}
		}
	})
}

// FuzzDecodeServices holds DecodeServices to this: whatever it takes is, byte for byte, what
// EncodeServices makes of it, with at least one backend in each service and no two families
// in one. Sums are corrected before.
func FuzzDecodeServices(f *testing.F) {
	services, _ := sampleServices()
	f.Add(EncodeServices(services))
	f.Add(EncodeServices(nil))
	f.Fuzz(func(t *testing.T, file []byte) {
		_, body, _ := bytes.Cut(file, []byte("\n"))
		for _, tried := range [][]byte{file, append(header("services", body), body...)} {
			services, err := DecodeServices(tried)
			if err != nil {
				continue
			}
			if !bytes.Equal(EncodeServices(services), tried) {
				t.Errorf("took %q, which EncodeServices writes as %q", tried, EncodeServices(services))
			}
			for _, service := range services {
				mustBeOneFamily(t, service)
			}
		}
	})
}

// mustBeOneFamily fails unless a service has backends, and those the family of its address.
func mustBeOneFamily(t *testing.T, service VirtualService) {
	if len(service.Backends) == 0 || service.Ports.First == 0 || service.Ports.First > service.Ports.Last {
		t.Fatalf("took %+v", service)
	}
	family := FamilyOf(service.Backends[0].Addr())
	for _, backend := range service.Backends {
		if FamilyOf(backend.Addr()) != family {
			t.Errorf("took %+v", service)
		}
	}
	if service.Address.IsValid() && FamilyOf(service.Address) != family {
		t.Errorf("took %+v", service)
	}
}
