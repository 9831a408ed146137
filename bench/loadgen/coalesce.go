package main

import (
	"context"
	"sync"
	"time"
)

// As the clients have it: see clients/ridehail_kernel/coalescing.py and clients/ridehail_clients/calls/shared_lookup.py.
const (
	maxBatch      = 100
	maxConcurrent = 2
	spacing       = 5 * time.Millisecond
	slowAfter     = 10 * time.Millisecond
)

// lookup is a call that is due, or was.
type lookup struct {
	index int
	due   time.Time
}

// runCoalesced sends what is due as clients do that share lookups, one client for each connection: while a batch is under
// way, calls gather for the next one. Each call is timed from when it was due.
//
// A batch's body is the bodies of its calls, one after the other: so protobuf encodes a message whose repeated field has
// all their elements.
func (s stream) runCoalesced(number int, calls []call, messages []message, begin time.Time, length time.Duration, events *eventLog) {
	var group sync.WaitGroup
	clients := make([]chan lookup, len(calls))
	for index := range clients {
		clients[index] = make(chan lookup, maxUnderWay)
		group.Go(func() {
			s.client(clients[index], func(batch []lookup) {
				var body []byte
				for _, one := range batch {
					body = append(body, messages[one.index%len(messages)].body...)
				}
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(s.DeadlineMs)*time.Millisecond)
				defer cancel()
				sent := time.Now()
				outcome := calls[index](ctx, message{body: body})
				done := time.Now()
				for _, one := range batch {
					events.add(number, one.index, one.due, sent, done, outcome)
				}
			})
		})
	}
	for index := 0; ; index++ {
		due := begin.Add(time.Duration(float64(index) / s.Rate * float64(time.Second)))
		if due.Sub(begin) >= length {
			break
		}
		time.Sleep(time.Until(due))
		select {
		case clients[index%len(clients)] <- lookup{index, due}:
		default:
			events.add(number, index, due, due, due, outcome{code: "SKIPPED"})
		}
	}
	for _, client := range clients {
		close(client)
	}
	group.Wait()
}

// client sends batches of what comes until there is no more. The next batch begins when the last has ended, or is slow;
// after one of several calls, no sooner than spacing after that began.
func (s stream) client(due <-chan lookup, send func([]lookup)) {
	var group sync.WaitGroup
	defer group.Wait()
	slots := make(chan struct{}, maxConcurrent)
	for first := range due {
		slots <- struct{}{}
		batch := gathered(first, due)
		began, ended := time.Now(), make(chan struct{})
		group.Go(func() {
			send(batch)
			close(ended)
			<-slots
		})
		select {
		case <-ended:
			if len(batch) > 1 {
				time.Sleep(time.Until(began.Add(spacing)))
			}
		case <-time.After(slowAfter):
		}
	}
}

// gathered returns a call and those that are due as well, without a wait.
func gathered(first lookup, due <-chan lookup) []lookup {
	batch := []lookup{first}
	for len(batch) < maxBatch {
		select {
		case one, open := <-due:
			if !open {
				return batch
			}
			batch = append(batch, one)
		default:
			return batch
		}
	}
	return batch
}
