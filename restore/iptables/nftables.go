package iptables

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"natspread/internal/rules"
)

// rulesetID returns the number that nftables gives to the ruleset of this network
// namespace. The kernel raises it with every transaction, whoever sends it, so while it
// stays the same no table, chain or rule has changed (base_seq of
// net/netfilter/nf_tables_api.c, as NFT_MSG_GETGEN tells it).
func rulesetID() (uint32, error) {
	answer, err := askNftables(nftMessage(unix.NFT_MSG_GETGEN, unix.AF_UNSPEC))
	if err != nil {
		return 0, fmt.Errorf("cannot ask for the ruleset's number: %w", err)
	}
	return rulesetAnswer(answer)
}

// nftHolds tells whether nftables has a chain, whatever is in it.
func nftHolds(family rules.Family, name rules.TableName, chain string) (bool, error) {
	answer, err := askNftables(nftMessage(unix.NFT_MSG_GETCHAIN, nftFamily(family),
		attribute{unix.NFTA_CHAIN_TABLE, name.String()}, attribute{unix.NFTA_CHAIN_NAME, chain}))
	if err == nil {
		err = answerIs(answer, unix.NFT_MSG_NEWCHAIN)
	}
	if errors.Is(err, unix.ENOENT) { // the chain, or its table
		return false, nil
	}
	return err == nil, err
}

// nftOwnChains returns the names of natspread's chains that nftables has in a table, whatever
// is in them.
func nftOwnChains(family rules.Family, name rules.TableName) (names []string, err error) {
	chains, err := nftChains(nftFamily(family))
	for _, c := range chains {
		if c.Table == name.String() && rules.IsOwn(c.Name) {
			names = append(names, c.Name)
		}
	}
	return names, err
}

// nftChains lists the chains of a family, in the order in which they were made; AF_UNSPEC are
// all families.
func nftChains(family byte) ([]nftChain, error) {
	return list(nftMessage(unix.NFT_MSG_GETCHAIN, family), unix.NFT_MSG_NEWCHAIN, chainAnswer)
}

// nftTables lists all tables in the order in which they were made.
func nftTables() ([]nftTable, error) {
	return list(nftMessage(unix.NFT_MSG_GETTABLE, unix.AF_UNSPEC), unix.NFT_MSG_NEWTABLE, tableAnswer)
}

// nftSets lists the sets and maps of a family that have a name of their own.
func nftSets(family rules.Family) ([]nftSet, error) {
	all, err := list(nftMessage(unix.NFT_MSG_GETSET, nftFamily(family)), unix.NFT_MSG_NEWSET, setAnswer)
	return slices.DeleteFunc(all, func(set nftSet) bool { return set.anonymous }), err
}

// nftRules lists the rules of a chain, each as the kernel runs it.
func nftRules(family rules.Family, table, chain string) ([]nftRule, error) {
	return list(nftMessage(unix.NFT_MSG_GETRULE, nftFamily(family),
		attribute{unix.NFTA_RULE_TABLE, table}, attribute{unix.NFTA_RULE_CHAIN, chain}), unix.NFT_MSG_NEWRULE, ruleAnswer)
}

// nftTableOf returns a table of nftables, if it is there.
func nftTableOf(family rules.Family, name rules.TableName) (table nftTable, held bool, err error) {
	answer, err := askNftables(nftMessage(unix.NFT_MSG_GETTABLE, nftFamily(family), attribute{unix.NFTA_TABLE_NAME, name.String()}))
	if err == nil {
		err = answerIs(answer, unix.NFT_MSG_NEWTABLE)
	}
	if errors.Is(err, unix.ENOENT) {
		return nftTable{}, false, nil
	}
	if err != nil {
		return nftTable{}, false, err
	}
	return tableAnswer(answer), true, nil
}

// nftFamily returns the number of a family.
func nftFamily(family rules.Family) byte {
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
		if kind == nftGenID && len(value) >= 4 {
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

// nftChain is a chain of nftables.
type nftChain struct {
	Family, Table, Name string
	hooked              bool // the kernel leads packets there
}

// chainAnswer reads a chain out of a message.
func chainAnswer(message []byte) nftChain {
	read := nftChain{Family: familyAnswer(message)}
	for kind, value := range attributes(message) {
		switch kind {
		case unix.NFTA_CHAIN_TABLE:
			read.Table = textOf(value)
		case unix.NFTA_CHAIN_NAME:
			read.Name = textOf(value)
		case unix.NFTA_CHAIN_HOOK:
			read.hooked = true
		}
	}
	return read
}

// nftSet is a set or a map of nftables.
type nftSet struct {
	kind        string // nft's word for it: set, map
	table, name string
	anonymous   bool // it belongs to one rule
}

// setAnswer reads a set out of a message.
func setAnswer(message []byte) nftSet {
	read := nftSet{kind: "set"}
	for kind, value := range attributes(message) {
		switch {
		case kind == unix.NFTA_SET_TABLE:
			read.table = textOf(value)
		case kind == unix.NFTA_SET_NAME:
			read.name = textOf(value)
		case kind == unix.NFTA_SET_FLAGS && len(value) >= 4:
			flags := binary.BigEndian.Uint32(value)
			if read.anonymous = flags&unix.NFT_SET_ANONYMOUS != 0; flags&(unix.NFT_SET_MAP|unix.NFT_SET_OBJECT) != 0 {
				read.kind = "map"
			}
		}
	}
	return read
}

// nftTable is a table of nftables.
type nftTable struct {
	family, name string
	dormant      bool
}

// tableAnswer reads a table out of a message.
func tableAnswer(message []byte) nftTable {
	read := nftTable{family: familyAnswer(message)}
	for kind, value := range attributes(message) {
		switch {
		case kind == unix.NFTA_TABLE_NAME:
			read.name = textOf(value)
		case kind == unix.NFTA_TABLE_FLAGS && len(value) >= 4:
			read.dormant = binary.BigEndian.Uint32(value)&tableDormant != 0
		}
	}
	return read
}

// tableDormant is NFT_TABLE_F_DORMANT of linux/netfilter/nf_tables.h.
const tableDormant = 1

// nftRule is a rule of nftables.
type nftRule struct {
	handle      uint64 // by which nft deletes it
	expressions []nftExpression
}

// nftExpression is one expression of a rule.
type nftExpression struct{ name, data string }

// number returns a number of an expression; 0 where there is none.
func (e nftExpression) number(kind uint16) uint32 {
	for found, value := range values([]byte(e.data)) {
		if found == kind && len(value) >= 4 {
			return binary.BigEndian.Uint32(value)
		}
	}
	return 0
}

// ruleAnswer reads a rule out of a message.
func ruleAnswer(message []byte) (read nftRule) {
	for kind, value := range attributes(message) {
		switch kind &^ unix.NLA_F_NESTED {
		case unix.NFTA_RULE_HANDLE:
			if len(value) >= 8 {
				read.handle = binary.BigEndian.Uint64(value)
			}
		case unix.NFTA_RULE_EXPRESSIONS:
			for _, element := range values(value) {
				read.expressions = append(read.expressions, expressionAnswer(element))
			}
		}
	}
	return read
}

// expressionAnswer reads an expression of a rule.
func expressionAnswer(element []byte) (read nftExpression) {
	for kind, value := range values(element) {
		switch kind &^ unix.NLA_F_NESTED {
		case unix.NFTA_EXPR_NAME:
			read.name = textOf(value)
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
