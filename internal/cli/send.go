package cli

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

// sender sends deliveries to one endpoint.
type sender struct {
	url      string
	provider *verify.Provider
	key      secret.Secret
	event    string
	data     []byte // of every delivery; nil: made up, each one another
	body     []byte // of every delivery, as it is but for its time; nil: composed
	scheme   string
	age      time.Duration
	tamper   bool
	trust    trust
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
"bridge serve" takes it, and send it to the bridge. ENDPOINT is a provider's name or that of a
further endpoint.

The answers go to standard output, for more than one delivery their summary. The exit status is 0
when every delivery was accepted.`,
		Example: example(`  SECRETS=… bridge send ENDPOINT
  SECRETS=… bridge send ENDPOINT EVENT --url https://hooks.example.com
  SECRETS=… bridge send ENDPOINT EVENT --data data.json --scheme SCHEME
  SECRETS=… bridge send ENDPOINT --count 1000 --concurrency 32
  SECRETS=… bridge send ENDPOINT --tamper    # must be refused`),
		ValidArgsFunction: completeSend(environ),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return usageError{errors.New(example("send takes an endpoint and, if you like, an event: `bridge send ENDPOINT EVENT`; see `bridge send --help`"))}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if err := apart(c, "data", "body"); err != nil {
				return err
			}
			cfg, err := load(environ, func(variable string) bool { return s.uses(variable, args[0]) })
			if err != nil {
				return err
			}
			if err := s.prepare(cfg, args); err != nil {
				return err
			}
			if s.data, err = readFile(stdio.in, dataFile); err != nil {
				return usageError{fmt.Errorf("--data: %w", err)}
			}
			if s.body, err = readFile(stdio.in, bodyFile); err != nil {
				return usageError{fmt.Errorf("--body: %w", err)}
			}
			if count < 1 || concurrency < 1 {
				return usageError{errors.New("--count and --concurrency take numbers from 1")}
			}
			if stale && s.provider.Timeless {
				return usageError{fmt.Errorf("--stale: %s signs no time, so no delivery of its own is too old", s.provider.Title)}
			}
			if stale {
				s.age = 10 * 365 * 24 * time.Hour
			}
			encryption, err := s.trust.config()
			if err != nil {
				return err
			}
			s.client = &http.Client{
				Timeout: 30 * time.Second,
				Transport: &http.Transport{
					MaxIdleConnsPerHost: concurrency, MaxConnsPerHost: concurrency, Proxy: http.ProxyFromEnvironment,
					TLSClientConfig: encryption, ForceAttemptHTTP2: true,
				},
			}
			defer s.client.CloseIdleConnections()
			if meant := config.Similar(s.event, s.provider.Events); meant != "" && s.body == nil {
				_, _ = fmt.Fprintf(stdio.err, "bridge: %s sends no event %q that is known; did you mean %s? It is sent all the same\n", s.provider.Title, s.event, meant)
			}
			if count == 1 {
				return s.sendOne(c.Context(), stdio)
			}
			return s.sendMany(c.Context(), stdio, count, concurrency)
		},
	}
	f := c.Flags()
	f.StringVar(&s.url, "url", "", "where the bridge listens (default: HTTP_ADDR on this machine)")
	f.StringVar(&s.trust.authorities, "ca", "", "file with the authorities to trust in place of the system's, PEM: for an https URL with a certificate of your own")
	f.StringVar(&dataFile, "data", "", "file with the event's data, a JSON object; - for standard input")
	f.StringVar(&bodyFile, "body", "", "file with the whole body, sent with its times renewed; - for standard input")
	f.StringVar(&s.scheme, "scheme", "", "what to sign: "+schemesInWords()+" (default: as the endpoint is set)")
	f.BoolVar(&stale, "stale", false, "date the event ten years back: it must be refused")
	f.BoolVar(&s.tamper, "tamper", false, "change the data after signing: it must be refused")
	f.IntVar(&count, "count", 1, "how many deliveries to send, each an event of its own unless --data or --body is given")
	f.IntVar(&concurrency, "concurrency", 1, "how many to send at one time")
	_ = c.RegisterFlagCompletionFunc("scheme", completeScheme(environ))
	complete(c, "url")
	return c
}

// uses reports whether sending to the endpoint uses a variable.
func (s *sender) uses(variable, endpoint string) bool {
	prefix := "ENDPOINTS_"
	if p := providers.Of(endpoint); p != nil {
		prefix = p.Variable("")
	}
	return s.url == "" && slices.Contains([]string{"HTTP_ADDR", "TLS_CERT_FILE", "TLS_KEY_FILE"}, variable) || strings.HasPrefix(variable, prefix) && !strings.Contains(variable, ",")
}

// prepare finds the endpoint, its secret, what to sign and where to send it.
func (s *sender) prepare(cfg *config.Config, args []string) error {
	i := slices.IndexFunc(cfg.Endpoints, func(e config.Endpoint) bool { return e.Name == args[0] })
	if i < 0 || len(cfg.Endpoints[i].Secrets) == 0 || cfg.Endpoints[i].Vendor == nil {
		return unknownEndpoint(cfg, args[0])
	}
	endpoint := cfg.Endpoints[i]
	s.provider = endpoint.Vendor
	s.key = endpoint.Secrets[0]
	s.event = s.provider.Events[0]
	if len(args) == 2 {
		s.event = args[1]
	}
	switch allowed := s.provider.SchemeNames(); {
	case s.scheme == "":
		s.scheme = s.provider.SchemeToSign(endpoint.Signature)
	case !slices.Contains(allowed, s.scheme):
		return usageError{fmt.Errorf("--scheme: got %q; takes one of %s", s.scheme, strings.Join(allowed, ", "))}
	}
	switch {
	case s.url == "" && cfg.TLSCertFile != "":
		s.url, s.trust.exactly = "https://"+local(cfg.HTTPAddr), string(cfg.TLSCertFile)
	case s.url == "":
		s.url = "http://" + local(cfg.HTTPAddr)
	}
	if u, err := url.Parse(s.url); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return usageError{fmt.Errorf("--url: got %q; takes the bridge's address, such as https://hooks.example.com", s.url)}
	}
	s.url = strings.TrimSuffix(s.url, "/")
	if path := "/webhooks/" + endpoint.Name; !strings.HasSuffix(s.url, path) { // the whole of it is what vendors are told
		s.url += path
	}
	return nil
}

