package report

import (
	"context"
	"os"

	"natspread/internal/config"
)

// TakesLogin says that a config takes the port of the ssh connection over which natspread
// was started, where what is loaded does not: whoever loads it may never log in again. ""
// is for any other config.
func (h Host) TakesLogin(ctx context.Context, cfg config.Config) (words string, err error) {
	taken, found := h.Doctor.TakenLogin(os.Getpid(), cfg.Services)
	if !found {
		return "", nil
	}
	status, err := h.Restore.Status(ctx)
	if err != nil {
		return "", err
	}
	if loaded, err := config.ParseGeneration(status.Wanted.Generation.Number, status.Wanted.Generation.Config); err == nil && status.Loaded {
		if _, already := h.Doctor.TakenLogin(os.Getpid(), loaded.Services); already {
			return "", nil
		}
	}
	return taken.What, nil
}
