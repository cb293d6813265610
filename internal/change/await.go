package change

import (
	"context"
	"fmt"
	"time"

	"natspread/internal/text"
)

// awaitStep is how often the connections of a drained backend are counted.
const awaitStep = time.Second

// Await waits until no connection is left at the backends of an edit, for so long at most. It
// returns how many connections are open at each backend, and a sentence on all of them, "" where
// there is none. Before each pause it calls waiting with that sentence and the time that is left.
func (e Edit) Await(ctx context.Context, wait time.Duration, waiting func(open string, left time.Duration)) (each []int, open string, err error) {
	for end := time.Now().Add(wait); ; {
		if each, err = e.Live(ctx); err != nil {
			return nil, "", fmt.Errorf("drained, but the connections cannot be counted: %w", err)
		}
		open = stillOpen(each)
		left := time.Until(end)
		switch {
		case open == "" || wait == 0:
			return each, open, nil
		case left <= 0:
			return each, open, fmt.Errorf("%s after %v: what was drained stays so, and keeps them; --now ends them", open, text.Duration(wait))
		}
		waiting(open, left)
		select {
		case <-ctx.Done():
			return each, open, fmt.Errorf("interrupted: %s: what was drained stays so, and keeps them", open)
		case <-time.After(min(left, awaitStep)):
		}
	}
}

// stillOpen says how many connections there still are, "" for none.
func stillOpen(each []int) string {
	live := 0
	for _, n := range each {
		live += n
	}
	switch live {
	case 0:
		return ""
	case 1:
		return "1 connection is still open"
	}
	return fmt.Sprintf("%d connections are still open", live)
}
