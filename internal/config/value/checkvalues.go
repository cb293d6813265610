package value

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	"natspread/internal/config/source"
)

// maxText is the most bytes of what a check sends or compares: it fits into one packet.
const maxText = 1024

// maxHost is the most bytes of a name in DNS.
const maxHost = 253

// ParsePath reads what is asked for by http.
func ParsePath(text string) (string, *Fault) {
	if !strings.HasPrefix(text, "/") {
		path := text
		if _, rest, isURL := strings.Cut(text, "://"); isURL {
			_, path, _ = strings.Cut(rest, "/")
		}
		return "", &Fault{`a path begins with "/"`, escaped("/" + path)}
	}
	fix := escaped(text)
	if len(text) > maxText {
		fix = `write a path such as "/healthz"`
	}
	return text, lineFault(text, fix, Fault{"it has a space in it, which ends what is asked for", fix}, fix)
}

// lineFault says why a text cannot stand in the head of a request. space is the fault of one with
// a space in it, and ascii the fix for one with other letters than those of ASCII.
func lineFault(text, fix string, space Fault, ascii string) *Fault {
	switch {
	case text == "":
		return &Fault{"it is empty", "take it out, or " + fix}
	case len(text) > maxText:
		return &Fault{fmt.Sprintf("it has %d bytes, and %d are the most", len(text), maxText), fix}
	}
	for _, r := range text {
		switch {
		case r < ' ' || r == 0x7f:
			return &Fault{fmt.Sprintf("it has the control character %q in it, so its rest would be a header of its own", r), fix}
		case r == ' ':
			return &space
		case r > 0x7e:
			return &Fault{fmt.Sprintf("it has %q in it, which is not ASCII", r), ascii}
		}
	}
	return nil
}

// escaped returns the fix that writes spaces, and what is not ASCII, as a URL does: %20.
func escaped(text string) string {
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c > 0x7e {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return "write " + source.Quote(b.String())
}

// hostForm is a name as DNS has it. DNS lets a name hold _, although the name of a host may not.
var hostForm = regexp.MustCompile(`\A[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?\z`)

// hostPortForm is a name behind which a port may stand.
var hostPortForm = regexp.MustCompile(`\A[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?(:[1-9][0-9]{0,4})?\z`)

// ParseHost reads a Host header: a name or an address, and a port that may follow.
func ParseHost(text string) (string, *Fault) {
	fix := likelyHost(text)
	if why := hostFault(text, fix, hostPortForm); why != nil {
		return "", why
	}
	e, why := SplitEndpoint(text)
	if why != nil {
		return "", why
	}
	six := strings.Contains(e.Host, ":")
	if address, err := netip.ParseAddr(e.Host); six && (err != nil || address.Zone() != "") || !six && !hostForm.MatchString(e.Host) {
		return "", &Fault{"it is no name and no address", fix}
	}
	if six && !strings.HasPrefix(text, "[") {
		return "", &Fault{"an IPv6 address stands in brackets in a Host header", "write host = " + source.Quote("["+text+"]")}
	}
	if _, ok := ParsePort(e.Ports); e.HasPorts && !ok {
		return "", &Fault{"its port is not a number from 1 to 65535", "write host = " + source.Quote(strings.TrimSuffix(text, ":"+e.Ports))}
	}
	return text, nil
}

// likelyHost is the fix for a text that is no name: a name that a wildcard stands for, or any.
func likelyHost(text string) string {
	name := strings.Replace(text, "*", "www", 1)
	if !hostForm.MatchString(name) || name == text {
		name = "www.example.net"
	}
	return "write a name such as " + source.Quote(name)
}

// hostFault says why a text is no name: it is a URL, in which there may be one of a form, too long,
// or not ASCII on one line.
func hostFault(text, fix string, form *regexp.Regexp) *Fault {
	_, rest, isURL := strings.Cut(text, "://")
	if !isURL {
		rest = text
	}
	if name, _, found := strings.Cut(rest, "/"); isURL || found {
		if form.MatchString(name) {
			fix = "write " + source.Quote(name)
		}
		return &Fault{"it is a URL, not a name", fix}
	}
	why := lineFault(text, fix, Fault{"it has a space in it", fix}, `write the name as DNS has it, as in "xn--bcher-kva.example"`)
	if why == nil && len(text) > maxHost {
		return &Fault{fmt.Sprintf("it has %d bytes, and a name has at most %d", len(text), maxHost), fix}
	}
	return why
}

// ParseTLSName reads the name, or the address, that a certificate must have.
func ParseTLSName(text string) (string, *Fault) {
	fix := likelyHost(text)
	if why := hostFault(text, fix, hostForm); why != nil {
		return "", why
	}
	if address, err := netip.ParseAddr(text); err == nil && address.Zone() == "" || hostForm.MatchString(text) {
		return text, nil
	}
	if e, why := SplitEndpoint(text); why == nil && e.HasPorts && hostForm.MatchString(e.Host) {
		return "", &Fault{"it has a port, and a certificate has none", "write tls_name = " + source.Quote(e.Host)}
	}
	if inside := strings.Trim(text, "[]"); strings.Contains(inside, ":") {
		return "", &Fault{"an address has no brackets here", "write tls_name = " + source.Quote(inside)}
	}
	return "", &Fault{"it is no name and no address", fix}
}

// ParsePayload reads what is sent, or what the answer begins with: any text.
func ParsePayload(text string) (string, *Fault) {
	switch {
	case text == "":
		return "", &Fault{"it is empty", "take it out"}
	case len(text) > maxText:
		return "", &Fault{fmt.Sprintf("it has %d bytes, and %d are the most", len(text), maxText), "natspread can't compare more than one packet: write its first part only"}
	}
	return text, nil
}
