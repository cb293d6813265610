package iptables

import (
	"encoding/binary"
	"errors"
	"fmt"

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
func nftHolds(family rules.Family, kind rules.TableName, chain string) (bool, error) {
	number := byte(unix.AF_INET)
	if family == rules.IPv6 {
		number = unix.AF_INET6
	}
	answer, err := askNftables(nftMessage(unix.NFT_MSG_GETCHAIN, number,
		attribute{unix.NFTA_CHAIN_TABLE, kind.String()}, attribute{unix.NFTA_CHAIN_NAME, chain}))
	if err == nil {
		err = answerIs(answer, unix.NFT_MSG_NEWCHAIN)
	}
	if errors.Is(err, unix.ENOENT) { // the chain, or its table
		return false, nil
	}
	return err == nil, err
}

// answerTime bounds how long the kernel may take to answer.
var answerTime = unix.Timeval{Sec: 5}

// askNftables sends a message to nftables and returns the first one of its answer.
func askNftables(question []byte) ([]byte, error) {
	socket, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return nil, err
	}
	defer unix.Close(socket)
	if err := unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &answerTime); err != nil {
		return nil, err
	}
	if err := unix.Sendto(socket, question, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	answer := make([]byte, 4096)
	n, _, err := unix.Recvfrom(socket, answer, 0)
	return answer[:max(n, 0)], err
}

// The layout of netlink messages, from linux/netlink.h and linux/netfilter/nfnetlink.h.
const (
	nfgenmsgSize = 4
	nftGenID     = 1 // NFTA_GEN_ID, big-endian
)

// nftType returns the type of a message of nftables.
func nftType(message uint16) uint16 { return unix.NFNL_SUBSYS_NFTABLES<<8 | message }

// attribute is a text in a message.
type attribute struct {
	kind uint16
	text string
}

// nftMessage returns a message that asks nftables for something of a family.
func nftMessage(message uint16, family byte, attributes ...attribute) []byte {
	b := make([]byte, unix.SizeofNlMsghdr, 128)
	b = append(b, family, 0, 0, 0) // nfgenmsg: the version and the number of a batch are 0
	for _, a := range attributes {
		b = binary.NativeEndian.AppendUint16(b, uint16(unix.SizeofNlAttr+len(a.text)+1))
		b = binary.NativeEndian.AppendUint16(b, a.kind)
		b = append(append(b, a.text...), 0)
		b = append(b, make([]byte, -len(b)&3)...)
	}
	binary.NativeEndian.PutUint32(b[0:], uint32(len(b)))
	binary.NativeEndian.PutUint16(b[4:], nftType(message))
	binary.NativeEndian.PutUint16(b[6:], unix.NLM_F_REQUEST)
	return b
}

// answerIs is an error unless an answer is a message of that type: the kernel's own where
// it refuses.
func answerIs(answer []byte, message uint16) error {
	if len(answer) < unix.SizeofNlMsghdr+nfgenmsgSize {
		return errAnswer
	}
	switch binary.NativeEndian.Uint16(answer[4:]) {
	case nftType(message):
		return nil
	case unix.NLMSG_ERROR: // its number, negative, stands where else nfgenmsg does
		if number := int32(binary.NativeEndian.Uint32(answer[unix.SizeofNlMsghdr:])); number < 0 {
			return unix.Errno(-number)
		}
	}
	return errAnswer
}

// errAnswer says that the kernel answered something else.
var errAnswer = errors.New("unknown answer of nftables")

// rulesetAnswer reads the number out of the answer.
func rulesetAnswer(message []byte) (uint32, error) {
	if err := answerIs(message, unix.NFT_MSG_NEWGEN); err != nil {
		return 0, err
	}
	attributes := message[unix.SizeofNlMsghdr+nfgenmsgSize:]
	for len(attributes) >= unix.SizeofNlAttr {
		size := int(binary.NativeEndian.Uint16(attributes))
		if size < unix.SizeofNlAttr || size > len(attributes) {
			break
		}
		if kind := binary.NativeEndian.Uint16(attributes[2:]); kind == nftGenID && size >= unix.SizeofNlAttr+4 {
			return binary.BigEndian.Uint32(attributes[unix.SizeofNlAttr:]), nil
		}
		attributes = attributes[min(len(attributes), (size+3)&^3):]
	}
	return 0, errAnswer
}
