package rules

import (
	"bytes"
	"errors"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// sampleServices are virtual services of every kind, and the lines that say them.
func sampleServices() (services []VirtualService, lines string) {
	backends := func(list ...string) (all []netip.AddrPort) {
		for _, text := range list {
			backend, _ := parseBackend(text)
			all = append(all, backend)
		}
		return all
	}
	four, six := netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("2001:db8::10")
	return []VirtualService{
			{Service: "web", Protocol: "tcp", Address: four, Ports: Ports{80, 80}, Backends: backends("10.0.0.1:8080", "10.0.0.2:8080")},
			{Service: "web6", Protocol: "sctp", Address: six, Ports: Ports{80, 81}, Backends: backends("[fd00::1]:80"), Reset: true},
			{Service: "dns", Protocol: "udp", Ports: Ports{1, 65535}, Backends: backends("10.0.0.1", "10.0.0.2:53")},
			{Service: "game", Protocol: "tcp", Address: four, Ports: Ports{8000, 8010}, Backends: backends("10.0.0.1:9000", "10.0.0.2"), Shifted: true},
			{Service: "x-1", Protocol: "udp", Ports: Ports{53, 53}, Backends: backends("fd00::1", "::ffff:10.0.0.1"), Reset: true},
		}, "web tcp 192.0.2.10:80 drain 10.0.0.1:8080 10.0.0.2:8080\n" +
			"web6 sctp [2001:db8::10]:80-81 reset [fd00::1]:80\n" +
			"dns udp *:1-65535 drain 10.0.0.1 10.0.0.2:53\n" +
			"game tcp 192.0.2.10:8000-8010 drain 10.0.0.1:9000-9010 10.0.0.2\n" +
			"x-1 udp *:53 reset fd00::1 ::ffff:10.0.0.1\n"
}

// TestEncodeServices shows the form of the file, and reads it back; also when nothing is
// balanced.
func TestEncodeServices(t *testing.T) {
	services, lines := sampleServices()
	for _, c := range []struct {
		services []VirtualService
		lines    string
	}{{services, lines}, {nil, ""}} {
		file := EncodeServices(c.services)
		first, rest, _ := strings.Cut(string(file), "\n")
		if !strings.HasPrefix(first, "# natspread services sha256 ") || rest != c.lines+"# natspread: end of services\n" {
			t.Errorf("the file is\n%s", file)
		}
		decoded, err := DecodeServices(file)
		if err != nil {
			t.Fatal(err)
		}
		same := cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{})
		if diff := cmp.Diff(c.services, decoded, same, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("encoded -, decoded +:\n%s", diff)
		}
	}
}

// TestDecodeServicesDamaged refuses a file that was cut, altered or is another one.
func TestDecodeServicesDamaged(t *testing.T) {
	services, lines := sampleServices()
	file := EncodeServices(services)
	for n := range file {
		want := ErrCut
		if n == 0 {
			want = ErrEmpty
		} else if n < len("# natspread services sha256 ") {
			want = ErrForeign
		}
		if _, err := DecodeServices(file[:n]); !errors.Is(err, want) {
			t.Fatalf("%d of %d bytes: %v, want %v", n, len(file), err, want)
		}
	}
	for i := range file {
		for _, flip := range []byte{1, 0x20, 0x80} {
			altered := bytes.Clone(file)
			altered[i] ^= flip
			if _, err := DecodeServices(altered); err == nil {
				t.Errorf("byte %d altered from %q to %q was taken", i, file[i], altered[i])
			}
		}
	}
	header, body, _ := strings.Cut(string(file), "\n")
	for name, test := range map[string]struct {
		file string
		want error
	}{
		"plain lines":               {lines, ErrForeign},
		"a rules file":              {string(EncodeFile(sample(IPv4))), ErrForeign},
		"a rules file's first line": {strings.Replace(header, "services", "ipv4", 1) + "\n" + body, ErrForeign},
		"a rules file's last line":  {strings.Replace(string(file), "end of services", "end of rules", 1), ErrCut},
		"no sum":                    {"# natspread services sha256 \n" + body, ErrAltered},
		"words after the sum":       {header + " x\n" + body, ErrAltered},
		"words after the end":       {string(file) + "web", ErrLonger},
		"a newline after the end":   {string(file) + "\n", ErrLonger},
		"two files":                 {string(file) + string(file), ErrAltered},
		"the line ends of Windows":  {strings.ReplaceAll(string(file), "\n", "\r\n"), ErrCut},
		"another order":             {header + "\n" + strings.Join(reversed(body), ""), ErrAltered},
	} {
		if _, err := DecodeServices([]byte(test.file)); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}
}

