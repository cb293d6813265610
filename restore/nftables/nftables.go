package nftables

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"natspread/internal/rules"
)

// RulesetID returns the number that nftables gives to the ruleset of this network
// namespace. The kernel raises it with every transaction, whoever sends it, so while it
// stays the same no table, chain or rule has changed (base_seq of
// net/netfilter/nf_tables_api.c, as NFT_MSG_GETGEN tells it).
func RulesetID() (uint32, error) {
	answer, err := ask(request(unix.NFT_MSG_GETGEN, unix.AF_UNSPEC))
	if err != nil {
		return 0, fmt.Errorf("cannot ask for the ruleset's number: %w", err)
	}
	return rulesetAnswer(answer)
}

// HasChain tells whether nftables has a chain, whatever is in it.
func HasChain(family rules.Family, name rules.TableName, chain string) (bool, error) {
	answer, err := ask(request(unix.NFT_MSG_GETCHAIN, numberOf(family),
		attribute{unix.NFTA_CHAIN_TABLE, name.String()}, attribute{unix.NFTA_CHAIN_NAME, chain}))
	if err == nil {
		err = answerIs(answer, unix.NFT_MSG_NEWCHAIN)
	}
	if errors.Is(err, unix.ENOENT) { // the chain, or its table
		return false, nil
	}
	return err == nil, err
}

// OwnChains returns the names of natspread's chains that nftables has in a table, whatever
// is in them.
func OwnChains(family rules.Family, name rules.TableName) (names []string, err error) {
	chains, err := ChainsOf(family)
	for _, c := range chains {
		if c.Table == name.String() && rules.IsOwn(c.Name) {
			names = append(names, c.Name)
		}
	}
	return names, err
}

// Chains lists all chains in the order in which they were made.
func Chains() ([]Chain, error) { return chainsOf(unix.AF_UNSPEC) }

// ChainsOf lists the chains of a family in that order.
func ChainsOf(family rules.Family) ([]Chain, error) { return chainsOf(numberOf(family)) }

// chainsOf is ChainsOf for the number of a family; AF_UNSPEC are all families.
func chainsOf(family byte) ([]Chain, error) {
	return list(request(unix.NFT_MSG_GETCHAIN, family), unix.NFT_MSG_NEWCHAIN, chainAnswer)
}

// Tables lists all tables in the order in which they were made.
func Tables() ([]Table, error) {
	return list(request(unix.NFT_MSG_GETTABLE, unix.AF_UNSPEC), unix.NFT_MSG_NEWTABLE, tableAnswer)
}

// Sets lists the sets and maps of a family that have a name of their own.
func Sets(family rules.Family) ([]Set, error) {
	all, err := list(request(unix.NFT_MSG_GETSET, numberOf(family)), unix.NFT_MSG_NEWSET, setAnswer)
	return slices.DeleteFunc(all, func(set Set) bool { return set.anonymous }), err
}

// Rules lists the rules of a chain, each as the kernel runs it; of a chain that is not there, none.
func Rules(family rules.Family, table, chain string) ([]Rule, error) {
	return listRules(family, table, chain, ruleAnswer)
}

// RuleCount returns how many rules a chain has.
func RuleCount(family rules.Family, table, chain string) (int, error) {
	all, err := listRules(family, table, chain, func([]byte) struct{} { return struct{}{} })
	return len(all), err
}

// listRules lists the rules of a chain, each read.
func listRules[T any](family rules.Family, table, chain string, read func(message []byte) T) ([]T, error) {
	return list(request(unix.NFT_MSG_GETRULE, numberOf(family),
		attribute{unix.NFTA_RULE_TABLE, table}, attribute{unix.NFTA_RULE_CHAIN, chain}), unix.NFT_MSG_NEWRULE, read)
}

// TableOf returns a table of nftables, if it is there.
func TableOf(family rules.Family, name rules.TableName) (table Table, held bool, err error) {
	answer, err := ask(request(unix.NFT_MSG_GETTABLE, numberOf(family), attribute{unix.NFTA_TABLE_NAME, name.String()}))
	if err == nil {
		err = answerIs(answer, unix.NFT_MSG_NEWTABLE)
	}
	if errors.Is(err, unix.ENOENT) {
		return Table{}, false, nil
	}
	if err != nil {
		return Table{}, false, err
	}
	return tableAnswer(answer), true, nil
}

// numberOf returns the number of a family.
func numberOf(family rules.Family) byte {
	if family == rules.IPv6 {
		return unix.AF_INET6
	}
	return unix.AF_INET
}

// rulesetAnswer reads the number out of the answer.
func rulesetAnswer(message []byte) (uint32, error) {
	if err := answerIs(message, unix.NFT_MSG_NEWGEN); err != nil {
		return 0, err
	}
	for kind, value := range attributes(message) {
		if kind == genID && len(value) >= 4 {
			return binary.BigEndian.Uint32(value), nil
		}
	}
	return 0, errAnswer
}

