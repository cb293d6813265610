package nftables

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"natspread/internal/program"
	"natspread/internal/test/netnstest"
)

// TestDumpAnswer reads the messages of a list, and others, without a panic.
func TestDumpAnswer(t *testing.T) {
	with := func(message []byte, flags uint16, number int32) []byte {
		binary.NativeEndian.PutUint16(message[6:], flags)
		binary.NativeEndian.PutUint32(message[16:], uint32(number))
		return message
	}
	chain := generationMessage(typeOf(unix.NFT_MSG_NEWCHAIN), append(attributeOf(1, 'n', 'a', 't', 0), attributeOf(3, 'A', 'B', 0)...)...)
	for what, c := range map[string]struct {
		message []byte
		done    bool
		want    error
	}{
		"a chain":         {chain, false, nil},
		"the end":         {generationMessage(unix.NLMSG_DONE), true, nil},
		"an end with EIO": {with(generationMessage(unix.NLMSG_DONE), 0, -int32(unix.EIO)), true, unix.EIO},
		"a changed list":  {with(bytes.Clone(chain), unix.NLM_F_MULTI|unix.NLM_F_DUMP_INTR, 0), false, errDumpChanged},
		"a changed end":   {with(generationMessage(unix.NLMSG_DONE), unix.NLM_F_DUMP_INTR, 0), false, errDumpChanged},
		"no rights":       {with(generationMessage(unix.NLMSG_ERROR), 0, -int32(unix.EPERM)), false, program.ErrNoRights},
		"something else":  {generationMessage(typeOf(unix.NFT_MSG_NEWTABLE)), false, errAnswer},
		"a header only":   {chain[:16], false, errAnswer},
		"an end, cut":     {generationMessage(unix.NLMSG_DONE)[:16], true, errAnswer},
		"an acknowledge":  {generationMessage(unix.NLMSG_ERROR), false, errAnswer},
	} {
		if done, err := dumpAnswer(c.message, unix.NFT_MSG_NEWCHAIN); done != c.done || !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v, %v; want %v, %v", what, done, err, c.done, c.want)
		}
	}
	if read := chainAnswer(chain); read.Table != "nat" || read.Name != "AB" {
		t.Errorf("%+v", read)
	}
	for end := range len(chain) {
		_ = chainAnswer(chain[:end])
	}
	two := slices.Concat(chain, generationMessage(unix.NLMSG_DONE))
	first, rest, err := cutMessage(two)
	if err != nil || !bytes.Equal(first, chain) || len(rest) != 20 {
		t.Errorf("%d and %d bytes, %v", len(first), len(rest), err)
	}
	for _, bad := range [][]byte{nil, two[:15], two[:len(chain)-1], make([]byte, 32)} {
		if _, _, err := cutMessage(bad); !errors.Is(err, errAnswer) {
			t.Errorf("%d bytes: %v", len(bad), err)
		}
	}
}

// TestIsMissing asks for a part of netfilter that no kernel has, as one without nftables is asked.
func TestIsMissing(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	question := request(unix.NFT_MSG_GETGEN, unix.AF_UNSPEC)
	binary.NativeEndian.PutUint16(question[4:], 127<<8)
	answer, err := ask(question)
	if err == nil {
		err = answerIs(answer, unix.NFT_MSG_NEWGEN)
	}
	if !IsMissing(err) {
		t.Errorf("%v", err)
	}
	for _, other := range []error{nil, unix.ENOENT, unix.EPERM, errAnswer} {
		if IsMissing(other) {
			t.Errorf("%v: nftables is missing", other)
		}
	}
}
