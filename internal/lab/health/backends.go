package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
)

// beBackends serves HTTP at all addresses of a host, and is told on standard input which of
// them answer 500: "500 ADDRESS" and "200 ADDRESS".
func beBackends(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: health backends :PORT")
	}
	listener, err := net.Listen("tcp", args[0])
	if err != nil {
		return err
	}
	statuses := new(sync.Map)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go answer(conn, statuses)
		}
	}()
	fmt.Println("ready")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		status, address, _ := strings.Cut(lines.Text(), " ")
		statuses.Store(address, status)
	}
	return nil
}

// answer says on a connection which backend it is. The client closes first.
func answer(conn net.Conn, statuses *sync.Map) {
	defer conn.Close()
	requests := bufio.NewScanner(conn)
	for requests.Scan() && requests.Text() != "" { // up to the empty line after its headers
	}
	if requests.Err() != nil {
		return
	}
	address := conn.LocalAddr().(*net.TCPAddr).AddrPort().Addr().Unmap().String()
	status, found := statuses.Load(address)
	if !found {
		status = "200"
	}
	_, err := fmt.Fprintf(conn, "HTTP/1.1 %s As-Told\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", status, len(address), address)
	if err == nil {
		_, _ = io.Copy(io.Discard, conn) // until the client has closed
	}
}
