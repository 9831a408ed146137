// Command loadgen keeps a server busy in a closed loop, by gRPC or by HTTP, and prints what it saw as one line of JSON.
//
// Each of -callers goroutines sends a request, waits for the answer and sends the next, for -seconds. The bodies come
// from a file of messages, each after its length in 4 bytes, big endian; each request takes one at random. Messages are
// neither encoded nor decoded here, so that the generator leaves the machine to the servers. With -each-header, each message
// also has a header of its own, whose values are in another file of the same form.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

const requestTimeout = 10 * time.Second

// message is what a request sends.
type message struct {
	body []byte
	// The value of -each-header.
	value string
}

// send makes one request and returns an error unless it was answered well.
type send func(message message) error

// target is where requests go.
type target struct {
	address    string
	path       string
	headers    map[string]string
	eachHeader string
}

type report struct {
	Requests    int     `json:"requests"`
	Failures    int     `json:"failures"`
	FirstFailed string  `json:"first_failure"`
	Seconds     float64 `json:"seconds"`
	P50         float64 `json:"p50_ms"`
	P99         float64 `json:"p99_ms"`
	CPUSeconds  float64 `json:"cpu_seconds"`
}

type caller struct {
	latencies []time.Duration
	failures  int
	first     error
}

func main() {
	protocol := flag.String("protocol", "grpc", "grpc or http")
	address := flag.String("address", "", "host:port")
	path := flag.String("path", "", "/package.Service/Method, or the path of an HTTP POST")
	bodyFile := flag.String("bodies", "", "file of length-prefixed messages")
	headers := flag.String("headers", "", "name=value, separated by commas; gRPC metadata or HTTP headers")
	eachHeader := flag.String("each-header", "", "name of a header whose value goes with the message")
	valueFile := flag.String("each-values", "", "file of its length-prefixed values, one for each message")
	connections := flag.Int("connections", 8, "connections to the server")
	callers := flag.Int("callers", 32, "requests under way at any moment")
	seconds := flag.Float64("seconds", 5, "how long")
	eachOnce := flag.Bool("each-once", false, "send every message once, however long that takes, instead of random ones")
	planFile := flag.String("plan", "", "JSON file of an open loop of several streams (see open.go), instead of all else")
	flag.Parse()
	// One thread, and rare collections: less than half the CPU a request takes otherwise, so the servers keep the machine.
	runtime.GOMAXPROCS(1)
	debug.SetGCPercent(400)

	if *planFile != "" {
		check(runPlan(*planFile))
		return
	}
	messages, err := readMessages(*bodyFile, *valueFile)
	check(err)
	open := map[string]func(target, int) ([]send, error){"grpc": openGRPC, "http": openHTTP}[*protocol]
	if open == nil {
		check(fmt.Errorf("no protocol %q", *protocol))
	}
	senders, err := open(target{*address, *path, parseHeaders(*headers), *eachHeader}, *connections)
	check(err)
	next := random(messages, time.Duration(*seconds*float64(time.Second)))
	if *eachOnce {
		next = each(messages)
	}
	check(json.NewEncoder(os.Stdout).Encode(run(senders, next, *callers)))
}

// choice returns the next message to send, or false when there is no more to do.
type choice func() (message, bool)

func random(messages []message, length time.Duration) choice {
	ends := time.Now().Add(length)
	return func() (message, bool) { return messages[rand.IntN(len(messages))], time.Now().Before(ends) }
}

func each(messages []message) choice {
	var sent atomic.Int64
	return func() (message, bool) {
		number := int(sent.Add(1)) - 1
		return messages[number%len(messages)], number < len(messages)
	}
}

// run keeps all callers busy for as long as there is something to send. A caller stays with one connection.
func run(senders []send, next choice, number int) report {
	callers := make([]caller, number)
	var group sync.WaitGroup
	began := time.Now()
	for index := range callers {
		group.Go(func() { callers[index].loop(senders[index%len(senders)], next) })
	}
	group.Wait()
	took := time.Since(began)

	result := report{Seconds: took.Seconds(), CPUSeconds: cpuSeconds()}
	var latencies []time.Duration
	for _, one := range callers {
		latencies = append(latencies, one.latencies...)
		result.Failures += one.failures
		if one.first != nil && result.FirstFailed == "" {
			result.FirstFailed = one.first.Error()
		}
	}
	slices.Sort(latencies)
	result.Requests = len(latencies)
	result.P50 = percentile(latencies, 0.50)
	result.P99 = percentile(latencies, 0.99)
	return result
}

