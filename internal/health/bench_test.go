package health

import (
	"fmt"
	"testing"
	"time"

	"natspread/internal/config"
)

// crowd returns a config of so many services, each of three checked backends of its own.
func crowd(services int) config.Config {
	var cfg config.Config
	for i := range services {
		s := checked(fmt.Sprint("s", i), "ppp")
		for j := range s.Backends {
			s.Backends[j].Addr = asked(fmt.Sprintf("10.%d.%d.%d:80", i>>8, i&255, j+1)).Target.Addr()
		}
		cfg.Services = append(cfg.Services, s)
	}
	return cfg
}

// BenchmarkMany has what a watcher does for 10,000 services: all of it once, and once for each
// check.
func BenchmarkMany(b *testing.B) {
	cfg := crowd(10000)
	checks := Checks(cfg)
	m := machine(checks...)
	m.Take(0, checks[0], Answer{Outcome: Failed, Reason: "connection refused"})
	b.Run("Checks", func(b *testing.B) {
		for b.Loop() {
			Checks(cfg)
		}
	})
	b.Run("Keep", func(b *testing.B) {
		for b.Loop() {
			m.Keep(0, checks)
		}
	})
	b.Run("Overlay", func(b *testing.B) {
		for b.Loop() {
			m.Overlay(cfg, Note{})
		}
	})
	b.Run("Take", func(b *testing.B) {
		for b.Loop() {
			m.Take(time.Second, checks[1], Answer{Outcome: OK, Took: time.Millisecond})
		}
	})
	b.Run("Schedule", func(b *testing.B) {
		var s Schedule
		s.Set(0, checks)
		now := time.Duration(0)
		for b.Loop() {
			start, again := s.Start(now, m.Up)
			for _, c := range start {
				s.Done(c, now+c.Interval)
			}
			now = again
		}
	})
	record := Record{Namespace: here, Beat: time.Hour, Checks: m.Records()}
	var data []byte
	b.Run("Encode", func(b *testing.B) {
		for b.Loop() {
			data, _ = record.Encode()
		}
		b.ReportMetric(float64(len(data)), "bytes")
	})
	b.Run("Decode", func(b *testing.B) {
		for b.Loop() {
			if _, err := DecodeRecord(data, here, time.Hour); err != nil {
				b.Fatal(err)
			}
		}
	})
}
