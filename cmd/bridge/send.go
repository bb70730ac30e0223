package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"sort"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/delivery"
	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// sender sends deliveries to one endpoint.
type sender struct {
	url      string
	provider verify.Provider
	key      secret.Secret
	event    string
	data     []byte // of every delivery; nil: made up, each one another
	body     []byte // of every delivery, as it is but for its time; nil: composed
	scheme   string
	age      time.Duration
	tamper   bool
	client   *http.Client
}

func sendCommand(environ []string, stdio stdio) *cobra.Command {
	var s sender
	var dataFile, bodyFile string
	var stale bool
	var count, concurrency int
	c := &cobra.Command{
		Use:   "send ENDPOINT [EVENT]",
		Short: "Sign and send a delivery, as the vendor would",
		Long: `Sign a delivery with the endpoint's current secret, which is taken from the environment as
"bridge serve" takes it, and send it to the bridge. ENDPOINT is flock, frigade or the name of a
further endpoint.

The answers go to standard output, for more than one delivery their summary. The exit status is 0
when every delivery was accepted.`,
		Example: `  FLOCK_SECRETS=… bridge send flock
  FRIGADE_SECRETS=… bridge send frigade flowResponse.startedFlow --url https://hooks.example.com
  FLOCK_SECRETS=… bridge send flock invitee.accepted --data data.json --scheme timestamp-data
  FLOCK_SECRETS=… bridge send flock --count 1000 --concurrency 32
  FLOCK_SECRETS=… bridge send flock --tamper    # must be refused`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return usageError{errors.New("send takes an endpoint and, if you like, an event: `bridge send flock invitee.accepted`; see `bridge send --help`")}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			cfg, _, _ := config.Load(environ) // other variables' mistakes don't matter here
			if err := s.prepare(cfg, args); err != nil {
				return err
			}
			var err error
			if s.data, err = readFile(stdio.in, dataFile); err != nil {
				return err
			}
			if s.body, err = readFile(stdio.in, bodyFile); err != nil {
				return err
			}
			if count < 1 || concurrency < 1 {
				return usageError{errors.New("--count and --concurrency take numbers from 1")}
			}
			if stale {
				s.age = 10 * 365 * 24 * time.Hour
			}
			s.client = &http.Client{
				Timeout:   30 * time.Second,
				Transport: &http.Transport{MaxIdleConnsPerHost: concurrency, MaxConnsPerHost: concurrency, Proxy: http.ProxyFromEnvironment},
			}
			defer s.client.CloseIdleConnections()
			if count == 1 {
				return s.sendOne(c.Context(), stdio)
			}
			return s.sendMany(c.Context(), stdio, count, concurrency)
		},
	}
	f := c.Flags()
	f.StringVar(&s.url, "url", "", "where the bridge listens (default: HTTP_ADDR on this machine)")
	f.StringVar(&dataFile, "data", "", "file with the event's data, a JSON object; - for standard input")
	f.StringVar(&bodyFile, "body", "", "file with the whole body, sent with its times renewed; - for standard input")
	f.StringVar(&s.scheme, "scheme", "", "what to sign: for flock payload or timestamp-data, for frigade data or payload (default: as the endpoint is set)")
	f.BoolVar(&stale, "stale", false, "date the event ten years back: it must be refused")
	f.BoolVar(&s.tamper, "tamper", false, "change the data after signing: it must be refused")
	f.IntVar(&count, "count", 1, "how many deliveries to send, each an event of its own unless --data or --body is given")
	f.IntVar(&concurrency, "concurrency", 1, "how many to send at one time")
	c.MarkFlagsMutuallyExclusive("data", "body")
	return c
}

// prepare finds the endpoint, its secret and what to sign.
func (s *sender) prepare(cfg *config.Config, args []string) error {
	i := slices.IndexFunc(cfg.Endpoints, func(e config.Endpoint) bool { return e.Name == args[0] })
	if i < 0 || len(cfg.Endpoints[i].Secrets) == 0 {
		return usageError{fmt.Errorf("no secret is known for the endpoint %q: set %s_SECRETS, or ENDPOINTS_<i>_… for a further endpoint, as for `bridge serve`", args[0], strings.ToUpper(args[0]))}
	}
	endpoint := cfg.Endpoints[i]
	for _, p := range verify.Providers {
		if p.Name == endpoint.Provider {
			s.provider = p
		}
	}
	s.key = endpoint.Secrets[0]
	s.event = delivery.Events[s.provider.Name]
	if len(args) == 2 {
		s.event = args[1]
	}
	allowed := slices.DeleteFunc(slices.Clone(s.provider.Schemes), func(scheme string) bool { return scheme == verify.Auto })
	switch {
	case s.scheme == "" && slices.Contains(allowed, endpoint.Signature):
		s.scheme = endpoint.Signature
	case s.scheme == "":
		s.scheme = allowed[0]
	case !slices.Contains(allowed, s.scheme):
		return usageError{fmt.Errorf("--scheme: got %q; takes one of %s", s.scheme, strings.Join(allowed, ", "))}
	}
	if s.url == "" {
		s.url = "http://" + local(cfg.HTTPAddr)
	}
	s.url = strings.TrimSuffix(s.url, "/") + "/webhooks/" + endpoint.Name
	return nil
}