// unknownEndpoint returns the error of an endpoint without a secret, with what to do.
func unknownEndpoint(cfg *config.Config, name string) error {
	if p := providers.Of(name); p != nil {
		return usageError{fmt.Errorf("no secret is known for %s: set %s as for `bridge serve`", name, p.Variable("SECRETS"))}
	}
	if len(cfg.Endpoints) == 0 {
		return usageError{fmt.Errorf("no endpoint %q is known, nor any other: set its variables as for `bridge serve`, see `bridge config`", name)}
	}
	var known []string
	for _, e := range cfg.Endpoints {
		known = append(known, e.Name)
	}
	return usageError{fmt.Errorf("no endpoint %q is known, the environment has %s: set its variables ENDPOINTS_<i>_NAME, _PROVIDER and _SECRETS as for `bridge serve`", name, strings.Join(known, ", "))}
}

// readFile returns the content of a file, of standard input for -, nil for "".
func readFile(stdin io.Reader, name string) ([]byte, error) {
	switch name {
	case "":
		return nil, nil
	case "-":
		return io.ReadAll(stdin)
	}
	return os.ReadFile(name)
}

// unfit is the error of a delivery that can't be made, which is what it was to be made from.
func (s *sender) unfit(err error) error {
	switch {
	case s.data != nil:
		err = fmt.Errorf("--data: %w", err)
	case s.body != nil:
		err = fmt.Errorf("--body: %w", err)
	}
	return usageError{err}
}

// delivery makes one delivery's body and the headers that sign it.
func (s *sender) delivery() (body []byte, header http.Header, err error) {
	body = s.body
	var random [8]byte // by chance, not by the clock: two may be made at the same moment
	_, _ = rand.Read(random[:])
	id, at := hex.EncodeToString(random[:]), time.Now().Add(-s.age)
	if body == nil {
		if body, err = s.provider.NewBody(s.event, s.data, id); err != nil {
			return nil, nil, s.unfit(err)
		}
	}
	if body, err = s.provider.Renew(body, at); err != nil {
		return nil, nil, s.unfit(err)
	}
	if header, err = s.provider.SignDelivery(verify.Signing{Scheme: s.scheme, Key: s.key, Event: s.event, ID: id, Body: body, Time: at}); err != nil {
		return nil, nil, s.unfit(err)
	}
	if s.tamper {
		if body, err = verify.Tamper(body); err != nil {
			return nil, nil, s.unfit(err)
		}
	}
	return body, header, nil
}

// send sends one delivery and returns the answer.
func (s *sender) send(ctx context.Context) (status int, answer string, took time.Duration, err error) {
	body, header, err := s.delivery()
	if err != nil {
		return 0, "", 0, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return 0, "", 0, usageError{fmt.Errorf("--url: %w", err)}
	}
	request.Header = header
	request.Header.Set("Content-Type", "application/json")
	start := time.Now()
	response, err := s.client.Do(request)
	if err != nil {
		return 0, "", 0, fmt.Errorf("sending: %w", helpful(err))
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
		return fmt.Errorf("the delivery was refused: %d%s", status, s.remedy(status))
	}
	return nil
}

// remedy returns what to do about a delivery that was answered so, "" where the answer says all.
func (s *sender) remedy(status int) string {
	switch status {
	case http.StatusUnauthorized:
		if s.tamper || s.age > 0 { // as it must be
			return ""
		}
		return "; the bridge there has another secret or scheme, or its clock differs: use its environment, and see its log"
	case http.StatusNotFound:
		return "; the bridge there has no such endpoint, or --url is not its address: its log line \"listening\" lists the endpoints"
	case http.StatusMethodNotAllowed:
		return "; a redirect has made it a GET, as a rule: give --url the address that it leads to, such as https://…"
	case http.StatusServiceUnavailable:
		return "; it can't be stored now: `bridge health` there says why"
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		return "; that is a proxy's answer: it doesn't reach the bridge"
	}
	return ""
}

// sendMany sends count deliveries and prints how often each answer came and how long answers took.
func (s *sender) sendMany(ctx context.Context, stdio stdio, count, concurrency int) error {
	var mu sync.Mutex
	answers := make(map[string]int)
	times := make([]time.Duration, 0, count)
	refused := 0
	group, sending := errgroup.WithContext(ctx)
	group.SetLimit(concurrency)
	start := time.Now()
	for range count {
		if sending.Err() != nil {
			break
		}
		group.Go(func() error {
			status, answer, took, err := s.send(sending)
			if err != nil {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			answers[kind(status, answer)]++
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
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted after %d of %d deliveries", len(times), count)
	case err != nil:
		return err
	case refused > 0:
		return fmt.Errorf("%d of %d deliveries were refused", refused, count)
	}
	return nil
}
