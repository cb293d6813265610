package health

import (
	"container/heap"
	"time"

	"natspread/internal/config"
)

// Bounds of what is asked at a time.
const (
	// maxStarts is the most checks that start in a second, quick ones included.
	maxStarts = config.MaxCheckRate
	// partStarts is how many of them start in a 20th of a second, so that they come evenly.
	partStarts = maxStarts / 20
	// maxRunning is the most checks under way. A silent backend holds its place for the whole
	// timeout: 1,500 of 3,000 hold about 1,000.
	maxRunning = 2048
	// lateAfter is how late a check may start without being counted as late.
	lateAfter = 100 * time.Millisecond
	// idle is how long to wait where nothing is due.
	idle = time.Hour
)

// Schedule says which checks are to start when. The zero Schedule has none.
type Schedule struct {
	Late uint64 // checks that started over 100 ms late

	items   map[Check]*item
	coming  queue // by when they are due
	ready   queue // due, and waiting for a place
	running int
	starts  [maxStarts]time.Duration // the last ones, as a ring
	begun   int
}

// item is a scheduled check. It is in one of the queues, or under way.
type item struct {
	check   Check
	due     time.Duration
	rank    time.Duration // its place in a queue
	running bool
	gone    bool // Set left it out: to be dropped when its turn comes
}

// Set has these checks from now on. Those that were there keep their times, and new ones are
// spread over their interval.
func (s *Schedule) Set(now time.Duration, checks []Check) {
	if s.items == nil {
		s.items = make(map[Check]*item, len(checks))
	}
	for _, it := range s.items {
		it.gone = true
	}
	var added []*item
	for _, c := range checks {
		it, found := s.items[c]
		if !found {
			it = &item{check: c}
			s.items[c] = it
			added = append(added, it)
		}
		it.gone = false
	}
	s.spread(now, added)
}

// spread has checks come evenly over the interval that begins now. The first one is due at
// once.
func (s *Schedule) spread(now time.Duration, items []*item) {
	count, placed := map[time.Duration]int{}, map[time.Duration]int{} // by the interval
	for _, it := range items {
		count[it.check.Interval]++
	}
	for _, it := range items {
		interval := it.check.Interval
		s.await(it, now+time.Duration(float64(interval)*float64(placed[interval])/float64(count[interval])))
		placed[interval]++
	}
}

// await has a check come when it is due.
func (s *Schedule) await(it *item, due time.Duration) {
	it.due, it.rank = due, due
	heap.Push(&s.coming, it)
}

// Start returns the checks to start now, which count as under way until Done, and when to
// ask again at the latest; after each Done it is worth asking, too. Where there are more than
// the bounds allow, those of backends that are up come first, and the others wait for them, at
// most one interval.
func (s *Schedule) Start(now time.Duration, up func(Check) bool) (start []Check, again time.Duration) {
	s.collect(now, up)
	for len(s.ready) > 0 && s.running < maxRunning {
		first := s.ready[0]
		if first.gone {
			s.drop(heap.Pop(&s.ready).(*item))
			continue
		}
		if free := s.free(first.check.Type.Cost()); free > now {
			return start, free
		}
		s.begin(now, heap.Pop(&s.ready).(*item))
		start = append(start, first.check)
	}
	if len(s.coming) > 0 {
		return start, s.coming[0].rank
	}
	return start, now + idle
}

// collect moves what is due to what is ready. After a time in which nothing could start, as
// when the machine slept, much is due at once: what is behind by more than its interval is
// spread again.
func (s *Schedule) collect(now time.Duration, up func(Check) bool) {
	var behind []*item
	for len(s.coming) > 0 && s.coming[0].rank <= now {
		it := heap.Pop(&s.coming).(*item)
		switch {
		case it.gone:
			s.drop(it)
		case now-it.due > it.check.Interval:
			behind = append(behind, it)
		default:
			if !up(it.check) {
				it.rank += it.check.Interval
			}
			heap.Push(&s.ready, it)
		}
	}
	if len(behind) > 0 {
		s.spread(now, behind)
		s.collect(now, up)
	}
}

// drop forgets a check.
func (s *Schedule) drop(it *item) { delete(s.items, it.check) }

// begin counts a check that starts.
func (s *Schedule) begin(now time.Duration, it *item) {
	it.running = true
	s.running++
	if now-it.due > lateAfter {
		s.Late++
	}
	for range it.check.Type.Cost() {
		s.starts[s.begun%len(s.starts)] = now
		s.begun++
	}
}

// free returns from when on a check of a cost may start.
func (s *Schedule) free(cost int) time.Duration {
	return max(s.after(maxStarts-cost, time.Second), s.after(partStarts-cost, time.Second/20))
}

// after returns when the start before the last n ones is so long ago.
func (s *Schedule) after(n int, long time.Duration) time.Duration {
	if s.begun <= n {
		return 0
	}
	return s.starts[(s.begun-n-1)%len(s.starts)] + long
}

// Done ends a check that was under way; the next one is due then. One that Set took out
// meanwhile only gives its place back.
func (s *Schedule) Done(c Check, due time.Duration) {
	it, found := s.items[c]
	if !found || !it.running {
		return
	}
	it.running = false
	s.running--
	if it.gone {
		s.drop(it)
		return
	}
	s.await(it, due)
}

// queue is a heap of checks by rank, for container/heap.
type queue []*item

// Len is the number of checks.
func (q queue) Len() int { return len(q) }

// Less puts the lower rank first.
func (q queue) Less(i, j int) bool { return q[i].rank < q[j].rank }

// Swap keeps to heap.Interface.
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }

// Push puts a check last.
func (q *queue) Push(it any) { *q = append(*q, it.(*item)) }

// Pop takes the last check out.
func (q *queue) Pop() any {
	last := (*q)[len(*q)-1]
	(*q)[len(*q)-1] = nil // or the array would keep it
	*q = (*q)[:len(*q)-1]
	return last
}
