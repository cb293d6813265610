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
		fmt.Fprintf(&b, "listen = %s\n", list(service.Listen))
		fmt.Fprintf(&b, "protocol = %s\n", list(service.Protocols))
		fmt.Fprintf(&b, "snat = %q\n", service.SNAT)
		b.WriteString("backends = [\n")
		for _, backend := range service.Backends {
			fmt.Fprintf(&b, "  { address = %q, weight = %d, drain = %v, backup = %v },\n", backend, backend.Weight, backend.Drain, backend.Backup)
		}
		fmt.Fprintf(&b, "]\nalgorithm = %q\nlocal = %v\non_remove = %q\nforward = %q\ntakeover = %v\n",
			service.Algorithm, service.Local, service.OnRemove, service.Forward, service.Takeover)
		if service.Slots != 0 {
			fmt.Fprintf(&b, "slots = %d\n", service.Slots)
		}
		if service.Algorithm == config.Source {
			fmt.Fprintf(&b, "source_prefix = %d\n", service.SourcePrefix)
		}
		if service.Interface != "" {
			fmt.Fprintf(&b, "interface = %q\n", service.Interface)
		}
		if service.Hairpin != nil {
			fmt.Fprintf(&b, "hairpin = %s\n", list(service.Hairpin))
		}
		b.WriteString(checkText(service)) // last, as it ends in a table
	}
	return []byte(b.String())
}

// list writes a list of strings.
func list[T any](values []T) string {
	quoted := make([]string, len(values))
	for i, value := range values {
		quoted[i] = fmt.Sprintf("%q", fmt.Sprint(value))
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
