package tlstest

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"natspread/internal/paths"
	"natspread/internal/rules"
	"natspread/internal/test/await"
	"natspread/internal/test/hosttest"
	"natspread/internal/test/netnstest"
)

// patience bounds each request: a lost SYN is sent again after 1 s and 3 s.
const patience = 10 * time.Second

// clientAddress is where the client asks from.
const clientAddress = "198.51.100.7"

// TestTLS plays the page, with the real programs, in namespaces.
func TestTLS(t *testing.T) {
	netnstest.Need(t, "nginx", "nginx")
	netnstest.Need(t, "haproxy", "haproxy")
	program := filepath.Join(netnstest.Build(t, "natspread/cmd/natspread"), "natspread")
	for _, variant := range netnstest.VariantsFor(t, t.Name()) {
		t.Run(variant, func(t *testing.T) {
			if netnstest.IsolateAsRoot(t) {
				newStage(t, program, rules.Variant(variant)).play(t)
			}
		})
	}
}

// stage is a balancer before three nodes, each with an app.
type stage struct {
	program string
	variant rules.Variant
	root    string
	texts   map[string]string
	authority
	certificate []byte // of the site
	trusted     string // the file of who trusts it
	network     *netnstest.Network
	client      *netnstest.Host
	nodes       []*node
	apps        []*http.Server
}

// newStage builds the network and starts what the page says on the nodes.
func newStage(t *testing.T, program string, variant rules.Variant) *stage {
	t.Helper()
	network := netnstest.NewNetwork(t, netnstest.Layout{Separate: true, Gateway: true})
	s := &stage{
		program: program, variant: variant, root: hosttest.Root(t), texts: page(t), network: network,
		client: network.Client.At(netip.MustParseAddr(clientAddress)),
	}
	network.Client.Command(t, "", "ip", "addr", "add", clientAddress+"/32", "dev", "eth0")
	network.Balancer.Command(t, "", "ip", "route", "add", clientAddress+"/32", "dev", netnstest.Front)
	s.authority, s.trusted = newAuthority(t), filepath.Join(t.TempDir(), "trusted.pem")
	s.certificate = s.certify(t, site, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	hosttest.Must(t, os.WriteFile(s.trusted, s.authority.file, 0o644))
	for i, backend := range network.Backends {
		name := fmt.Sprint("node", i+1)
		s.nodes = append(s.nodes, newNode(t, name, backend.Host, s.texts, s.certificate))
		s.apps = append(s.apps, serve(t, backend.Host, backend.Addr(4).String()+":8080", func(request *http.Request) string {
			return name + " saw " + request.Header.Get("X-Forwarded-For") + " by " + request.Header.Get("X-Forwarded-Proto") + " for " + request.Host
		}))
	}
	s.nodes = append(s.nodes, newNode(t, "balancer", network.Balancer, s.texts, s.certificate))
	s.nodes[0].nginx()
	s.nodes[1].nginx()
	s.nodes[2].haproxy()
	for i, backend := range network.Backends {
		s.awaitPort(t, i, backend.Addr(4).String())
	}
	return s
}

// serve answers requests on a host.
func serve(t *testing.T, host *netnstest.Host, address string, answer func(*http.Request) string) *http.Server {
	t.Helper()
	var listener net.Listener
	var err error
	host.Do(t, func() { listener, err = net.Listen("tcp4", address) })
	hosttest.Must(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		_, _ = io.WriteString(w, answer(request))
	})}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Close() })
	return server
}

// awaitPort waits until a node serves.
func (s *stage) awaitPort(t *testing.T, i int, address string) {
	t.Helper()
	s.nodes[i].host.Do(t, func() {
		await.True(t, s.nodes[i].dir+" serves", func() bool {
			conn, err := net.Dial("tcp4", address+":443")
			if err == nil {
				conn.Close()
			}
			return err == nil
		})
	})
}

// apply applies a text.
func (s *stage) apply(t *testing.T, text string) {
	t.Helper()
	file := filepath.Join(s.root, paths.Config)
	hosttest.Must(t, os.MkdirAll(filepath.Dir(file), 0o755))
	hosttest.Must(t, os.WriteFile(file, []byte(text), 0o644))
	s.natspread(t, "apply")
}

