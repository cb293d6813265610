package report

import (
	"fmt"
	"strings"

	"natspread/internal/config"
	"natspread/internal/health"
	"natspread/internal/screen"
	"natspread/internal/suggest"
	"natspread/internal/text"
)

// mostLines is how many lines of services and backends status shows by itself. Of more nobody
// reads all: then it sums them up, and shows those in trouble.
const mostLines = 200

// mostTroubled is how many services in trouble a summary shows.
const mostTroubled = 20

// Only returns the status with one service of the file alone, both families of it, as it stands else.
func (s Status) Only(name string) (Status, error) {
	names := make([]string, len(s.Services))
	var only []Service
	for i, service := range s.Services {
		names[i] = service.Name
		if isNamed(service.Name, name) {
			only = append(only, service)
		}
	}
	if only != nil {
		s.Services, s.only = only, true
		return s, nil
	}
	if len(names) == 0 {
		return Status{}, fmt.Errorf("there is no service %q: nothing is applied; fix: natspread apply", name)
	}
	if meant := suggest.Word(name, names); meant != "" {
		return Status{}, fmt.Errorf("there is no service %q: did you mean %s?", name, meant)
	}
	return Status{}, fmt.Errorf("there is no service %q; fix: natspread status --all", name)
}

// isNamed tells whether a service has a name, or one of the file has it that the service is a half of.
func isNamed(service, name string) bool {
	return service == name || (config.Service{Name: service}).Written() == name
}

// servicesText returns the services for people: all of them, or where they are too many lines a
// summary.
func (s Status) servicesText(on screen.Screen, all bool) string {
	var written strings.Builder
	if all = all || s.only; !all && s.lines() > mostLines {
		written.WriteString(summaryText(on, s.Services))
		return written.String()
	}
	for _, service := range s.Services {
		written.WriteString("\n" + service.Text(on))
		if all {
			written.WriteString(service.listenText(on))
		}
	}
	return written.String()
}

// Brief returns the status for a terminal that does not show all of Text: the services in trouble
// first, and each other one on a line. Of too many it is Text, which sums them up.
func (s Status) Brief(on screen.Screen) string {
	if s.only || s.lines() > mostLines {
		return s.Text(on, false)
	}
	troubled, rest := "", "\n"
	for _, service := range s.Services {
		if concerned, is := service.troubled(); is {
			troubled += "\n" + service.textOf(on, concerned)
		} else {
			words := append([]string{on.Bold(service.Name)}, append(service.modeWords(), service.counts())...)
			rest += on.Wrap(strings.Join(words, "  ")) + "\n"
		}
	}
	return s.headText(on, false) + troubled + rest
}

// lines is how many lines of services and backends there are.
func (s Status) lines() int {
	lines := 0
	for _, service := range s.Services {
		lines += 1 + len(service.Backends)
	}
	return lines
}

// summaryText sums services up, and shows those in trouble with the backends that are.
func summaryText(on screen.Screen, services []Service) string {
	var backends, drained, troubled int
	var connections uint64
	live := new(int)
	var written strings.Builder
	for _, service := range services {
		connections += service.Connections
		if live != nil && service.Live != nil {
			*live += *service.Live
		} else {
			live = nil
		}
		backends += len(service.Backends)
		for _, backend := range service.Backends {
			if backend.Drained {
				drained++
			}
		}
		if concerned, is := service.troubled(); is {
			if troubled++; troubled <= mostTroubled {
				written.WriteString("\n" + service.textOf(on, concerned))
			}
		}
	}
	if troubled > mostTroubled {
		fmt.Fprintf(&written, "\nand %d more in trouble\n", troubled-mostTroubled)
	}
	sums := fmt.Sprintf("%s, %d in trouble; %s, %d drained; %s", text.Plural(len(services), "service"), troubled,
		text.Plural(backends, "backend"), drained, Service{Connections: connections, Live: live}.counts())
	return "\n" + on.WrapList(sums) + "\n  natspread status --all shows each, natspread status SERVICE one\n" + written.String()
}

// troubled tells whether a service does not work as its config has it, although the kernel holds
// what it should: a backend is down or cannot be checked, others had to join, or nobody gets its
// connections. It returns those of its backends that are concerned.
func (s Service) troubled() (concerned []Backend, is bool) {
	refuses := true
	for _, backend := range s.Backends {
		if h := backend.Health; h != nil && (h.State == health.Down || h.State == health.New && h.record.Unable > 0) {
			concerned = append(concerned, backend)
		}
		refuses = refuses && backend.Drained
	}
	return concerned, len(concerned) > 0 || refuses || s.Health != "" && s.Health != health.Normal
}
