// Package report is what people and programs read of a host: one value, read and judged
// once, from which status, diff, doctor, the notes of apply, JSON and Prometheus speak. So
// none of them says "good" where another would not.
package report

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"natspread/internal/config"
	"natspread/internal/doctor"
	"natspread/internal/paths"
	"natspread/internal/rules"
	"natspread/restore"
	"natspread/restore/generation"
	"natspread/restore/iptables"
)

// Host is where a report is read.
type Host struct {
	Restore restore.Host
	Doctor  doctor.Host
	Config  ConfigFiles // what apply would read
	// Scrape is for those who ask all the time: what others' rules do is looked for in the
	// filter tables only, and routes and sockets are left out.
	Scrape bool
	Ends   bool // natspread health, which asks, is about to end
	// ByHand tells that no unit works on what is reported: it is below another root, or in
	// another network namespace than the running systemd.
	ByHand bool
	// Systemd asks the running systemd for the state of a unit, as active; nil where none runs the host.
	Systemd func(ctx context.Context, unit string) (string, error)
}

// New returns the host that restore works on. The switches and sockets are the kernel's and
// not on disk, so they are the same below every root.
func New(host restore.Host) Host {
	return Host{Restore: host, Doctor: doctor.Host{Root: host.Root, Sysctls: "/proc/sys", Proc: "/proc"}}
}

// Report is a host as it was read, judged.
type Report struct {
	State     State
	Status    restore.Status
	Findings  []doctor.Finding // the worst first
	Notes     []string         // what is good to know, a line each
	Unapplied bool             // the config file has changes that are not applied
	Unit      doctor.Unit      // how natspread's unit stands

	hooks     rules.Hooks      // what decides about packets beside natspread's rules
	unread    error            // why some of that could not be read
	version   string           // of natspread
	edited    []doctor.Finding // what is to say of the config file; a note here, and a Risk of doctor
	refusing  []doctor.Finding // which of the loaded services refuse their clients; as edited
	config    config.Config    // of the wanted generation
	configBad error            // why that one does not parse
	watched   watched          // the health of its services
	unreached []doctor.Finding // which of its backends pass their check and answer nobody; as edited
}

// Read reads a host and judges it. It changes nothing.
func (h Host) Read(ctx context.Context) (Report, error) { return h.read(ctx, rules.Families()) }

// read is Read for some families: nothing of the others is judged.
func (h Host) read(ctx context.Context, families []rules.Family) (Report, error) {
	h.Doctor = h.Doctor.Once()
	status, err := h.Restore.Status(ctx)
	if err != nil {
		return Report{}, err
	}
	report := Report{Status: ofFamilies(status, families), Notes: slices.Clone(status.Notes), version: h.Restore.Version}
	wanted := status.Wanted
	if wanted.Generation.Number != 0 {
		report.config, report.configBad = config.ParseGeneration(wanted.Generation.Number, wanted.Generation.Config)
	}
	report.hooks, report.unread = h.hooks(ctx)
	left, err := h.left(ctx, report, families)
	if err != nil {
		return Report{}, err
	}
	files, unloaded := h.Doctor.Loader()
	report.Unit = h.unit(ctx, files)
	conditions := h.conditions(report, families)
	left = slices.Concat(left, failedUnit(report.Unit, files, wanted), Broken(conditions), h.health(ctx, &report, families))
	judged := report.Status
	if wanted.Generation.Number != 0 && len(wantedFamilies(wanted, families)) == 0 { // nothing of these is missing
		judged.Loaded = true
	}
	report.State, report.Findings = judge(judged, h.refused(wanted), left)
	h.adoptAgain(&report)
	if wanted.Pending != nil && wanted.Pending.Left() > 0 {
		report.Notes = append(report.Notes, wanted.Pending.String())
	}
	report.Unapplied, report.edited = h.Config.applied(wanted.Generation)
	if report.Status.Loaded {
		report.refusing = report.watched.refusing(report.config, func() generation.Wanted { return wanted })
	}
	if cmp.Or(wanted.Boot.Number, wanted.Current) == 0 { // then there is nothing to load
		unloaded = nil
	}
	report.Notes = append(report.Notes, NotesOf(slices.Concat(report.edited, report.refusing, report.unreached, unloaded, risks(conditions)))...)
	return report, nil
}