// reversed returns the lines of a text before the last one in the opposite order.
func reversed(text string) []string {
	lines := strings.SplitAfter(strings.TrimSuffix(text, "\n"), "\n")
	last := len(lines) - 1
	var all []string
	for i := range last {
		all = append(all, lines[last-1-i])
	}
	return append(all, lines[last]+"\n")
}

// TestDecodeServicesStrictInside refuses lines that EncodeServices never writes, though the
// sum is right: who can write the file can also write a sum.
func TestDecodeServicesStrictInside(t *testing.T) {
	const good = "web tcp 192.0.2.10:80 drain 10.0.0.1:80\n"
	if _, err := DecodeServices(encode("services", []byte(good), endOfServices)); err != nil {
		t.Fatal(err)
	}
	for name, line := range map[string]string{
		"an empty line":                  "\n",
		"a comment":                      "# more\n",
		"no name":                        " tcp 192.0.2.10:80 drain 10.0.0.1:80\n",
		"a name that is an option":       "-web tcp 192.0.2.10:80 drain 10.0.0.1:80\n",
		"a name in quotes":               "\"web\" tcp 192.0.2.10:80 drain 10.0.0.1:80\n",
		"no protocol":                    "web 192.0.2.10:80 drain 10.0.0.1:80\n",
		"an unknown protocol":            "web icmp 192.0.2.10:80 drain 10.0.0.1:80\n",
		"a protocol in capitals":         "web TCP 192.0.2.10:80 drain 10.0.0.1:80\n",
		"a protocol's number":            "web 6 192.0.2.10:80 drain 10.0.0.1:80\n",
		"no listen address":              "web tcp drain 10.0.0.1:80\n",
		"a listen address of no port":    "web tcp 192.0.2.10 drain 10.0.0.1:80\n",
		"an empty listen address":        "web tcp :80 drain 10.0.0.1:80\n",
		"a host's name":                  "web tcp localhost:80 drain 10.0.0.1:80\n",
		"every address, spelled out":     "web tcp [*]:80 drain 10.0.0.1:80\n",
		"IPv4 in brackets":               "web tcp [192.0.2.10]:80 drain 10.0.0.1:80\n",
		"IPv6 without brackets":          "web tcp 2001:db8::10:80 drain [fd00::1]:80\n",
		"half a bracket":                 "web tcp [2001:db8::10:80 drain [fd00::1]:80\n",
		"IPv6 not shortened":             "web tcp [2001:db8:0::10]:80 drain [fd00::1]:80\n",
		"IPv6 in capitals":               "web tcp [2001:DB8::10]:80 drain [fd00::1]:80\n",
		"a zone":                         "web tcp [fe80::1%eth0]:80 drain [fd00::1]:80\n",
		"an octet with a zero":           "web tcp 192.0.2.010:80 drain 10.0.0.1:80\n",
		"port 0":                         "web tcp 192.0.2.10:0 drain 10.0.0.1:80\n",
		"a port too high":                "web tcp 192.0.2.10:65536 drain 10.0.0.1:80\n",
		"a port with a zero":             "web tcp 192.0.2.10:080 drain 10.0.0.1:80\n",
		"a port with a sign":             "web tcp 192.0.2.10:+80 drain 10.0.0.1:80\n",
		"a port's name":                  "web tcp 192.0.2.10:http drain 10.0.0.1:80\n",
		"a range from 0":                 "web tcp 192.0.2.10:0-80 drain 10.0.0.1:80\n",
		"a range of one":                 "web tcp 192.0.2.10:80-80 drain 10.0.0.1:80\n",
		"a range backwards":              "web tcp 192.0.2.10:81-80 drain 10.0.0.1:80\n",
		"a range without end":            "web tcp 192.0.2.10:80- drain 10.0.0.1:80\n",
		"a range by a colon":             "web tcp 192.0.2.10:80:81 drain 10.0.0.1:80\n",
		"no on_remove":                   "web tcp 192.0.2.10:80 10.0.0.1:80 10.0.0.2:80\n",
		"an unknown on_remove":           "web tcp 192.0.2.10:80 keep 10.0.0.1:80\n",
		"an on_remove in capitals":       "web tcp 192.0.2.10:80 Reset 10.0.0.1:80\n",
		"no backend":                     "web tcp 192.0.2.10:80 drain\n",
		"an empty backend":               "web tcp 192.0.2.10:80 drain \n",
		"a backend of port 0":            "web tcp 192.0.2.10:80 drain 10.0.0.1:0\n",
		"a backend of IPv6 of port 0":    "web tcp [2001:db8::10]:80 drain [fd00::1]:0\n",
		"a backend in needless brackets": "web tcp [2001:db8::10]:80 drain [fd00::1]\n",
		"a backend with a zone":          "web tcp [2001:db8::10]:80 drain [fe80::1%eth0]:80\n",
		"a portless backend with a zone": "web tcp [2001:db8::10]:80 drain fe80::1%eth0\n",
		"a backend's name":               "web tcp 192.0.2.10:80 drain backend:80\n",
		"a backend's range":              "web tcp 192.0.2.10:80 drain 10.0.0.1:80-81\n",
		"a prefix":                       "web tcp 192.0.2.10:80 drain 10.0.0.1/32:80\n",
		"another family's backend":       "web tcp 192.0.2.10:80 drain [fd00::1]:80\n",
		"another family's address":       "web tcp [2001:db8::10]:80 drain 10.0.0.1:80\n",
		"backends of both families":      "web tcp *:80 drain 10.0.0.1:80 [fd00::1]:80\n",
		"backends of both, portless":     "web tcp *:80 drain fd00::1 10.0.0.1\n",
		"IPv4 as an IPv6 backend":        "web tcp 192.0.2.10:80 drain ::ffff:10.0.0.1\n",
		"a space before":                 " " + good,
		"two spaces":                     strings.Replace(good, "tcp ", "tcp  ", 1),
		"a space behind":                 strings.Replace(good, "\n", " \n", 1),
		"a tab":                          strings.Replace(good, "tcp ", "tcp\t", 1),
		"a carriage return":              strings.Replace(good, "\n", "\r\n", 1),
		"a NUL":                          strings.Replace(good, "web", "w\x00b", 1),
		"no line end":                    strings.TrimSuffix(good, "\n"),
	} {
		for place, text := range map[string]string{"alone": line, "behind a good one": good + line} {
			if services, err := DecodeServices(encode("services", []byte(text), endOfServices)); err == nil {
				t.Errorf("%s, %s: taken as %v", name, place, services)
			}
		}
	}
}

// TestDecodeServicesNamesTheLine counts it as an editor does, the first line too.
func TestDecodeServicesNamesTheLine(t *testing.T) {
	file := encode("services", []byte("web tcp 192.0.2.10:80 drain 10.0.0.1:80\nnonsense\n"), endOfServices)
	_, err := DecodeServices(file)
	if want := `line 3: "nonsense\n" is no service that natspread writes`; err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