func (c *caller) loop(send send, next choice) {
	for message, more := next(); more; message, more = next() {
		began := time.Now()
		if err := send(message); err == nil {
			c.latencies = append(c.latencies, time.Since(began))
		} else {
			c.failures++
			if c.first == nil {
				c.first = err
			}
		}
	}
}

// rawCodec passes encoded messages through.
type rawCodec struct{}

func (rawCodec) Marshal(message any) ([]byte, error) { return *message.(*[]byte), nil }

func (rawCodec) Unmarshal(data []byte, message any) error {
	*message.(*[]byte) = data
	return nil
}

func (rawCodec) Name() string { return "proto" }

func openGRPC(to target, connections int) ([]send, error) {
	sent := metadata.New(to.headers)
	senders := make([]send, connections)
	for index := range senders {
		connection, err := grpc.NewClient(
			"passthrough:///"+to.address,
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithNoProxy(),
			grpc.WithDefaultCallOptions(grpc.ForceCodec(rawCodec{})),
		)
		if err != nil {
			return nil, err
		}
		senders[index] = func(message message) error {
			ctx, cancel := context.WithTimeout(metadata.NewOutgoingContext(context.Background(), sent), requestTimeout)
			defer cancel()
			if to.eachHeader != "" {
				ctx = metadata.AppendToOutgoingContext(ctx, to.eachHeader, message.value)
			}
			var answer []byte
			return connection.Invoke(ctx, to.path, &message.body, &answer)
		}
	}
	return senders, nil
}

func openHTTP(to target, connections int) ([]send, error) {
	// HTTP/1.1 has one request at a time on a connection, so there are as many connections as callers.
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1024, DisableCompression: true}, Timeout: requestTimeout}
	post := func(message message) error {
		request, err := http.NewRequest(http.MethodPost, "http://"+to.address+to.path, bytes.NewReader(message.body))
		if err != nil {
			return err
		}
		request.Header.Set("content-type", "application/json")
		for name, value := range to.headers {
			request.Header.Set(name, value)
		}
		if to.eachHeader != "" {
			request.Header.Set(to.eachHeader, message.value)
		}
		answer, err := client.Do(request)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			return err
		}
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("status %d", answer.StatusCode)
		}
		return nil
	}
	return slices.Repeat([]send{post}, connections), nil
}

// readMessages reads the bodies, and a value for each of them where there is a file of values.
func readMessages(bodyFile, valueFile string) ([]message, error) {
	bodies, err := readRecords(bodyFile)
	if err != nil {
		return nil, err
	}
	values := make([][]byte, len(bodies))
	if valueFile != "" {
		if values, err = readRecords(valueFile); err != nil {
			return nil, err
		}
		if len(values) != len(bodies) {
			return nil, fmt.Errorf("%d values for %d messages", len(values), len(bodies))
		}
	}
	messages := make([]message, len(bodies))
	for index := range bodies {
		messages[index] = message{bodies[index], string(values[index])}
	}
	return messages, nil
}

func readRecords(name string) ([][]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var records [][]byte
	for reader := bufio.NewReader(file); ; {
		var length uint32
		if err := binary.Read(reader, binary.BigEndian, &length); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, err
		}
		record := make([]byte, length)
		if _, err := io.ReadFull(reader, record); err != nil {
			return nil, err
		}
		records = append(records, record)
	}
	if len(records) == 0 {
		return nil, fmt.Errorf("%s holds nothing", name)
	}
	return records, nil
}

func parseHeaders(text string) map[string]string {
	headers := map[string]string{}
	for _, pair := range strings.Split(text, ",") {
		if name, value, found := strings.Cut(pair, "="); found {
			headers[name] = value
		}
	}
	return headers
}

func percentile(sorted []time.Duration, share float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[int(share*float64(len(sorted)-1))].Microseconds()) / 1000
}

func cpuSeconds() float64 {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	spent := time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	return spent.Seconds()
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "loadgen:", err)
		os.Exit(1)
	}
}
