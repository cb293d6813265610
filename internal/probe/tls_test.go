package probe

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"natspread/internal/test/netnstest"
)

// authority signs the certificates of the tests' servers.
type authority struct {
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
}

// newAuthority makes one, with a certificate that it signs itself.
func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"},
		NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(48 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	own := authority{key: key, certificate: template}
	signed := own.sign(t, template, key)
	if own.certificate, err = x509.ParseCertificate(signed); err != nil {
		t.Fatal(err)
	}
	return own
}

// sign signs a certificate for a key.
func (a authority) sign(t *testing.T, template *x509.Certificate, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	signed, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// server returns a server of HTTPS with a certificate for a name and an address, where they
// are not "", good for so long from now on. It answers 200, and notes the name that it was asked for.
func (a authority) server(t *testing.T, name, address string, from, to time.Duration, asked *names) func(*net.TCPConn) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(from), NotAfter: time.Now().Add(to)}
	if name != "" {
		template.DNSNames = []string{name}
	}
	if address != "" {
		template.IPAddresses = []net.IP{net.ParseIP(address)}
	}
	config := &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{a.sign(t, template, key)}, PrivateKey: key}},
		NextProtos:   []string{"h2", "http/1.1"},
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			asked.add(hello.ServerName, hello.SupportedProtos)
			return nil, nil
		},
	}
	return func(conn *net.TCPConn) {
		secure := tls.Server(conn, config)
		if secure.Handshake() != nil {
			return
		}
		hear(secure)
		_, _ = secure.Write([]byte("HTTP/1.1 200 OK\r\n\r\n"))
		hear(secure)
	}
}

// names are the server names and protocols that clients asked for.
type names struct {
	mutex sync.Mutex
	all   []string
}

// add notes one.
func (n *names) add(name string, protocols []string) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	for _, protocol := range protocols {
		name += " " + protocol
	}
	n.all = append(n.all, name)
}

// TestCertificates holds each certificate to the name that was asked for, or to the address where none was;
// to its time, and to who signed it. Whoever asks for no safety gets none.
func TestCertificates(t *testing.T) {
	if !netnstest.Isolate(t) {
		return
	}
	const day = 24 * time.Hour
	own, other := newAuthority(t), newAuthority(t)
	roots := x509.NewCertPool()
	roots.AddCert(own.certificate)
	for name, test := range map[string]struct {
		signer        authority
		name, address string // in the certificate
		from, to      time.Duration
		tlsName       string // asked for
		want          string
	}{
		"name":          {own, "www.example.net", "", -day, day, "www.example.net", ""},
		"address":       {own, "", "127.0.0.1", -day, day, "127.0.0.1", ""},
		"wrong name":    {own, "www.example.net", "", -day, day, "www.example.org", "certificate is valid for www.example.net, not www.example.org"},
		"wrong address": {own, "", "127.0.0.2", -day, day, "127.0.0.1", "certificate is valid for 127.0.0.2, not 127.0.0.1"},
		"no address":    {own, "www.example.net", "", -day, day, "127.0.0.1", "certificate doesn't contain any IP SANs"},
		"expired":       {own, "www.example.net", "", -2 * day, -day, "www.example.net", "certificate has expired"},
		"too early":     {own, "www.example.net", "", day, 2 * day, "www.example.net", "certificate is not yet valid"},
		"signed by x":   {other, "www.example.net", "", -day, day, "www.example.net", `certificate signed by unknown authority (possibly because of "x509: ECDSA verification failure" while trying to verify candidate authority certificate "authority")`},
		"odd name":      {own, "x\n<1>y", "", -day, day, "www.example.org", "certificate is valid for x?<1>y, not www.example.org"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := &names{}
			target := Target{
				Kind: HTTPS, Address: serve(t, "127.0.0.1", test.signer.server(t, test.name, test.address, test.from, test.to, asked)),
				Timeout: 10 * time.Second, Path: "/", Host: "www.example.net", TLSName: test.tlsName, Roots: roots, Good: good,
			}
			want(t, target.Do(t.Context()), test.want)
			target.Insecure = true
			want(t, target.Do(t.Context()), "")
			sni := test.tlsName + " http/1.1"
			if net.ParseIP(test.tlsName) != nil {
				sni = " http/1.1"
			}
			if len(asked.all) != 2 || asked.all[0] != sni || asked.all[1] != sni {
				t.Errorf("the server was asked for %q, want %q twice", asked.all, sni)
			}
		})
	}
}
