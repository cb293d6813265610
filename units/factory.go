package units

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"natspread/internal/atomicfile"
	"natspread/internal/paths"
)

// factoryRule is where systemd-tmpfiles is told of the generations below /usr.
const factoryRule = "/usr/lib/tmpfiles.d/natspread.conf"

// factoryText has systemd-tmpfiles copy the generations to where boot reads them, unless something is there: C of
// tmpfiles.d(5). systemd-tmpfiles-setup.service does that, and the unit starts after it.
const factoryText = "# Written by \"natspread install --volatile\", removed by \"natspread uninstall\".\n" +
	"C /" + paths.State + " 0700 root root - /" + paths.Factory + "/" + paths.State + "\n"

// InstallFactory has the generations below /usr copied at each boot of the image at root whose /var begins empty.
func InstallFactory(root string) (done []string, err error) {
	path, err := atomicfile.Place(root, factoryRule)
	if err != nil {
		return nil, err
	}
	if old, err := os.ReadFile(path); err == nil && string(old) == factoryText {
		return nil, nil
	}
	if err := atomicfile.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	if err := atomicfile.WriteFile(path, []byte(factoryText), 0o644); err != nil {
		return nil, err
	}
	return []string{"wrote " + path}, nil
}

// removeFactory removes what InstallFactory wrote, unless it was changed by hand.
func removeFactory(root string) (done []string, err error) {
	path, err := atomicfile.Place(root, factoryRule)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("cannot read %s: %w", path, atomicfile.Cause(err))
	case string(text) != factoryText:
		return []string{kept + path + ", which was changed by hand"}, nil
	}
	return removeFile(path, "")
}
