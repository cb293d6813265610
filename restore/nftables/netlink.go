package nftables

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"golang.org/x/sys/unix"

	"natspread/internal/program"
)

// listTries bounds how often something is listed anew that somebody changed meanwhile.
const listTries = 100

// list returns all that a question leads to, each message read, in the kernel's order.
func list[T any](question []byte, kind uint16, read func(message []byte) T) (all []T, err error) {
	binary.NativeEndian.PutUint16(question[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	for range listTries {
		all = nil
		err = dump(question, kind, func(message []byte) { all = append(all, read(message)) })
		if !errors.Is(err, errDumpChanged) {
			break
		}
	}
	return all, err
}

// dump hands each message of a list to add.
func dump(question []byte, kind uint16, add func(message []byte)) error {
	socket, err := send(question)
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	for answer := make([]byte, 1<<16); ; { // the kernel sends no more than 32 KiB at once
		n, err := receive(socket, answer)
		if err != nil {
			return err
		}
		for rest := answer[:n]; len(rest) > 0; {
			var message []byte
			if message, rest, err = cutMessage(rest); err != nil {
				return err
			}
			done, err := dumpAnswer(message, kind)
			if err != nil || done {
				return err
			}
			add(message)
		}
	}
}

// errDumpChanged says that what is listed changed meanwhile, so that something may be missing.
var errDumpChanged = errors.New("it changes all the time")

// dumpAnswer tells whether a message ends a list; one that is neither that nor of the kind that
// is listed is an error.
func dumpAnswer(message []byte, kind uint16) (done bool, err error) {
	if binary.NativeEndian.Uint16(message[6:])&unix.NLM_F_DUMP_INTR != 0 {
		return false, errDumpChanged
	}
	if binary.NativeEndian.Uint16(message[4:]) == unix.NLMSG_DONE {
		return true, answerNumber(message)
	}
	return false, answerIs(message, kind)
}

// answerTime bounds how long the kernel may take to answer.
var answerTime = unix.Timeval{Sec: 5}

// ask sends a message to nftables and returns the first one of its answer.
func ask(question []byte) ([]byte, error) {
	socket, err := send(question)
	if err != nil {
		return nil, err
	}
	defer unix.Close(socket)
	answer := make([]byte, 4096)
	n, err := receive(socket, answer)
	return answer[:max(n, 0)], err
}

// receive reads what the kernel answers. A signal interrupts it, as Go's runtime sends them to
// its own threads: a call on a socket with a timeout is not restarted (signal(7)).
func receive(socket int, answer []byte) (n int, err error) {
	for {
		if n, _, err = unix.Recvfrom(socket, answer, 0); !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}

// send sends a message to nftables and returns the socket that gets the answer.
func send(question []byte) (socket int, err error) {
	socket, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return -1, err
	}
	if err = unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &answerTime); err == nil {
		err = unix.Sendto(socket, question, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
	}
	if err != nil {
		unix.Close(socket)
		return -1, err
	}
	return socket, nil
}

// The layout of netlink messages, from linux/netlink.h and linux/netfilter/nfnetlink.h.
const (
	nfgenmsgSize = 4
	genID        = 1 // NFTA_GEN_ID, big-endian
)

// typeOf returns the type of a message of nftables.
func typeOf(message uint16) uint16 { return unix.NFNL_SUBSYS_NFTABLES<<8 | message }

// attribute is a text in a message.
type attribute struct {
	kind uint16
	text string
}

// request returns a message that asks nftables for something of a family.
func request(message uint16, family byte, attributes ...attribute) []byte {
	b := make([]byte, unix.SizeofNlMsghdr, 128)
	b = append(b, family, 0, 0, 0) // nfgenmsg: the version and the number of a batch are 0
	for _, a := range attributes {
		b = binary.NativeEndian.AppendUint16(b, uint16(unix.SizeofNlAttr+len(a.text)+1))
		b = binary.NativeEndian.AppendUint16(b, a.kind)
		b = append(append(b, a.text...), 0)
		b = append(b, make([]byte, -len(b)&3)...)
	}
	binary.NativeEndian.PutUint32(b[0:], uint32(len(b)))
	binary.NativeEndian.PutUint16(b[4:], typeOf(message))
	binary.NativeEndian.PutUint16(b[6:], unix.NLM_F_REQUEST)
	return b
}

// cutMessage splits the first message off an answer of several.
func cutMessage(answer []byte) (message, rest []byte, err error) {
	if len(answer) < unix.SizeofNlMsghdr {
		return nil, nil, errAnswer
	}
	size := int(binary.NativeEndian.Uint32(answer))
	if size < unix.SizeofNlMsghdr || size > len(answer) {
		return nil, nil, errAnswer
	}
	return answer[:size], answer[min(len(answer), (size+3)&^3):], nil
}

// answerIs is an error unless an answer is a message of that type: the kernel's own where
// it refuses.
func answerIs(answer []byte, message uint16) error {
	if len(answer) < unix.SizeofNlMsghdr+nfgenmsgSize {
		return errAnswer
	}
	switch binary.NativeEndian.Uint16(answer[4:]) {
	case typeOf(message):
		return nil
	case unix.NLMSG_ERROR:
		if err := answerNumber(answer); err != nil {
			return err
		}
	}
	return errAnswer
}

// answerNumber returns the kernel's error in an answer, whose number, negative, stands where
// else nfgenmsg does; nil for 0.
func answerNumber(answer []byte) error {
	if len(answer) < unix.SizeofNlMsghdr+nfgenmsgSize {
		return errAnswer
	}
	number := int32(binary.NativeEndian.Uint32(answer[unix.SizeofNlMsghdr:]))
	switch err := unix.Errno(-number); {
	case number >= 0:
		return nil
	case err == unix.EPERM:
		return fmt.Errorf("%w: %w", program.ErrNoRights, err)
	default:
		return err
	}
}

// IsMissing tells whether an error is the answer of a kernel that has no nftables.
func IsMissing(err error) bool {
	return errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EPROTONOSUPPORT)
}

// errAnswer says that the kernel answered something else.
var errAnswer = errors.New("unknown answer of nftables")

// attributes goes through the attributes of a message: the kind and the value of each. It
// ends at one that is cut.
func attributes(message []byte) iter.Seq2[uint16, []byte] {
	return values(message[min(len(message), unix.SizeofNlMsghdr+nfgenmsgSize):])
}

// values goes through attributes that stand one behind the other.
func values(rest []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(rest) >= unix.SizeofNlAttr {
			size := int(binary.NativeEndian.Uint16(rest))
			if size < unix.SizeofNlAttr || size > len(rest) || !yield(binary.NativeEndian.Uint16(rest[2:]), rest[unix.SizeofNlAttr:size]) {
				return
			}
			rest = rest[min(len(rest), (size+3)&^3):]
		}
	}
}
