package report

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"natspread/internal/config"
	"natspread/internal/doctor"
	"natspread/internal/text"
	"natspread/restore/generation"
)

// The lines that show what is not applied, and what is wrong with a config.
const (
	fixDiff  = "natspread diff"
	fixCheck = "natspread check # says what to write instead"
)

// ConfigFile is the file that apply reads.
type ConfigFile struct {
	Name string                 // for errors
	Read func() ([]byte, error) // its text; nil where there is no file to look at
}

// applied tells how a config file stands to the generation that the kernel is to hold:
// whether its words are others, and what is to say of that. Where nothing was applied, or
// no file is there, nothing can differ. The text is parsed only if it is another one.
func (f ConfigFile) applied(given generation.Generation) (unapplied bool, found []doctor.Finding) {
	if f.Read == nil {
		return false, nil
	}
	text, err := f.Read()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, []doctor.Finding{{Severity: doctor.Risk, What: fmt.Sprintf("cannot tell whether all of the config is applied: %v", err)}}
	case given.Number != 0 && given.MadeFrom(text):
		return false, nil
	}
	unapplied = given.Number != 0
	if _, err := config.Parse(f.Name, text); err != nil {
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