// familyWord returns nft's word for a family of packets that services may have, "" for others.
func familyWord(family byte) string {
	switch family {
	case unix.NFPROTO_IPV4:
		return rules.IPv4.NFTWord()
	case unix.NFPROTO_IPV6:
		return rules.IPv6.NFTWord()
	case unix.NFPROTO_INET:
		return "inet"
	case unix.NFPROTO_NETDEV:
		return "netdev"
	}
	return ""
}

// familyAnswer returns the family of a message.
func familyAnswer(message []byte) string {
	if len(message) <= unix.SizeofNlMsghdr {
		return ""
	}
	return familyWord(message[unix.SizeofNlMsghdr])
}

// Chain is a chain of nftables.
type Chain struct {
	Family, Table, Name string
	Hooked              bool // the kernel leads packets there
}

// chainAnswer reads a chain out of a message.
func chainAnswer(message []byte) Chain {
	read := Chain{Family: familyAnswer(message)}
	for kind, value := range attributes(message) {
		switch kind {
		case unix.NFTA_CHAIN_TABLE:
			read.Table = textOf(value)
		case unix.NFTA_CHAIN_NAME:
			read.Name = textOf(value)
		case unix.NFTA_CHAIN_HOOK:
			read.Hooked = true
		}
	}
	return read
}

// Set is a set or a map of nftables.
type Set struct {
	Kind        string // nft's word for it: set, map
	Table, Name string
	anonymous   bool // it belongs to one rule
}

// setAnswer reads a set out of a message.
func setAnswer(message []byte) Set {
	read := Set{Kind: "set"}
	for kind, value := range attributes(message) {
		switch {
		case kind == unix.NFTA_SET_TABLE:
			read.Table = textOf(value)
		case kind == unix.NFTA_SET_NAME:
			read.Name = textOf(value)
		case kind == unix.NFTA_SET_FLAGS && len(value) >= 4:
			flags := binary.BigEndian.Uint32(value)
			if read.anonymous = flags&unix.NFT_SET_ANONYMOUS != 0; flags&(unix.NFT_SET_MAP|unix.NFT_SET_OBJECT) != 0 {
				read.Kind = "map"
			}
		}
	}
	return read
}

// Table is a table of nftables.
type Table struct {
	Family, Name string
	Dormant      bool
}

// tableAnswer reads a table out of a message.
func tableAnswer(message []byte) Table {
	read := Table{Family: familyAnswer(message)}
	for kind, value := range attributes(message) {
		switch {
		case kind == unix.NFTA_TABLE_NAME:
			read.Name = textOf(value)
		case kind == unix.NFTA_TABLE_FLAGS && len(value) >= 4:
			read.Dormant = binary.BigEndian.Uint32(value)&tableDormant != 0
		}
	}
	return read
}

// tableDormant is NFT_TABLE_F_DORMANT of linux/netfilter/nf_tables.h.
const tableDormant = 1

// Rule is a rule of nftables.
type Rule struct {
	Handle      uint64 // by which nft deletes it
	Expressions []Expression
}

// Expression is one expression of a rule.
type Expression struct{ Name, data string }

// Number returns a number of an expression; 0 where there is none.
func (e Expression) Number(kind uint16) uint32 {
	for found, value := range values([]byte(e.data)) {
		if found == kind && len(value) >= 4 {
			return binary.BigEndian.Uint32(value)
		}
	}
	return 0
}

// Packets returns what a rule counted.
func (r Rule) Packets() uint64 {
	for _, expression := range r.Expressions {
		if expression.Name != "counter" {
			continue
		}
		for kind, value := range values([]byte(expression.data)) {
			if kind == unix.NFTA_COUNTER_PACKETS && len(value) >= 8 {
				return binary.BigEndian.Uint64(value)
			}
		}
	}
	return 0
}

// ruleAnswer reads a rule out of a message.
func ruleAnswer(message []byte) (read Rule) {
	for kind, value := range attributes(message) {
		switch kind &^ unix.NLA_F_NESTED {
		case unix.NFTA_RULE_HANDLE:
			if len(value) >= 8 {
				read.Handle = binary.BigEndian.Uint64(value)
			}
		case unix.NFTA_RULE_EXPRESSIONS:
			for _, element := range values(value) {
				read.Expressions = append(read.Expressions, expressionAnswer(element))
			}
		}
	}
	return read
}

// expressionAnswer reads an expression of a rule.
func expressionAnswer(element []byte) (read Expression) {
	for kind, value := range values(element) {
		switch kind &^ unix.NLA_F_NESTED {
		case unix.NFTA_EXPR_NAME:
			read.Name = textOf(value)
		case unix.NFTA_EXPR_DATA:
			read.data = string(value)
		}
	}
	return read
}

// textOf returns a text of an attribute, without the zero at its end.
func textOf(value []byte) string {
	text, _, _ := strings.Cut(string(value), "\x00")
	return text
}
