package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

func sendCommand(prog program) *cobra.Command {
	var s sender
	var dataFile, bodyFile string
	var count, concurrency int
	c := &cobra.Command{
		Use:   "send ENDPOINT [EVENT]",
		Short: "Sign and send a delivery, as the vendor would",
		Long: `Sign a delivery with the endpoint's current secret and send it to the bridge. The secret is taken
from the environment, as for "bridge serve". ENDPOINT is the name in its path, /webhooks/ENDPOINT.

The answer is printed on standard output; for more than one delivery, a summary. The exit status is
0 if every delivery was accepted.`,
		Example: `  SECRETS=… bridge send ENDPOINT
  SECRETS=… bridge send ENDPOINT EVENT --url https://example.com
  SECRETS=… bridge send ENDPOINT --data data.json --scheme SCHEME
  SECRETS=… bridge send ENDPOINT --count 1000 --concurrency 32
  SECRETS=… bridge send ENDPOINT --tamper    # must be refused`,
		Args: takes(1, 2, "an endpoint and an optional event"),
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case dataFile != "" && bodyFile != "":
				return misuse(c, "--data and --body exclude each other")
			case count < 1 || concurrency < 1:
				return usagef("--count and --concurrency: got %d and %d; each takes 1 or more", count, concurrency)
			case len(args) == 2:
				s.event = args[1]
			}
			if err := s.prepare(prog, args[0], concurrency); err != nil {
				return err
			}
			defer s.client.CloseIdleConnections()
			var err error
			if s.data, err = prog.readInput(c.Context(), "--data", dataFile); err != nil {
				return err
			}
			if s.body, err = prog.readInput(c.Context(), "--body", bodyFile); err != nil {
				return err
			}
			if similar := config.Similar(s.event, s.endpoint.Vendor.Events); similar != "" && s.body == nil {
				prog.say("%s has no known event %q (did you mean %s?); sending it anyway", s.endpoint.Vendor.Title, s.event, similar)
			}
			if count == 1 {
				return s.sendOne(c.Context(), prog)
			}
			return s.sendMany(c.Context(), prog, count, concurrency)
		},
	}
	f := c.Flags()
	f.StringVar(&s.url, "url", "", "`URL` of the bridge or of its endpoint (default: HTTP_ADDR on this machine, without TLS)")
	f.StringVar(&dataFile, "data", "", "`file` with the event's data, a JSON object; - for standard input")
	f.StringVar(&bodyFile, "body", "", "`file` with the whole body, in which the times are set to now; - for standard input")
	f.StringVar(&s.scheme, "scheme", "", "sign by this `scheme` of the provider (default: that of the endpoint)")
	f.BoolVar(&s.stale, "stale", false, "date the event ten years back; the bridge must refuse it")
	f.BoolVar(&s.tamper, "tamper", false, "change the data after signing; the bridge must refuse it")
	f.IntVar(&count, "count", 1, "send `n` deliveries, each a different event unless --data or --body is given")
	f.IntVar(&concurrency, "concurrency", 1, "send up to `n` deliveries at once")
	return c
}

// prepare loads the endpoint from the environment, and sets the URL and the HTTP client.
func (s *sender) prepare(prog program, name string, concurrency int) error {
	var address []string
	if s.url == "" {
		address = []string{"HTTP_ADDR", "TLS_*"}
	}
	cfg, err := prog.load(endpointVariables(address...)...)
	if err != nil {
		return err
	}
	endpoint, err := endpointNamed(cfg, name)
	if err != nil {
		return err
	}
	if s.url == "" && cfg.Certificate != nil {
		return usagef("--url is missing: TLS_CERT_FILE is set, so give the bridge's address with a name in the certificate, " +
			"such as https://hooks.example.com")
	}
	s.url = cmp.Or(s.url, "http://"+local(cfg.HTTPAddr))
	switch to, err := url.Parse(s.url); {
	case err != nil || to.Host == "" || to.Scheme != "http" && to.Scheme != "https":
		return usagef("--url: got %q; takes the bridge's address, such as https://hooks.example.com", s.url)
	case to.User != nil:
		return usagef("--url: %s", withoutUser)
	}
	if allowed := endpoint.Vendor.SchemeNames(); s.scheme != "" && !slices.Contains(allowed, s.scheme) {
		return usagef("--scheme: got %q; takes one of %s", s.scheme, strings.Join(allowed, ", "))
	}
	if s.stale && endpoint.Vendor.Time.Unit == verify.NoTime {
		return usagef("--stale: endpoint %s signs no time, so no delivery is too old", endpoint.Name)
	}
	s.client = newClient(concurrency, 30*time.Second)
	s.setEndpoint(endpoint)
	return nil
}

