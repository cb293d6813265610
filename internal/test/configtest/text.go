package configtest

import (
	"fmt"
	"strings"

	"natspread/internal/config"
)

// Text writes a config as a file that config.Parse reads as the same config.
func Text(cfg config.Config) []byte {
	var b strings.Builder
	for _, service := range cfg.Services {
		fmt.Fprintf(&b, "[[service]]\nname = %q\n", service.Name)
		b.WriteString(listenText(service))
		fmt.Fprintf(&b, "protocol = %s\n", list(service.Protocols))
		b.WriteString(snatText(service))
		if service.SNAT.Mode != config.None || service.Hairpin != nil {
			fmt.Fprintf(&b, "snat_ports = %q\n", service.SNATPorts)
		}
		b.WriteString(backendsText(service.Backends))
		fmt.Fprintf(&b, "algorithm = %q\nlocal = %v\non_remove = %q\nforward = %q\ntakeover = %v\nclamp_mss = %s\n",
			service.Algorithm, service.Local, service.OnRemove, service.Forward, service.Takeover, service.ClampMSS)
		if service.Slots != 0 {
			fmt.Fprintf(&b, "slots = %d\n", service.Slots)
		}
		if service.Algorithm == config.Source {
			fmt.Fprintf(&b, "source_prefix = %d\n", service.SourcePrefix)
		}
		if service.Interfaces != nil {
			fmt.Fprintf(&b, "interface = %s\n", list(service.Interfaces))
		}
		if service.Hairpin != nil {
			fmt.Fprintf(&b, "hairpin = %s\n", list(service.Hairpin))
		}
		if service.Allow != nil {
			fmt.Fprintf(&b, "allow = %s\n", list(service.Allow))
		}
		if service.Deny != nil {
			fmt.Fprintf(&b, "deny = %s\n", list(service.Deny))
		}
		if service.Refused != "" {
			fmt.Fprintf(&b, "refused = %q\n", service.Refused)
		}
		b.WriteString(checkText(service)) // last, as it ends in a table
	}
	return []byte(b.String())
}

// listenText writes what a service listens on, and the ports that it maps.
func listenText(service config.Service) string {
	first := service.Listen[0]
	if first.To == 0 {
		return fmt.Sprintf("listen = %s\n", list(service.Listen))
	}
	address := "*"
	if !first.Any() {
		address = first.Addr.String()
	}
	return fmt.Sprintf("listen = %q\nports = %s\n", address, service.PortMap())
}

// backendsText writes the list of backends.
func backendsText(all []config.Backend) string {
	var b strings.Builder
	b.WriteString("backends = [\n")
	for i, backend := range all {
		if backend.Port != 0 && i%2 == 1 { // the port in a key of its own
			fmt.Fprintf(&b, "  { address = %q, port = %s, weight = %d, drain = %v, backup = %v },\n", backend.Addr, backend.Ports().TOML(), backend.Weight, backend.Drain, backend.Backup)
			continue
		}
		fmt.Fprintf(&b, "  { address = %q, weight = %d, drain = %v, backup = %v },\n", backend, backend.Weight, backend.Drain, backend.Backup)
	}
	b.WriteString("]\n")
	return b.String()
}

// SharedText writes what Text writes with a pool for each list of backends, and with the
// defaults of the first service.
func SharedText(cfg config.Config) []byte {
	text := string(Text(cfg))
	var pools strings.Builder
	known := map[string]string{} // the names of pools by their lists
	for _, service := range cfg.Services {
		list := backendsText(service.Backends)
		if known[list] == "" {
			known[list] = fmt.Sprintf("p%d", len(known))
			fmt.Fprintf(&pools, "[pool.%s]\n%s", known[list], list)
		}
	}
	for list, name := range known {
		text = strings.ReplaceAll(text, list, fmt.Sprintf("pool = %q\n", name))
	}
	first := cfg.Services[0]
	var defaults strings.Builder
	defaults.WriteString("[defaults]\n")
	for _, line := range []string{
		snatText(first), fmt.Sprintf("algorithm = %q\n", first.Algorithm),
		fmt.Sprintf("on_remove = %q\n", first.OnRemove), fmt.Sprintf("forward = %q\n", first.Forward),
		fmt.Sprintf("clamp_mss = %s\n", first.ClampMSS), fmt.Sprintf("snat_ports = %q\n", first.SNATPorts),
	} {
		text = strings.ReplaceAll(text, "\n"+line, "\n")
		defaults.WriteString(line)
	}
	return []byte(defaults.String() + pools.String() + text)
}

// list writes a list of strings.
func list[T any](values []T) string {
	quoted := make([]string, len(values))
	for i, value := range values {
		quoted[i] = fmt.Sprintf("%q", fmt.Sprint(value))
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
