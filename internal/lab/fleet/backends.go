package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
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

// beBackends serves every kind at all addresses of a host, until its standard input ends.
func beBackends(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: fleet backends :PORT")
	}
	listener, err := net.Listen("tcp", args[0])
	if err != nil {
		return err
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(conn)
		}
	}()
	fmt.Println("ready")
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// serve answers one connection with lines that name the backend, until the client is gone.
func serve(conn net.Conn) {
	defer conn.Close()
	name, _, _ := net.SplitHostPort(conn.LocalAddr().String())
	input := bufio.NewReaderSize(conn, upBytes)
	kind, err := input.ReadString('\n')
	line := []byte(name + "\n")
	switch strings.TrimSpace(kind) {
	case kindNames[push]:
		err = say(conn, line, beat)
	case kindNames[down]:
		err = say(conn, append([]byte(strings.Repeat(".", downBytes-len(line))), line...), flow)
	case kindNames[up]:
		piece := make([]byte, upBytes)
		for err == nil {
			if _, err = conn.Write(line); err == nil {
				_, err = io.ReadFull(input, piece)
			}
		}
	default:
		for err == nil {
			if _, err = conn.Write(line); err == nil {
				_, err = input.ReadString('\n')
			}
		}
	}
}

// say writes the same again and again, until it can no more.
func say(conn net.Conn, piece []byte, every time.Duration) error {
	for {
		if _, err := conn.Write(piece); err != nil {
			return err
		}
		time.Sleep(every)
	}
}
