package probe

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"strconv"
	"strings"
)

// maxStatusLine bounds what is read of an answer.
const maxStatusLine = 1 << 10

// get asks for the path, and judges the status line. Nothing behind that is read.
func (t Target) get(conn net.Conn) error {
	const request = "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: natspread\r\nConnection: close\r\n\r\n"
	if _, err := fmt.Fprintf(conn, request, t.Path, t.Host); err != nil {
		return err
	}
	line, err := readStatusLine(conn)
	if err != nil {
		return err
	}
	code, ok := statusOf(line)
	switch {
	case !ok:
		return errNoHTTP
	case !t.Good(code):
		return fmt.Errorf("status %d", code)
	}
	return nil
}

// getTLS is get through TLS. Only the TCP socket is closed, by a reset: Close of a tls.Conn would
// send close_notify first.
func (t Target) getTLS(conn net.Conn) error {
	secure := tls.Client(conn, &tls.Config{
		ServerName:         t.TLSName,
		InsecureSkipVerify: t.Insecure,
		RootCAs:            t.Roots,
		NextProtos:         []string{"http/1.1"},
	})
	if err := secure.Handshake(); err != nil {
		return err
	}
	return t.get(secure)
}

// readStatusLine reads the first line, and returns it without its end. A line that does not begin
// like a status line is not read to its end.
func readStatusLine(conn net.Conn) (string, error) {
	const begin = "HTTP/1."
	buffer := make([]byte, maxStatusLine)
	for read := 0; read < len(buffer); {
		n, err := conn.Read(buffer[read:])
		read += n
		got := buffer[:read]
		line, _, whole := bytes.Cut(got, []byte("\n"))
		switch {
		case !bytes.HasPrefix(got, []byte(begin)[:min(len(got), len(begin))]):
			return "", errNoHTTP
		case whole:
			return strings.TrimSuffix(string(line), "\r"), nil
		case err != nil:
			return "", err
		}
	}
	return "", errNoHTTP
}

// statusOf reads the code of a status line (RFC 9112): HTTP/1.1 200 OK.
func statusOf(line string) (code int, ok bool) {
	version, rest, _ := strings.Cut(line, " ")
	digits, _, _ := strings.Cut(rest, " ")
	if len(version) != len("HTTP/1.1") || !strings.Contains("0123456789", version[len("HTTP/1."):]) || len(digits) != 3 {
		return 0, false
	}
	number, err := strconv.ParseUint(digits, 10, 16)
	return int(number), err == nil && number >= 100
}
