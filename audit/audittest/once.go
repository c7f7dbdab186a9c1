package audittest

import (
	"math"
	"sync"

	"github.com/confide-go/confide/audit"
)

// waiting counts how often each event waits, by its number.
func (s *suite) waiting() map[int]int {
	s.Helper()
	all, err := s.store.Pending(s.ctx, math.MinInt64, 10_000)
	s.check(err, "Pending")
	count := map[int]int{}
	for _, p := range all {
		count[int(p.Event[14])<<8|int(p.Event[15])]++
	}
	return count
}

func (s *suite) enqueuesOnce() {
	once, ok := s.store.(audit.OnceEnqueuer)
	if !ok {
		return
	}
	s.first() // event 1 is sealed
	s.add(2)  // event 2 waits
	var list []audit.Pending
	for n := 1; n <= 1000; n++ {
		list = append(list, event(n))
	}
	for range 2 {
		s.check(once.EnqueueOnce(s.ctx, list), "EnqueueOnce")
		got := s.waiting()
		for n := 2; n <= 1000; n++ {
			if got[n] != 1 {
				s.Fatalf("event %d waits %d times; it was added once by Enqueue or EnqueueOnce, and must wait once", n, got[n])
			}
		}
		if got[1] != 0 {
			s.Fatal("event 1 waits although it is sealed")
		}
	}
}

func (s *suite) enqueuesOnceConcurrently() {
	once, ok := s.store.(audit.OnceEnqueuer)
	if !ok {
		return
	}
	list := []audit.Pending{event(1), event(2), event(3), event(4)}
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			// Every third caller is somebody's first attempt: it may lose with an
			// error, but must not put a second copy beside another one.
			if i%3 == 0 {
				_ = s.store.Enqueue(s.ctx, list[i/3:i/3+1])
				return
			}
			if err := once.EnqueueOnce(s.ctx, list); err != nil {
				s.Errorf("EnqueueOnce failed beside others: %v", err)
			}
		})
	}
	wg.Wait()
	for n, times := range s.waiting() {
		if times > 1 {
			s.Errorf("event %d waits %d times", n, times)
		}
	}
	if got := len(s.waiting()); got != len(list) {
		s.Errorf("%d of %d events wait", got, len(list))
	}
}
