package watcher

import (
	"math"
	"time"
)

// never is a time that does not come.
const never = time.Duration(math.MaxInt64)

// job is what runs beside the loop now and then, and never twice at a time. At first it is due at once.
type job struct {
	running, hurried bool
	began            time.Duration
	next             time.Duration // when it is due
	least            time.Duration // no sooner, whoever hurries
}

// step begins the job if it is due and there is something to do; what it begins calls end.
func (j *job) step(now time.Duration, some bool, begin func(now time.Duration)) (next time.Duration) {
	switch {
	case j.running || !some:
		return never
	case now < j.next:
		return j.next
	}
	j.running, j.began = true, now
	begin(now)
	return never
}

// end says that the job ended. The next one is due after again. When hurry is called, it is due
// after least, or after factor times what this one took, whichever is longer.
func (j *job) end(now, again, least time.Duration, factor int) {
	j.least = now + max(least, time.Duration(factor)*(now-j.began))
	j.next = max(now+again, j.least)
	if j.hurried {
		j.next = j.least
	}
	j.running, j.hurried = false, false
}

// hurry has the job done as soon as it may, and once more where it runs now.
func (j *job) hurry(now time.Duration) { j.soon(now, 0) }

// soon has the job done after a time, if it is not to be done before.
func (j *job) soon(now, after time.Duration) {
	if j.running {
		j.hurried = true
		return
	}
	j.next = min(j.next, max(now+after, j.least))
}

// hangs tells whether the job runs for longer than that.
func (j *job) hangs(now, bound time.Duration) bool { return j.running && now-j.began > bound }