// natspread runs a verb on the balancer.
func (s *stage) natspread(t *testing.T, verb string) {
	t.Helper()
	s.network.Balancer.Command(t, "", s.program, "--root", s.root, "--live", "--variant", string(s.variant), verb)
}

// get asks the site from the client, by a connection of its own, and returns the status and
// what was answered.
func (s *stage) get(t *testing.T, scheme, path string) (*http.Response, string, error) {
	t.Helper()
	address := netnstest.VIP(4).String() + map[string]string{"http": ":80", "https": ":443"}[scheme]
	var conn net.Conn
	var err error
	s.client.Do(t, func() {
		dialer := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(clientAddress)}}
		conn, err = dialer.Dial("tcp4", address)
	})
	if err != nil {
		return nil, "", err
	}
	defer conn.Close()
	hosttest.Must(t, conn.SetDeadline(time.Now().Add(patience)))
	if scheme == "https" {
		conn = tls.Client(conn, &tls.Config{RootCAs: s.pool, ServerName: site})
	}
	request, err := http.NewRequest(http.MethodGet, scheme+"://"+site+path, nil)
	hosttest.Must(t, err)
	if err := request.Write(conn); err != nil {
		return nil, "", err
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), request)
	if err != nil {
		return nil, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response, string(body), err
}

// getMany asks for a path so many times, and returns how many failed and one of the reasons.
func (s *stage) getMany(t *testing.T, scheme, path string, n, status int, want string) (failed int, why error) {
	t.Helper()
	for range n {
		response, body, err := s.get(t, scheme, path)
		if err == nil && (response.StatusCode != status || !strings.Contains(body+response.Header.Get("Location"), want)) {
			err = fmt.Errorf("%s: %q", response.Status, body)
		}
		if err != nil {
			failed, why = failed+1, err
		}
	}
	return failed, why
}

// wantAll asks so many times, of which none may fail.
func (s *stage) wantAll(t *testing.T, scheme, path string, n, status int, want string) {
	t.Helper()
	if failed, err := s.getMany(t, scheme, path, n, status, want); failed > 0 {
		t.Errorf("%d of %d requests of %s failed, one with: %v", failed, n, path, err)
	}
}

// wantLogged asks that nodes have logged so many requests of a path among them, each at least
// one, all from an address.
func wantLogged(t *testing.T, nodes []*node, path string, n int, address string) {
	t.Helper()
	count := func() (all int) {
		for _, node := range nodes {
			all += len(node.log(t, path))
		}
		return all
	}
	await.True(t, fmt.Sprintf("%d requests of %s in the logs", n, path), func() bool { return count() >= n })
	if all := count(); all != n {
		t.Errorf("%d requests of %s are in the logs, not %d", all, path, n)
	}
	for _, node := range nodes {
		lines := node.log(t, path)
		if len(lines) == 0 {
			t.Errorf("%s got no request of %s", node.dir, path)
		}
		for _, line := range lines {
			if !strings.Contains(" "+strings.ReplaceAll(line, ":", " "), " "+address+" ") {
				t.Errorf("%s logged another client than %s: %s", node.dir, address, line)
			}
		}
	}
}

// play plays what the page says, one part after the other.
func (s *stage) play(t *testing.T) {
	s.apply(t, s.texts[balancerText])
	for _, part := range []struct {
		name string
		play func(t *testing.T)
	}{
		{"the client's address", s.showsClient},
		{"ACME", s.answersACME},
		{"port 80", s.redirects},
		{"an app dies", s.losesApp},
		{"a node dies", s.losesNode},
		{"a certificate is bad", s.losesCertificate},
		{"masquerade", s.masquerades},
		{"on the balancer", s.endsOnBalancer},
		{"the balancer as a backup", s.backsUp},
		{"the PROXY protocol", s.refusesProxied},
	} {
		t.Run(part.name, part.play)
	}
}

// showsClient spreads over the three, each of which sees the client's own address, and hands
// it to the app.
func (s *stage) showsClient(t *testing.T) {
	const n = 60
	s.wantAll(t, "https", "/who", n, http.StatusOK, " saw "+clientAddress+" by https for "+site)
	wantLogged(t, s.nodes[:3], "/who", n, clientAddress)
}

