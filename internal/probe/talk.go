package probe

import (
	"net"
	"strings"
)

// talk sends what is to be sent, and reads no more of the answer than is compared. Over UDP any
// datagram is an answer, also an empty one.
func (t Target) talk(conn net.Conn) error {
	if t.Send != "" {
		if _, err := conn.Write([]byte(t.Send)); err != nil {
			return err
		}
	}
	if t.Kind == UDP {
		return t.receiveDatagram(conn)
	}
	return t.receive(conn)
}

// receiveDatagram reads one datagram. What of it does not fit is dropped by the kernel.
func (t Target) receiveDatagram(conn net.Conn) error {
	answer := make([]byte, max(len(t.Receive), 1))
	n, err := conn.Read(answer)
	if err == nil && !strings.HasPrefix(string(answer[:n]), t.Receive) {
		return errOther
	}
	return err
}

// receive reads a stream for as long as it may still be what it must begin with.
func (t Target) receive(conn net.Conn) error {
	answer := make([]byte, len(t.Receive))
	for read := 0; read < len(answer); {
		n, err := conn.Read(answer[read:])
		read += n
		switch {
		case !strings.HasPrefix(t.Receive, string(answer[:read])):
			return errOther
		case err != nil && read < len(answer):
			return err
		}
	}
	return nil
}
