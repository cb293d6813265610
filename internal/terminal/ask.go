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
	answer, err := Read(ctx, in, out, question+" [y/N] ")
	switch strings.ToLower(answer) {
	case "y", "yes":
		return true, err
	}
	return false, err
}

// Read shows a prompt and reads one line, without the blanks around it. An interruption and the end of the input are
// an empty one.
func Read(ctx context.Context, in io.Reader, out io.Writer, prompt string) (answer string, err error) {
	fmt.Fprint(out, prompt)
	answered := make(chan error, 1)
	go func() { // no signal ends the read
		var err error
		answer, err = bufio.NewReader(in).ReadString('\n')
		answered <- err
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(out)
		return "", nil
	case err := <-answered:
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("cannot read the answer: %w", err)
		}
	}
	return strings.TrimSpace(answer), nil
}
