package report

import (
	"errors"
	"io/fs"
	"slices"
	"strings"

	"natspread/internal/adopt"
	"natspread/internal/adopt/bootfiles"
	"natspread/internal/adopt/walk"
	"natspread/internal/config"
	"natspread/internal/doctor"
	"natspread/internal/rules"
)

// OldRules finds the files that load rules at boot which a config's services replace, as those that adopt took out.
// While a generation waits to be confirmed nothing is found: a revert puts the old rules back, and boot is to have
// them then.
func (h Host) OldRules(cfg config.Config) []doctor.Finding {
	store := h.Restore.Store()
	if wanted := store.Wanted(); wanted.Pending != nil || wanted.Boot.Number == 0 {
		return nil
	}
	var found []doctor.Finding
	for _, file := range bootfiles.Replaced(h.Restore.Root, cfg.Services, store.TakenOut()) {
		found = append(found, doctor.Finding{Severity: doctor.AtBoot, What: file.String(), Fix: file.Fix()})
	}
	return found
}

// OldRulesNotes says the same as notes of confirm.
func (h Host) OldRulesNotes(cfg config.Config) []string {
	found := h.OldRules(cfg)
	for i := range found {
		found[i].What = "at boot " + found[i].What
	}
	return NotesOf(found)
}

// adoptAgain says of a host where nothing was applied that adopt has to be run again, where it made the config, and
// the rules stand in the kernel that it was made from: apply would load the new ones in front of these. Without a config
// there is one to be made first.
func (h Host) adoptAgain(report *Report) {
	at := slices.IndexFunc(report.Findings, func(f doctor.Finding) bool {
		return f.Fix == doctor.FixApply && strings.HasPrefix(f.What, notApplied)
	})
	if at < 0 || h.Config == nil {
		return
	}
	files, err := h.Config()
	if errors.Is(err, fs.ErrNotExist) { // apply would only say that there is no config
		report.Findings[at].Fix = "natspread init"
	}
	if err != nil || len(files) == 0 {
		return
	}
	line := adopt.Again(files[0].Text)
	cfg, err := config.ParseSet(files)
	if line != "" && err == nil && report.translated(cfg.Services) {
		report.Findings[at].What = notApplied + ": nobody confirmed the config that adopt made, and the rules that it replaces are loaded"
		report.Findings[at].Fix = line
	}
}

// translated tells whether rules of others lead to the backend of a service.
func (r Report) translated(services []config.Service) bool {
	return slices.ContainsFunc(r.hooks.Rulesets, func(saved rules.Ruleset) bool {
		return saved.Variant == r.Status.Variant && slices.ContainsFunc(walk.Live(saved, nil).Rules("nat"), func(rule *walk.Rule) bool {
			return rule.Target.Kind == walk.Translates && slices.ContainsFunc(services, func(s config.Service) bool {
				return slices.ContainsFunc(s.Backends, func(b config.Backend) bool { return b.Addr == rule.Target.Address })
			})
		})
	})
}
