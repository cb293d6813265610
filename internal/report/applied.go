package report

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"natspread/internal/config"
	"natspread/internal/configfiles"
	"natspread/internal/doctor"
	"natspread/internal/doctor/finding"
	"natspread/internal/text"
	"natspread/restore/generation"
)

// The lines that show what is not applied, and what is wrong with a config.
const (
	fixDiff  = "natspread diff"
	fixCheck = "natspread check # says what to write instead"
)

// ConfigFiles reads the files that apply reads; nil where there is none to look at.
type ConfigFiles func() (configfiles.Set, error)

// applied tells how the config's files stand to the generation that the kernel is to hold:
// whether their words are others, and what is to say of that. Where nothing was applied, or
// no file is there, nothing can differ. They are parsed only if they are others.
func (read ConfigFiles) applied(given generation.Generation) (unapplied bool, found []doctor.Finding) {
	if read == nil {
		return false, nil
	}
	files, err := read()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, []doctor.Finding{{Severity: doctor.Risk, What: fmt.Sprintf("cannot tell whether all of the config is applied: %v", err)}}
	case given.Number != 0 && given.MadeFrom(files):
		return false, nil
	}
	unapplied = given.Number != 0
	if _, err := config.ParseSet(files); err != nil {
		return unapplied, []doctor.Finding{{Severity: doctor.Risk, What: "apply refuses the config: " + FirstOf(err), Fix: fixCheck}}
	}
	if unapplied {
		found = []doctor.Finding{{Severity: doctor.Risk, What: "the config has changes that are not applied", Fix: fixDiff}}
	}
	return unapplied, found
}

// FirstOf returns the first line of what is wrong with a config, and how much more is.
func FirstOf(err error) string {
	first, _, _ := strings.Cut(err.Error(), "\n")
	var all config.Errors
	if errors.As(err, &all) && len(all) > 1 {
		first += fmt.Sprintf(" (and %s)", text.Plural(len(all)-1, "error")+" more")
	}
	return first
}

// refusing says which services refuse their clients, because every backend is drained.
// While a generation waits to be confirmed, undrain is refused; not so undrain --runtime. Only
// where a service refuses its clients it is asked what the kernel is to hold.
func (w watched) refusing(cfg config.Config, wanted func() generation.Wanted) []doctor.Finding {
	var found []doctor.Finding
	for _, service := range cfg.Services {
		if len(w.standing(service).Active()) > 0 {
			continue
		}
		fix := fmt.Sprintf("natspread undrain %s %s", service.Name, shellWord(service.Backends[0].String()))
		if active := service.Active(); len(active) > 0 {
			fix = fmt.Sprintf("natspread undrain --runtime %s %s", service.Name, shellWord(active[0].String()))
		} else if wanted().Pending != nil {
			fix = fixRollback
		}
		found = append(found, doctor.Finding{
			Severity: doctor.Risk, Fix: fix,
			What: fmt.Sprintf("every backend of service %s is drained: clients are refused", service.Name),
			Of:   finding.Subject{Kind: "services have no backend that is not drained: clients are refused", Services: []string{service.Name}},
		})
	}
	return found
}

// shellWord quotes an address for a shell: brackets are a pattern there.
func shellWord(address string) string {
	if strings.Contains(address, "[") {
		return "'" + address + "'"
	}
	return address
}
