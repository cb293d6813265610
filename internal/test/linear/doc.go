// Package linear exists to hold natspread's work to what is written: with four times as many
// services, listen addresses or backends no verb does much more than four times as much. It
// counts how often each block of statements runs (go build -cover), and no time.
package linear
