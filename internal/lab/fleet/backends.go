package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// The kinds of connections.
const (
	idle = iota // the client speaks again when all is over
	echo        // the client speaks, the server answers
	push        // the server speaks, the client never
	down        // much from the server
	up          // much from the client
	kinds
)

// kindNames are their names on the line that begins each connection.
var kindNames = [kinds]string{"idle", "echo", "push", "down", "up"}

// How much is sent in one piece, and how often.
const (
	beat      = 100 * time.Millisecond // of what is said
	flow      = 20 * time.Millisecond  // of what is much
	downBytes = 16 << 10
	upBytes   = 8 << 10
)

// beBackends serves every kind at some addresses of a host, until its standard input ends. At each
// line there it says how many idle connections it has.
func beBackends(args []string) (err error) {
	if len(args) < 2 {
		return errors.New("usage: fleet backends NETWORK ADDRESS [ADDRESS]")
	}
	var idling atomic.Int64
	for _, address := range args[1:] {
		if args[0] == "udp" {
			err = errors.Join(err, listenPackets(address))
		} else {
			err = errors.Join(err, listen(address, &idling))
		}
	}
	if err != nil {
		return err
	}
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		fmt.Println(idling.Load())
	}
	return lines.Err()
}

// listen serves TCP at one address, and counts idle connections.
func listen(address string, idling *atomic.Int64) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(conn, idling)
		}
	}()
	return nil
}

// listenPackets serves UDP at one address: each packet is answered, and who asks for push is
// told for ever.
func listenPackets(address string) error {
	conn, err := net.ListenPacket("udp", address)
	if err != nil {
		return err
	}
	name, _, err := net.SplitHostPort(address)
	line := []byte(name + "\n")
	go func() {
		packet := make([]byte, 64)
		for {
			n, from, err := conn.ReadFrom(packet)
			if err != nil {
				return
			}
			if string(packet[:n]) == kindNames[push]+"\n" {
				go func() { _ = say(packetsTo{conn, from}, line, beat) }() // until the process ends
			} else {
				_, _ = conn.WriteTo(line, from) // the client counts
			}
		}
	}()
	return err
}

// packetsTo writes packets to one client.
type packetsTo struct {
	conn net.PacketConn
	to   net.Addr
}

// Write implements io.Writer.
func (p packetsTo) Write(packet []byte) (int, error) { return p.conn.WriteTo(packet, p.to) }

// serve answers one connection with lines that name the backend, until the client is gone.
func serve(conn net.Conn, idling *atomic.Int64) {
	defer conn.Close()
	name, _, _ := net.SplitHostPort(conn.LocalAddr().String())
	input := bufio.NewReaderSize(conn, upBytes)
	kind, err := input.ReadString('\n')
	line := []byte(name + "\n")
	switch strings.TrimSpace(kind) {
	case kindNames[push]:
		_ = say(conn, line, beat) // the client counts
	case kindNames[down]:
		_ = say(conn, append([]byte(strings.Repeat(".", downBytes-len(line))), line...), flow)
	case kindNames[up]:
		piece := make([]byte, upBytes)
		for err == nil {
			if _, err = conn.Write(line); err == nil {
				_, err = io.ReadFull(input, piece)
			}
		}
	case kindNames[idle]:
		idling.Add(1)
		defer idling.Add(-1)
		answer(conn, input, line)
	default:
		answer(conn, input, line)
	}
}

// answer answers each line by another.
func answer(conn io.Writer, input *bufio.Reader, line []byte) {
	for err := error(nil); err == nil; {
		if _, err = conn.Write(line); err == nil {
			_, err = input.ReadString('\n')
		}
	}
}

// say writes the same again and again, until it can no more.
func say(conn io.Writer, piece []byte, every time.Duration) error {
	for {
		if _, err := conn.Write(piece); err != nil {
			return err
		}
		time.Sleep(every)
	}
}
