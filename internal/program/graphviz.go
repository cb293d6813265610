package program

import (
	"context"
	"errors"
	"fmt"
)

// dotPrograms is where Graphviz' dot is searched: fixed, so that no one's PATH
// decides what is run.
func dotPrograms() []string { return []string{"/usr/bin/dot", "/usr/local/bin/dot", "/bin/dot"} }

// Draw lets Graphviz draw a graph, as SVG.
func Draw(ctx context.Context, run Runner, graph []byte) (picture []byte, err error) {
	for _, path := range dotPrograms() {
		picture, err := run(ctx, graph, path, "-Tsvg")
		if !errors.Is(err, ErrMissing) {
			return picture, err
		}
	}
	return nil, fmt.Errorf("no dot in /usr/bin: %w: apt install graphviz", ErrMissing)
}
