package tlstest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"natspread/internal/lab/netns"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
)

// What Debian 12 ships as the main files, without their comments and pages of errors.
const (
	debianNginx = `user www-data;
worker_processes auto;
pid /run/nginx.pid;
error_log /var/log/nginx/error.log;
events { worker_connections 768; }
http {
	sendfile on;
	tcp_nopush on;
	default_type application/octet-stream;
	ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3;
	ssl_prefer_server_ciphers on;
	access_log /var/log/nginx/access.log;
	gzip on;
	include /etc/nginx/conf.d/*.conf;
}
`
	debianHAProxy = `global
	log /dev/log	local0
	log /dev/log	local1 notice
	chroot /var/lib/haproxy
	stats socket /run/haproxy/admin.sock mode 660 level admin
	stats timeout 30s
	user haproxy
	group haproxy
	daemon
	ca-base /etc/ssl/certs
	crt-base /etc/ssl/private

defaults
	log	global
	mode	http
	option	httplog
	option	dontlognull
	timeout connect 5000
	timeout client  50000
	timeout server  50000

`
)

// certificateFile is where both programs read certificate and key.
const certificateFile = "/etc/ssl/www/www.pem"

// site is the name that the certificate has.
const site = "www.example.net"

// node is a host that ends TLS. Its program sees the node's own files at the places that the
// page names.
type node struct {
	t    testing.TB // of the whole play: a part of it may start a program anew
	host *netnstest.Host
	dir  string // what it has in place of the machine's files
	mu   sync.Mutex
	said strings.Builder // what HAProxy sent to /dev/log
	stop func()
}

// hidden are the machine's directories that a node has its own in place of. /run is last,
// since that is where these are.
const hidden = "/etc/nginx /etc/haproxy /etc/ssl /var/log/nginx /var/lib/haproxy /run"

// newNode gives a node the page's files and a certificate.
func newNode(t testing.TB, name string, host *netnstest.Host, texts map[string]string, certificate []byte) *node {
	t.Helper()
	n := &node{t: t, host: host, dir: filepath.Join("/run/nodes", name), stop: func() {}}
	for _, dir := range strings.Fields(hidden + " /etc/nginx/conf.d /etc/ssl/www /run/haproxy /var/lib/haproxy/dev") {
		hosttest.Must(t, os.MkdirAll(n.dir+dir, 0o755))
	}
	for path, content := range map[string]string{
		"/etc/nginx/nginx.conf": debianNginx,
		nginxText:               texts[nginxText],
		haproxyText:             debianHAProxy + texts[haproxyText],
		certificateFile:         string(certificate),
	} {
		hosttest.Must(t, os.WriteFile(n.dir+path, []byte(content), 0o600))
	}
	n.listenToLog(t)
	return n
}

// listenToLog is the /dev/log of HAProxy, which it opens below its chroot.
func (n *node) listenToLog(t testing.TB) {
	t.Helper()
	path := n.dir + "/var/lib/haproxy/dev/log"
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	hosttest.Must(t, err)
	hosttest.Must(t, os.Chmod(path, 0o666))
	t.Cleanup(func() { conn.Close() })
	go func() {
		line := make([]byte, 64<<10)
		for {
			length, err := conn.Read(line)
			if err != nil {
				return
			}
			n.mu.Lock()
			n.said.Write(append(line[:length:length], '\n'))
			n.mu.Unlock()
		}
	}()
}

// log returns the lines of both programs that tell of a request of a path.
func (n *node) log(t testing.TB, path string) []string {
	t.Helper()
	access, err := os.ReadFile(n.dir + "/var/log/nginx/access.log")
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	var found []string
	for line := range strings.Lines(string(access) + n.said.String()) {
		if strings.Contains(line, " "+path+" HTTP/") {
			found = append(found, line)
		}
	}
	return found
}

// start starts a program with the node's files, until stop.
func (n *node) start(program ...string) {
	n.t.Helper()
	cmd := netns.Bound(n.dir, hidden, program...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	said := new(strings.Builder)
	cmd.Stdout, cmd.Stderr = said, said
	var err error
	n.host.Do(n.t, func() { err = cmd.Start() })
	hosttest.Must(n.t, err)
	ended := make(chan struct{})
	go func() { defer close(ended); _ = cmd.Wait() }() // a signal ends it
	n.stop = sync.OnceFunc(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		<-ended
		if n.t.Failed() {
			n.t.Logf("%s said %s", n.dir, said)
		}
	})
	n.t.Cleanup(n.stop)
}

// nginx starts nginx on the node, as its unit does.
func (n *node) nginx() {
	n.t.Helper()
	n.start("nginx", "-g", "daemon off;")
}

// haproxy starts HAProxy on the node, as its unit does.
func (n *node) haproxy() {
	n.t.Helper()
	n.start("haproxy", "-db", "-f", haproxyText)
}

// authority signs certificates.
type authority struct {
	key      *ecdsa.PrivateKey
	template *x509.Certificate
	file     []byte // its own certificate
	pool     *x509.CertPool
}

// newAuthority returns one that nobody knew before.
func newAuthority(t testing.TB) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	hosttest.Must(t, err)
	a := authority{key: key, pool: x509.NewCertPool(), template: &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-30 * 24 * time.Hour), NotAfter: time.Now().Add(30 * 24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}}
	a.file = a.sign(t, a.template, key)
	a.pool.AppendCertsFromPEM(a.file)
	return a
}

// sign returns a certificate as a file.
func (a authority) sign(t testing.TB, template *x509.Certificate, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, a.template, key.Public(), a.key)
	hosttest.Must(t, err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// certify returns a certificate for a name, from one time to another, with its key: the one
// file of the page.
func (a authority) certify(t testing.TB, name string, from, to time.Time) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	hosttest.Must(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	hosttest.Must(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: from, NotAfter: to}
	return append(a.sign(t, template, key), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
}