// answersACME asks for a challenge's answer, which only the first node has.
func (s *stage) answersACME(t *testing.T) {
	const n, path = 60, "/.well-known/acme-challenge/token"
	serve(t, s.nodes[0].host, s.network.Backends[0].Addr(4).String()+":8402", func(request *http.Request) string {
		return "challenge " + request.URL.Path
	})
	s.wantAll(t, "http", path, n, http.StatusOK, "challenge "+path)
	wantLogged(t, s.nodes[:3], path, n, clientAddress)
}

// redirects leads everybody else from port 80 to TLS.
func (s *stage) redirects(t *testing.T) {
	const n = 60
	s.wantAll(t, "http", "/there?a=b", n, http.StatusMovedPermanently, "https://"+site+"/there?a=b")
	wantLogged(t, s.nodes[:3], "/there?a=b", n, clientAddress)
}

// losesApp ends an app, which the nodes find out themselves.
func (s *stage) losesApp(t *testing.T) {
	hosttest.Must(t, s.apps[1].Close())
	s.wantAll(t, "https", "/app", 60, http.StatusOK, " saw "+clientAddress)
}

// watch starts natspread health on the balancer, which trusts the site's certificate; the
// function ends it and returns what it said.
func (s *stage) watch(t *testing.T) (stop func() string) {
	t.Helper()
	said := new(strings.Builder)
	cmd := exec.Command(s.program, "--root", s.root, "--live", "--variant", string(s.variant), "health")
	cmd.Env = append(os.Environ(), "SSL_CERT_FILE="+s.trusted)
	cmd.Stdout, cmd.Stderr = said, said
	var err error
	s.network.Balancer.Do(t, func() { err = cmd.Start() })
	hosttest.Must(t, err)
	stop = sync.OnceValue(func() string {
		hosttest.Must(t, cmd.Process.Signal(syscall.SIGTERM))
		if err := cmd.Wait(); err != nil {
			t.Errorf("natspread health: %v", err)
		}
		return said.String()
	})
	t.Cleanup(func() { stop() })
	return stop
}

// awaitGood waits until so many requests in a row are good.
func (s *stage) awaitGood(t *testing.T, path string, n int) {
	t.Helper()
	await.True(t, fmt.Sprintf("%d good requests of %s", n, path), func() bool {
		failed, _ := s.getMany(t, "https", path, n, http.StatusOK, "")
		return failed == 0
	})
}

// losesNode ends a node, which costs requests until natspread health takes it out; then it comes
// back.
func (s *stage) losesNode(t *testing.T) {
	s.nodes[2].stop()
	if failed, _ := s.getMany(t, "https", "/lost", 60, http.StatusOK, ""); failed == 0 {
		t.Error("no request met the dead node")
	}
	stop := s.watch(t)
	s.awaitGood(t, "/out", 60)
	s.wantAll(t, "https", "/without", 60, http.StatusOK, " saw "+clientAddress)
	s.nodes[2].haproxy()
	await.True(t, "the node gets requests again", func() bool {
		s.wantAll(t, "https", "/back", 10, http.StatusOK, " saw "+clientAddress)
		return len(s.nodes[2].log(t, "/back")) > 0
	})
	if said := stop(); !strings.Contains(said, "10.0.0.3:443 is down: connection refused") {
		t.Errorf("natspread health said:\n%s", said)
	}
}

// losesCertificate gives two nodes certificates that are not good: their checks fail, so they
// get no connections.
func (s *stage) losesCertificate(t *testing.T) {
	const day = 24 * time.Hour
	now := time.Now()
	s.certified(t, 0, s.certify(t, site, now.Add(-2*day), now.Add(-day)))
	s.certified(t, 1, s.certify(t, "www.example.org", now.Add(-day), now.Add(day)))
	stop := s.watch(t)
	s.awaitGood(t, "/certified", 60)
	said := stop()
	for _, line := range []string{
		"10.0.0.1:443 is down: certificate has expired",
		"10.0.0.2:443 is down: certificate is valid for www.example.org, not " + site,
	} {
		if !strings.Contains(said, line) {
			t.Errorf("natspread health does not say %q:\n%s", line, said)
		}
	}
	s.certified(t, 0, s.certificate)
	s.certified(t, 1, s.certificate)
	s.natspread(t, "restore") // all are in again: nobody watches
	s.wantAll(t, "https", "/restored", 60, http.StatusOK, " saw "+clientAddress)
	wantLogged(t, s.nodes[:3], "/restored", 60, clientAddress)
}