// readFile returns the content of a file, of standard input for -, nil for "".
func readFile(stdin io.Reader, name string) ([]byte, error) {
	var content []byte
	var err error
	switch name {
	case "":
		return nil, nil
	case "-":
		content, err = io.ReadAll(stdin)
	default:
		content, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, usageError{err}
	}
	return content, nil
}

// delivery makes one delivery's body and signature.
func (s *sender) delivery() (body []byte, signature string, err error) {
	now := time.Now()
	body = s.body
	if body == nil {
		if body, err = delivery.Compose(s.provider, s.event, s.data, fmt.Sprintf("%x", now.UnixNano())); err != nil {
			return nil, "", usageError{err}
		}
	}
	if body, err = delivery.Renew(s.provider, body, now.Add(-s.age)); err != nil {
		return nil, "", usageError{err}
	}
	if signature, err = delivery.Sign(s.provider, s.scheme, s.key, body); err != nil {
		return nil, "", usageError{err}
	}
	if s.tamper {
		if body, err = delivery.Tamper(body); err != nil {
			return nil, "", usageError{err}
		}
	}
	return body, signature, nil
}

// send sends one delivery and returns the answer.
func (s *sender) send(ctx context.Context) (status int, answer string, took time.Duration, err error) {
	body, signature, err := s.delivery()
	if err != nil {
		return 0, "", 0, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return 0, "", 0, usageError{fmt.Errorf("--url: %w", err)}
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set(s.provider.Header, signature)
	start := time.Now()
	response, err := s.client.Do(request)
	if err != nil {
		if errors.Is(err, syscall.ECONNREFUSED) {
			err = fmt.Errorf("nothing listens there: %w; start it with `bridge serve`, or say where it is with --url", err)
		}
		return 0, "", 0, fmt.Errorf("sending: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	read, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return 0, "", 0, fmt.Errorf("reading answer: %w", err)
	}
	return response.StatusCode, strings.TrimSpace(string(read)), time.Since(start), nil
}

func (s *sender) sendOne(ctx context.Context, stdio stdio) error {
	status, answer, _, err := s.send(ctx)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(stdio.out, status, answer); err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("the delivery was refused: %d", status)
	}
	return nil
}

// sendMany sends count deliveries and prints how often each answer came and how long answers took.
func (s *sender) sendMany(ctx context.Context, stdio stdio, count, concurrency int) error {
	var mu sync.Mutex
	answers := make(map[string]int)
	times := make([]time.Duration, 0, count)
	refused := 0
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(concurrency)
	start := time.Now()
	for range count {
		if ctx.Err() != nil {
			break
		}
		group.Go(func() error {
			status, answer, took, err := s.send(ctx)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			answers[fmt.Sprintf("%d %s", status, what(answer))]++
			times = append(times, took)
			if status != http.StatusOK {
				refused++
			}
			return nil
		})
	}
	err := group.Wait()
	printSummary(stdio.out, answers, times, time.Since(start))
	switch {
	case err != nil:
		return err
	case refused > 0:
		return fmt.Errorf("%d of %d deliveries were refused", refused, count)
	}
	return nil
}

// printSummary prints a line an answer and one of percentiles.
func printSummary(w io.Writer, answers map[string]int, times []time.Duration, took time.Duration) {
	kinds := make([]string, 0, len(answers))
	for kind := range answers {
		kinds = append(kinds, kind)
	}
	sort.Strings(kinds)
	for _, kind := range kinds {
		_, _ = fmt.Fprintf(w, "%8d  %s\n", answers[kind], kind)
	}
	if len(times) == 0 {
		return
	}
	slices.Sort(times)
	percentile := func(p float64) time.Duration {
		return times[min(len(times)-1, int(p*float64(len(times))))].Round(10 * time.Microsecond)
	}
	_, _ = fmt.Fprintf(w, "%d answers in %s, %.0f/s; p50 %s, p90 %s, p99 %s, slowest %s\n", len(times), took.Round(time.Millisecond),
		float64(len(times))/took.Seconds(), percentile(.5), percentile(.9), percentile(.99), times[len(times)-1].Round(10*time.Microsecond))
}

// what is the word in an answer that says what happened: its status, or its problem's code.
func what(answer string) string {
	var a struct {
		Status any    `json:"status"`
		Code   string `json:"code"`
	}
	if json.Unmarshal([]byte(answer), &a) != nil {
		return ""
	}
	if a.Code != "" {
		return a.Code
	}
	return fmt.Sprint(a.Status)
}