func (s *sender) sendOne(ctx context.Context, prog program) error {
	got, err := s.send(ctx)
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintln(prog.out, got.code, got.body)
	switch {
	case got.code == http.StatusOK:
		return nil
	case s.tamper || s.stale: // as expected
		return fmt.Errorf("the delivery was refused: %d", got.code)
	}
	return fmt.Errorf("the delivery was refused: %d%s", got.code, remedies[got.code])
}

const redirected = "; a redirect isn't followed: give its target as --url, such as https://…"

// remedies says what to do about answers that don't say it themselves.
var remedies = map[int]string{
	http.StatusMovedPermanently:   redirected,
	http.StatusFound:              redirected,
	http.StatusSeeOther:           redirected,
	http.StatusTemporaryRedirect:  redirected,
	http.StatusPermanentRedirect:  redirected,
	http.StatusUnauthorized:       "; that bridge has another secret, scheme or time: use its environment, and see its log",
	http.StatusNotFound:           "; that bridge has no such endpoint, or --url is not its address: its log line `listening` lists its endpoints",
	http.StatusServiceUnavailable: "; it can't be stored now: run `bridge health` there to see why",
	http.StatusBadGateway:         "; a proxy answered: it can't reach the bridge",
	http.StatusGatewayTimeout:     "; a proxy answered: it can't reach the bridge",
}

// sendMany sends count deliveries. It prints how many answers of each kind came, and how long they took.
func (s *sender) sendMany(ctx context.Context, prog program, count, concurrency int) error {
	var mu sync.Mutex
	answers := make(map[string]int)
	var times []time.Duration
	refused := 0
	group, sending := errgroup.WithContext(ctx)
	group.SetLimit(concurrency)
	start := time.Now()
	for range count {
		if sending.Err() != nil {
			break
		}
		group.Go(func() error {
			began := time.Now()
			got, err := s.send(sending)
			took := time.Since(began)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			answers[got.kind()]++
			times = append(times, took)
			if got.code != http.StatusOK {
				refused++
			}
			return nil
		})
	}
	err := group.Wait()
	printSummary(prog.out, answers, times, time.Since(start))
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted after %d of %d deliveries", len(times), count)
	case err != nil:
		return err
	case refused > 0:
		return fmt.Errorf("%d of %d deliveries were refused", refused, count)
	}
	return nil
}

func printSummary(w io.Writer, answers map[string]int, times []time.Duration, took time.Duration) {
	for _, kind := range slices.Sorted(maps.Keys(answers)) {
		_, _ = fmt.Fprintf(w, "%8d  %s\n", answers[kind], kind)
	}
	if len(times) == 0 {
		return
	}
	slices.Sort(times)
	at := func(p int) time.Duration { return percentile(times, p).Round(10 * time.Microsecond) }
	_, _ = fmt.Fprintf(w, "%s in %s, %.0f/s; p50 %s, p90 %s, p99 %s, slowest %s\n",
		config.Count(len(times), "answer"), took.Round(time.Millisecond), float64(len(times))/took.Seconds(),
		at(50), at(90), at(99), at(100))
}

// percentile returns the p-th percentile of the sorted times, by nearest rank.
func percentile(times []time.Duration, p int) time.Duration {
	return times[max(0, (p*len(times)+99)/100-1)]
}

// kind returns the HTTP status, and the status or problem code in the answer's body.
func (a answer) kind() string {
	var body struct {
		Status any    `json:"status"`
		Code   string `json:"code"`
	}
	_ = json.Unmarshal([]byte(a.body), &body) // a proxy's answer may not be JSON
	what, _ := body.Status.(string)
	return strings.TrimSpace(fmt.Sprintf("%d %s", a.code, cmp.Or(body.Code, what)))
}