// certified gives a node that runs nginx another certificate.
func (s *stage) certified(t *testing.T, i int, certificate []byte) {
	t.Helper()
	s.nodes[i].stop()
	hosttest.Must(t, os.WriteFile(s.nodes[i].dir+certificateFile, certificate, 0o600))
	s.nodes[i].nginx()
	s.awaitPort(t, i, s.network.Backends[i].Addr(4).String())
}

// masquerades shows what snat = "masquerade" takes from the nodes.
func (s *stage) masquerades(t *testing.T) {
	const n = 60
	s.apply(t, strings.ReplaceAll(s.texts[balancerText], `"none"`, `"masquerade"`))
	s.wantAll(t, "https", "/masked", n, http.StatusOK, " saw "+netnstest.Gateway(4).String())
	wantLogged(t, s.nodes[:3], "/masked", n, netnstest.Gateway(4).String())
}

// endsOnBalancer ends TLS on the balancer itself, which sees the client's address whatever
// snat is.
func (s *stage) endsOnBalancer(t *testing.T) {
	balancer := s.nodes[3]
	balancer.haproxy()
	s.awaitPort(t, 3, netnstest.Gateway(4).String())
	for _, snat := range []string{"none", "masquerade"} {
		const n = 10
		s.apply(t, strings.ReplaceAll(s.texts[aloneText], `"none"`, `"`+snat+`"`))
		s.wantAll(t, "https", "/alone/"+snat, n, http.StatusOK, " saw "+clientAddress)
		wantLogged(t, []*node{balancer}, "/alone/"+snat, n, clientAddress)
	}
}

// backsUp ends all nodes, for which the balancer's own HAProxy then stands in.
func (s *stage) backsUp(t *testing.T) {
	s.apply(t, strings.Replace(s.texts[balancerText], `"10.0.0.3:443"]`, `"10.0.0.3:443", { address = "10.0.0.254:443", backup = true }]`, 1))
	s.wantAll(t, "https", "/primaries", 60, http.StatusOK, " saw "+clientAddress)
	wantLogged(t, s.nodes[:3], "/primaries", 60, clientAddress)
	for _, node := range s.nodes[:3] {
		node.stop()
	}
	stop := s.watch(t)
	s.awaitGood(t, "/joins", 20)
	s.wantAll(t, "https", "/backup", 20, http.StatusOK, " saw "+clientAddress)
	if said := stop(); !strings.Contains(said, "backups join") {
		t.Errorf("natspread health said:\n%s", said)
	}
	wantLogged(t, s.nodes[3:], "/backup", 20, clientAddress)
}

// refusesProxied shows that natspread cannot write the line that the PROXY protocol asks for.
func (s *stage) refusesProxied(t *testing.T) {
	first := s.nodes[0]
	first.stop()
	proxied := strings.Replace(s.texts[nginxText], "listen 443 ssl;", "listen 443 ssl proxy_protocol;", 1)
	hosttest.Must(t, os.WriteFile(first.dir+nginxText, []byte(proxied), 0o600))
	first.nginx()
	s.awaitPort(t, 0, s.network.Backends[0].Addr(4).String())
	s.apply(t, strings.Replace(s.texts[aloneText], "10.0.0.254", "10.0.0.1", 1))
	if failed, _ := s.getMany(t, "https", "/", 3, http.StatusOK, ""); failed != 3 {
		t.Errorf("%d of 3 requests failed", failed)
	}
	said, err := os.ReadFile(first.dir + "/var/log/nginx/error.log")
	if err != nil || !strings.Contains(string(said), "broken header") {
		t.Errorf("nginx does not say why: %v\n%s", err, said)
	}
}
