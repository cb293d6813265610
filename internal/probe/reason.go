package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
	"unicode"
)

// Unable says why this host could not ask: nothing is known of the backend.
type Unable struct{ Reason string }

// Error returns the reason.
func (u *Unable) Error() string { return u.Reason }

// What is wrong with an answer.
var (
	errOther  = errors.New("another answer")
	errNoHTTP = errors.New("no HTTP answer")
	errNoTLS  = errors.New("no TLS answer")
)

// heldUp is how much later than its time a check may end on a busy host.
const heldUp = time.Second

// judge turns the error of a check into words, and into an *Unable where this host is the cause. A
// process that was stopped for a while finds each deadline over, and does not know who answered
// in time.
func judge(err error, timeout, took time.Duration) error {
	var errno syscall.Errno
	switch {
	case err == nil:
		return nil
	case isOwn(err):
		return &Unable{wordsOf(err)}
	case !isTimeout(err) && errors.As(err, &errno):
		return errno
	case !isTimeout(err):
		return errors.New(wordsOf(err))
	case took > 2*timeout+heldUp:
		return &Unable{"this process was held up"}
	}
	return fmt.Errorf("no answer in %v", timeout)
}

// isTimeout tells whether the time was over, by our clock or by the kernel's.
func isTimeout(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, syscall.ETIMEDOUT)
}

// isOwn tells whether an error says something of this host only: a resource is used up, the
// source address is not its own, or the socket is forbidden. Where this host's own rules drop a
// datagram, its write is EPERM; that may be on purpose, and counts as a failure.
func isOwn(err error) bool {
	for _, own := range []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL, syscall.EADDRINUSE} {
		if errors.Is(err, own) {
			return true
		}
	}
	var call *os.SyscallError
	return errors.As(err, &call) && (call.Syscall == "socket" || call.Syscall == "bind" || call.Syscall == "setsockopt")
}

// wordsOf returns what an error says, without what the caller knows: whom it asked.
func wordsOf(err error) string {
	var errno syscall.Errno
	var certificate *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &errno):
		return errno.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed without an answer"
	case errors.As(err, &certificate):
		return printable(certificateWords(certificate.Err))
	case errors.As(err, &record):
		return errNoTLS.Error()
	}
	var operation *net.OpError
	if errors.As(err, &operation) { // of crypto/tls, too: "remote error", "local error"
		err = operation.Err
	}
	return printable(strings.TrimPrefix(err.Error(), "tls: "))
}

// certificateWords says what is wrong with a certificate.
func certificateWords(err error) string {
	var invalid x509.CertificateInvalidError
	if errors.As(err, &invalid) && invalid.Reason == x509.Expired {
		if time.Now().Before(invalid.Cert.NotBefore) {
			return "certificate is not yet valid"
		}
		return "certificate has expired"
	}
	words := strings.TrimPrefix(err.Error(), "x509: ")
	if _, because, found := strings.Cut(words, " because it doesn't contain "); found {
		return "certificate doesn't contain " + because
	}
	return words
}

// maxReason bounds a reason: names of certificates are as long as their owners like.
const maxReason = 200

// printable keeps out of logs and terminals what is no plain text.
func printable(words string) string {
	words = strings.Map(func(r rune) rune {
		if r > unicode.MaxASCII || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, words)
	if len(words) > maxReason {
		return words[:maxReason] + "…"
	}
	return words
}
