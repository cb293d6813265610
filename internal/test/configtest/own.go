package configtest

import (
	"math"

	"pgregory.net/rapid"

	"natspread/internal/config"
)

// own makes the first backend of some services one of the few addresses that services listen on, at the
// port that clients ask for or at another one. Nobody checks it: another service could balance the
// check. It returns the listen addresses that the service is to have then.
func own(t *rapid.T, made *config.Service) []config.Listen {
	if made.Checked() || rapid.IntRange(0, 3).Draw(t, "own") > 0 {
		return nil
	}
	backend := &made.Backends[0]
	backend.Addr = numbered(made.Is6(), rapid.ByteRange(0, 3).Draw(t, "own address"))
	asked := config.Listen{Addr: backend.Addr, Ports: config.Ports{First: backend.Port, Last: backend.Port}}
	if backend.Port == 0 {
		asked.Ports.First = port(t)
		asked.Ports.Last = min(asked.Ports.First, math.MaxUint16-9) + rapid.Uint16Range(0, 9).Draw(t, "own width")
		asked.Ports.Last = max(asked.Ports.First, asked.Ports.Last)
	}
	return []config.Listen{asked}
}