// health adds to a report the health of its services, and returns what is to say of those of
// some families that are loaded.
func (h Host) health(ctx context.Context, report *Report, families []rules.Family) []doctor.Finding {
	var unread []doctor.Finding
	report.watched, unread = h.readWatched(report.Status.Wanted)
	services := servicesOf(report.config, families)
	if !report.Status.Loaded || len(services) == 0 {
		return nil
	}
	report.Notes = append(report.Notes, report.watched.lines(services)...)
	report.unreached = report.watched.unreached(h.Doctor, services)
	return append(unread, h.unwatchedBy(ctx, report.watched, services)...)
}

// ofFamilies returns a status without the lines of other families.
func ofFamilies(status restore.Status, families []rules.Family) restore.Status {
	for _, lines := range []*[]restore.Line{&status.Rules, &status.OtherVariant, &status.JumpsNotFirst, &status.NotForwarded} {
		*lines = slices.DeleteFunc(slices.Clone(*lines), func(line restore.Line) bool { return !slices.Contains(families, line.Family) })
	}
	return status
}

// refused returns the files of the current generation that boot refuses, because not only
// root may change them, where that generation is not good.
func (h Host) refused(wanted generation.Wanted) []doctor.Finding {
	if !damaged(wanted) {
		return nil
	}
	return h.Doctor.Refused(h.Restore.Store().Files(wanted.Current))
}

// left returns what keeps the connections of what is loaded from passing, of some families,
// and that its services cannot be named. Where nothing is loaded, nothing passes anyway.
func (h Host) left(ctx context.Context, report Report, families []rules.Family) ([]doctor.Finding, error) {
	var found []doctor.Finding
	if report.Status.Loaded {
		way, err := h.way(ctx, report, report.config, wantedFamilies(report.Status.Wanted, families))
		if err != nil {
			return nil, err
		}
		found = way.Found
	}
	if report.configBad != nil {
		found = append(found, doctor.Finding{Severity: doctor.Risk, What: fmt.Sprintf("cannot name the services: %v", report.configBad)})
	}
	return found, nil
}

// conditions returns what of the loaded services of some families this host does not bear
// out.
func (h Host) conditions(report Report, families []rules.Family) []doctor.Finding {
	if !report.Status.Loaded {
		return nil
	}
	return h.Doctor.Conditions(servicesOf(report.config, families), h.Scrape)
}

// Advice returns what is to say of a config on this host, whether it is loaded or not: what
// of it the host does not bear out, and what its writer may not have meant.
func (h Host) Advice(cfg config.Config) []doctor.Finding {
	h.Doctor = h.Doctor.Once()
	return append(h.Doctor.Conditions(cfg.Services, false), h.Doctor.Advice(cfg.Services)...)
}

// remaining returns what an apply of a config leaves: what keeps its connections of some
// families from passing although their rules are right, and which files boot refuses
// whatever is in them; and the risks of the config on this host, also beside an error.
func (h Host) remaining(ctx context.Context, cfg config.Config, families []rules.Family) (way doctor.Way, advice []doctor.Finding, err error) {
	h.Doctor = h.Doctor.Once()
	hooks := h.readHooks(ctx)
	conditions := h.Doctor.Conditions(cfg.Services, false)
	advice = risks(slices.Concat(conditions, h.Doctor.Advice(cfg.Services)))
	var read Report
	read.hooks, read.unread = hooks()
	if way, err = h.way(ctx, read, cfg, families); err != nil {
		return doctor.Way{}, advice, err
	}
	if services := servicesOf(cfg, families); len(services) < len(cfg.Services) {
		conditions = h.Doctor.Conditions(services, false)
	}
	way.Found = append(way.Found, Broken(conditions)...)
	store := h.Restore.Store()
	if current, none := store.CurrentNumber(); none == nil {
		way.Found = append(way.Found, Broken(h.Doctor.Refused(store.Files(current)))...)
	}
	return way, advice, nil
}

// NotesAfter returns as notes what an apply of a config left that keeps connections from
// passing, which rules of others are no longer reached, what else is to say of the config on
// this host, and which services refuse their clients now; last why some of that is not known.
func (h Host) NotesAfter(ctx context.Context, cfg config.Config, tables rules.Tables) []string {
	way, advice, err := h.remaining(ctx, cfg, familiesOf(tables))
	return withError(NotesOf(slices.Concat(Broken(way.Found), way.Unreached, advice, watched{}.refusing(cfg, h.Restore.Store().Wanted))), err)
}

// withError adds an error to notes, if there is one.
func withError(notes []string, err error) []string {
	if err == nil {
		return notes
	}
	return append(notes, err.Error())
}

