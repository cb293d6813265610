package change

import (
	"context"
	"slices"

	"natspread/internal/config"
	"natspread/internal/configfiles"
	"natspread/internal/health"
	"natspread/render"
	"natspread/restore"
	"natspread/restore/generation"
)

// Apply loads what is requested and keeps it. Backends that a living natspread health knows to
// be down are out from the first moment on.
func Apply(ctx context.Context, host restore.Host, request restore.Request) (restore.Result, error) {
	request.Standing = standing(host, request.Config)
	return host.Apply(ctx, request)
}

// Try is Apply for some time.
func Try(ctx context.Context, host restore.Host, request restore.Request, trial restore.Trial) (restore.Result, error) {
	request.Standing = standing(host, request.Config)
	return host.Try(ctx, request, trial)
}

// standing returns what the kernel is to hold in place of a config's own tables; nil where it is
// to hold these, and where nothing is known. No fault here ends a load: the watcher that lives
// loads within a moment what is missing.
func standing(host restore.Host, files configfiles.Set) *restore.Overlay {
	if !host.WatcherAlive() {
		return nil
	}
	record, err := healthRecord(host)
	if err != nil {
		return nil
	}
	loaded, _ := health.DecodeNote(host.Store().OverlayNote()) // one that cannot be read says nothing
	isDown := func(c health.CheckRecord) bool { return c.State == health.Down }
	if len(loaded.Services) == 0 && !slices.ContainsFunc(record.Checks, isDown) {
		return nil // as mostly, and to parse the config takes a while
	}
	cfg, err := config.ParseSet(files)
	if err != nil { // an older generation's
		return nil
	}
	made, note, found := record.Standing(generation.SinceBoot(), cfg, loaded)
	if !found {
		return nil
	}
	said, err := note.Encode()
	if err != nil {
		return nil
	}
	return &restore.Overlay{Tables: render.New(made), Note: said}
}

// healthRecord returns what the last watcher of this boot and namespace knew.
func healthRecord(host restore.Host) (health.Record, error) {
	data, err := host.HealthRecord()
	if err != nil {
		return health.Record{}, err
	}
	return health.DecodeRecord(data, host.Store().Namespace, generation.SinceBoot())
}
