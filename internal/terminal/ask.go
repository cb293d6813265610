package terminal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Ask asks a question, and tells whether the answer is yes. An interruption, the end of the
// input and everything else is no.
func Ask(ctx context.Context, in io.Reader, out io.Writer, question string) (yes bool, err error) {
	fmt.Fprintf(out, "%s [y/N] ", question)
	var answer string
	answered := make(chan error, 1)
	go func() { // no signal ends the read
		var err error
		answer, err = bufio.NewReader(in).ReadString('\n')
		answered <- err
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(out)
		return false, nil
	case err := <-answered:
		if err != nil && !errors.Is(err, io.EOF) {
			return false, fmt.Errorf("cannot read the answer: %w", err)
		}
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return true, nil
	}
	return false, nil
}
