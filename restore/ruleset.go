package restore

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"natspread/internal/atomicfile"
)

// rulesetID returns the number that nftables gives to the ruleset of this network
// namespace. The kernel raises it with every transaction, whoever sends it, so while it
// stays the same no table, chain or rule has changed (base_seq of
// net/netfilter/nf_tables_api.c, as NFT_MSG_GETGEN tells it).
func rulesetID() (uint32, error) {
	socket, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return 0, fmt.Errorf("cannot ask for the ruleset's number: %w", err)
	}
	defer unix.Close(socket)
	if err := unix.Sendto(socket, rulesetQuestion(), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, fmt.Errorf("cannot ask for the ruleset's number: %w", err)
	}
	answer := make([]byte, 4096)
	n, _, err := unix.Recvfrom(socket, answer, 0)
	if err != nil {
		return 0, fmt.Errorf("cannot ask for the ruleset's number: %w", err)
	}
	return rulesetAnswer(answer[:n])
}

// The layout of netlink messages, from linux/netlink.h and linux/netfilter/nfnetlink.h.
const (
	nfgenmsgSize   = 4
	nftGenID       = 1 // NFTA_GEN_ID, big-endian
	getRulesetType = unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_GETGEN
	newRulesetType = unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_NEWGEN
)

// rulesetQuestion returns the message that asks for the number.
func rulesetQuestion() []byte {
	message := make([]byte, unix.SizeofNlMsghdr+nfgenmsgSize)
	binary.NativeEndian.PutUint32(message[0:], uint32(len(message)))
	binary.NativeEndian.PutUint16(message[4:], getRulesetType)
	binary.NativeEndian.PutUint16(message[6:], unix.NLM_F_REQUEST)
	return message
}

// errAnswer says that the kernel answered something else.
var errAnswer = errors.New("cannot read the ruleset's number: unknown answer")

// rulesetAnswer reads the number out of the answer.
func rulesetAnswer(message []byte) (uint32, error) {
	if len(message) < unix.SizeofNlMsghdr+nfgenmsgSize || binary.NativeEndian.Uint16(message[4:]) != newRulesetType {
		return 0, errAnswer
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

// sighting is what is known of the kernel for as long as nobody touches its tables: that
// it held a generation's tables, every jump in its place, when the ruleset had a number.
type sighting struct {
	Generation int     `json:"generation"`
	Variant    Variant `json:"variant"`
	Ruleset    uint32  `json:"ruleset"`
	Namespace  string  `json:"namespace"` // the network namespace, in this run of the kernel
}

// sightingFile is where it is kept, below the run directory.
const sightingFile = "loaded"

// namespaceID names the network namespace of this process for as long as the kernel runs.
func namespaceID() (string, error) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	namespace, err := os.Readlink("/proc/thread-self/ns/net")
	return strings.TrimSpace(string(boot)) + " " + namespace, err
}

// remember keeps that the kernel holds a generation, if the number of its ruleset is
// known. That nothing can be kept costs time only.
func (h Host) remember(kernel Kernel, generation int, ruleset uint32) {
	path := filepath.Join(h.Root, runDir, sightingFile)
	namespace, err := namespaceID()
	data, marshalErr := json.Marshal(sighting{generation, kernel.Variant, ruleset, namespace})
	if kept, err := os.ReadFile(path); err == nil && string(kept) == string(data) {
		return
	}
	if ruleset == 0 || err != nil || marshalErr != nil || atomicfile.WriteFile(path, data, 0o600) != nil {
		_ = os.Remove(path)
	}
}

// recalls tells whether the kernel still holds a generation that it was seen to hold,
// and the number of its ruleset.
func (h Host) recalls(kernel Kernel, generation int) (ruleset uint32, held bool) {
	data, err := os.ReadFile(filepath.Join(h.Root, runDir, sightingFile))
	var seen sighting
	if err != nil || json.Unmarshal(data, &seen) != nil {
		return 0, false
	}
	namespace, err := namespaceID()
	if err != nil || seen.Namespace != namespace || seen.Variant != kernel.Variant || seen.Variant != NFT || seen.Generation != generation {
		return 0, false
	}
	now, err := rulesetID()
	return now, err == nil && now == seen.Ruleset
}
