package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// plan is an open loop: every stream sends its messages in order when they are due, however slow the answers are.
type plan struct {
	Seconds float64  `json:"seconds"`
	Events  string   `json:"events"`
	Streams []stream `json:"streams"`
}

type stream struct {
	Protocol   string            `json:"protocol"`
	Address    string            `json:"address"`
	Path       string            `json:"path"`
	Headers    map[string]string `json:"headers"`
	EachHeader string            `json:"each_header"`
	Bodies     string            `json:"bodies"`
	EachValues string            `json:"each_values"`
	// Calls a second; 0: a closed loop of `connections` callers.
	Rate        float64 `json:"rate"`
	DeadlineMs  int     `json:"deadline_ms"`
	Connections int     `json:"connections"`
	// The address of this machine that calls come from; empty: the kernel's choice.
	From string `json:"from"`
	// Whether calls of one connection that are due while others are under way go together: see coalesce.go.
	Coalesce bool `json:"coalesce"`
}

// outcome is how a call ended: a gRPC code or an HTTP status, and the reason of a google.rpc.ErrorInfo.
type outcome struct {
	code    string
	reason  string
	retryMs int64
}

type call func(ctx context.Context, message message) outcome

// A stream that has so many calls under way counts the next ones as skipped, so that memory is bounded.
const maxUnderWay = 20000

func runPlan(name string) error {
	content, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var plan plan
	if err := json.Unmarshal(content, &plan); err != nil {
		return err
	}
	file, err := os.Create(plan.Events)
	if err != nil {
		return err
	}
	events := &eventLog{writer: bufio.NewWriterSize(file, 1<<20)}
	var group sync.WaitGroup
	begin := time.Now().Add(50 * time.Millisecond)
	for number, stream := range plan.Streams {
		messages, err := readMessages(stream.Bodies, stream.EachValues)
		if err != nil {
			return err
		}
		calls, err := openStream(stream)
		if err != nil {
			return err
		}
		length := time.Duration(plan.Seconds * float64(time.Second))
		group.Go(func() { stream.run(number, calls, messages, begin, length, events) })
	}
	group.Wait()
	if err := events.writer.Flush(); err != nil {
		return err
	}
	return file.Close()
}

func (s stream) run(number int, calls []call, messages []message, begin time.Time, length time.Duration, events *eventLog) {
	var group sync.WaitGroup
	var underWay atomic.Int64
	one := func(index int, due time.Time) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(s.DeadlineMs)*time.Millisecond)
		defer cancel()
		sent := time.Now()
		outcome := calls[index%len(calls)](ctx, messages[index%len(messages)])
		events.add(number, index, due, sent, time.Now(), outcome)
	}
	if s.Rate == 0 {
		var next atomic.Int64
		for range calls {
			group.Go(func() {
				for now := begin; now.Sub(begin) < length; now = time.Now() {
					one(int(next.Add(1)-1), time.Now())
				}
			})
		}
		group.Wait()
		return
	}
	if s.Coalesce {
		s.runCoalesced(number, calls, messages, begin, length, events)
		return
	}
	for index := 0; ; index++ {
		due := begin.Add(time.Duration(float64(index) / s.Rate * float64(time.Second)))
		if due.Sub(begin) >= length {
			break
		}
		time.Sleep(time.Until(due))
		if underWay.Load() >= maxUnderWay {
			events.add(number, index, due, due, due, outcome{code: "SKIPPED"})
			continue
		}
		underWay.Add(1)
		group.Go(func() {
			defer underWay.Add(-1)
			one(index, due)
		})
	}
	group.Wait()
}

// eventLog writes a line for each call: stream, index, due, sent and done (Unix microseconds), code, reason, retry delay.
type eventLog struct {
	lock   sync.Mutex
	writer *bufio.Writer
}

func (l *eventLog) add(stream, index int, due, sent, done time.Time, outcome outcome) {
	l.lock.Lock()
	defer l.lock.Unlock()
	fmt.Fprintf(l.writer, "%d,%d,%d,%d,%d,%s,%s,%d\n", stream, index, due.UnixMicro(), sent.UnixMicro(), done.UnixMicro(),
		outcome.code, outcome.reason, outcome.retryMs)
}

func openStream(s stream) ([]call, error) {
	dialer := &net.Dialer{}
	if s.From != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(s.From)}
	}
	calls := make([]call, max(1, s.Connections))
	for index := range calls {
		opened, err := s.open(dialer)
		if err != nil {
			return nil, err
		}
		calls[index] = opened
	}
	return calls, nil
}

func (s stream) open(dialer *net.Dialer) (call, error) {
	if s.Protocol == "http" {
		client := &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: 64}}
		return func(ctx context.Context, message message) outcome { return s.post(ctx, client, message) }, nil
	}
	connection, err := grpc.NewClient(
		"passthrough:///"+s.Address,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(rawCodec{})),
		grpc.WithDisableRetry(),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", address)
		}),
	)
	if err != nil {
		return nil, err
	}
	sent := metadata.New(s.Headers)
	return func(ctx context.Context, message message) outcome {
		ctx = metadata.NewOutgoingContext(ctx, sent)
		if s.EachHeader != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, s.EachHeader, message.value)
		}
		var answer []byte
		// A call waits for a connection: a server that is being started again fails nobody before the deadline.
		return grpcOutcome(connection.Invoke(ctx, s.Path, &message.body, &answer, grpc.WaitForReady(true)))
	}, nil
}

func grpcOutcome(err error) outcome {
	answer := status.Convert(err)
	result := outcome{code: answer.Code().String()}
	for _, detail := range answer.Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			result.reason = detail.Reason
		case *errdetails.RetryInfo:
			result.retryMs = detail.RetryDelay.AsDuration().Milliseconds()
		}
	}
	return result
}

var reasonInJSON = regexp.MustCompile(`"reason":\s*"([A-Z_]+)"`)

func (s stream) post(ctx context.Context, client *http.Client, message message) outcome {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.Address+s.Path, bytes.NewReader(message.body))
	if err != nil {
		return outcome{code: "ERROR"}
	}
	request.Header.Set("content-type", "application/json")
	for name, value := range s.Headers {
		request.Header.Set(name, value)
	}
	if s.EachHeader != "" {
		request.Header.Set(s.EachHeader, message.value)
	}
	answer, err := client.Do(request)
	if err != nil {
		return outcome{code: "ERROR"}
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return outcome{code: "ERROR"}
	}
	result := outcome{code: fmt.Sprint(answer.StatusCode)}
	if found := reasonInJSON.FindSubmatch(body); found != nil {
		result.reason = string(found[1])
	}
	return result
}
