package main

import (
	"context"
	"errors"
	"fmt"

	"natspread/internal/change"
	"natspread/internal/program"
	"natspread/internal/trace"
)

// dotPrograms is where Graphviz' dot is searched: fixed, so that no one's PATH
// decides what is run.
func dotPrograms() []string { return []string{"/usr/bin/dot", "/usr/local/bin/dot", "/bin/dot"} }

// draw prints the chains of a family as a graph or as a picture.
func (s *session) draw(ctx context.Context, o renderOptions, plan change.Plan) error {
	result := renderResult{Family: o.family.String()}
	graph := trace.Dot(o.table(plan))
	if o.svg {
		picture, err := s.drawn(ctx, graph)
		if err != nil {
			return err
		}
		result.SVG = string(picture)
	} else {
		result.Dot = string(graph)
	}
	return s.answer(result, result.Dot+result.SVG)
}

// drawn lets Graphviz draw a graph.
func (s *session) drawn(ctx context.Context, graph []byte) ([]byte, error) {
	s.doing("drawing")
	run := s.traced()
	for _, path := range dotPrograms() {
		picture, err := run(ctx, graph, path, "-Tsvg")
		switch {
		case errors.Is(err, program.ErrMissing):
			continue
		case err != nil:
			return nil, fmt.Errorf("cannot draw the chains: %w: natspread render --dot prints the graph itself", err)
		}
		return picture, nil
	}
	return nil, fmt.Errorf("cannot draw the chains: no dot in /usr/bin: %w: apt install graphviz, or take --dot elsewhere", program.ErrMissing)
}