// NotesBefore returns as notes what will keep the connections of a config from passing once it
// is applied, and which rules of others will no longer be reached; last why some of that is not known.
func (h Host) NotesBefore(ctx context.Context, cfg config.Config, tables rules.Tables) []string {
	way, advice, err := h.remaining(ctx, cfg, familiesOf(tables))
	left := slices.DeleteFunc(Broken(way.Found), func(f doctor.Finding) bool { return f.Fix == doctor.FixApply })
	return withError(NotesOf(slices.Concat(left, way.Unreached, advice)), err)
}

// readHooks starts the programs that read the hooks, and returns a function that waits for the
// answer: other checks go on meanwhile.
func (h Host) readHooks(ctx context.Context) (wait func() (rules.Hooks, error)) {
	wait = sync.OnceValues(func() (rules.Hooks, error) { return h.hooks(ctx) })
	go wait()
	return wait
}

// Unwatched says that nobody checks the backends of services that are loaded. It is no part of
// NotesAfter: what checks them may be started after that.
func (h Host) Unwatched(ctx context.Context, services []config.Service) []doctor.Finding {
	if !slices.ContainsFunc(services, config.Service.Checked) {
		return nil // which saves a read of the generation
	}
	watched, _ := h.readWatched(h.Restore.Store().Wanted())
	return h.unwatchedBy(ctx, watched, services)
}

// unwatchedBy is Unwatched by what is known of the health of the services. systemd is asked only
// where its unit is to be started.
func (h Host) unwatchedBy(ctx context.Context, watched watched, services []config.Service) []doctor.Finding {
	unwatched, is := watched.unwatched(services)
	if !is {
		return nil
	}
	unwatched.ByHand = h.ByHand
	if unwatched.Hangs {
		unwatched.Holder = h.Restore.WatcherProcess()
	}
	if h.Systemd != nil && !h.ByHand {
		state, err := h.Systemd(ctx, paths.HealthUnit)
		unwatched.ByHand, unwatched.Starts = err != nil, state == "activating"
	}
	return []doctor.Finding{h.Doctor.Unwatched(unwatched)}
}

// hooks reads what decides about packets beside natspread's rules. A scrape reads the filter
// tables only, which take the same time however many others there are.
func (h Host) hooks(ctx context.Context) (rules.Hooks, error) {
	if h.Scrape {
		filters, err := iptables.Filters(ctx, h.Restore.Run)
		return rules.Hooks{Rulesets: filters}, err
	}
	return iptables.ReadHooks(ctx, h.Restore.Run)
}

// way returns what keeps the connections of services of some families from passing, although
// their rules are right. A load fixes none of it, except that it switches forwarding on for a
// whole family, and puts its jumps first.
func (h Host) way(ctx context.Context, read Report, cfg config.Config, families []rules.Family) (doctor.Way, error) {
	kernel, err := h.Restore.Kernel(ctx)
	if err != nil || len(families) == 0 {
		return doctor.Way{}, err
	}
	services := servicesOf(cfg, families)
	way := h.Doctor.Way(doctor.Balancer{Services: services, Variant: kernel.Variant, Hooks: read.hooks, Unread: read.unread})
	way.Found = slices.Concat(h.Doctor.Forwarding(services, families...), sleeping(kernel, families), way.Found)
	return way, nil
}

// sleeping says which nat tables the kernel runs nothing of.
func sleeping(kernel iptables.Kernel, families []rules.Family) []doctor.Finding {
	var found []doctor.Finding
	dormant, err := kernel.Dormant(families...)
	if err != nil {
		found = append(found, doctor.Finding{Severity: doctor.Risk, What: err.Error()})
	}
	for _, one := range dormant {
		found = append(found, doctor.Finding{Severity: doctor.Broken, What: one.String(), Fix: one.Fix()})
	}
	return found
}

// wantedFamilies returns those of some families that the kernel is to hold rules of.
func wantedFamilies(wanted generation.Wanted, families []rules.Family) []rules.Family {
	return slices.DeleteFunc(familiesOf(wanted.Generation.Tables), func(family rules.Family) bool { return !slices.Contains(families, family) })
}

// servicesOf returns the services of some families.
func servicesOf(cfg config.Config, families []rules.Family) []config.Service {
	return slices.DeleteFunc(slices.Clone(cfg.Services), func(s config.Service) bool { return !slices.Contains(families, familyOf(s)) })
}

// familyOf returns the family of a service: that of its backends.
func familyOf(service config.Service) rules.Family { return rules.FamilyOf(service.Backends[0].Addr) }

// familiesOf returns the families that tables have rules for.
func familiesOf(tables rules.Tables) []rules.Family {
	return slices.DeleteFunc(rules.Families(), func(family rules.Family) bool { return tables.Of(family).Empty() })
}
