package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/app"
	"github.com/ade15e70/webhook-bridge/internal/diagnosis"
)

type verifyOptions struct {
	endpoint    string // "": that of the captured request
	file        string // the whole request, or a body alone; "" or -: standard input
	headersFile string
	bodyFile    string
	headers     []string
	at          string
}

func verifyCommand(prog program) *cobra.Command {
	var v verifyOptions
	c := &cobra.Command{
		Use:   "verify [ENDPOINT] [FILE]",
		Short: "Explain how the bridge answers a captured delivery",
		Long: `Print how the bridge answers a captured delivery, and why: the scheme and the secret that verify it;
or, step by step, why none does, and what to do about it. Nothing is sent or stored.

FILE, or standard input, has the request: as it is on the wire, as "curl -v" or "tcpdump -A" shows
it, or with a prefix on each line. The body follows the headers and an empty line; "curl -v" shows
no body: append it to the output. FILE may also be a JSON body alone; then -H or --headers gives the
headers. The secrets and settings are taken from the environment, as for "bridge serve". ENDPOINT is
the endpoint's name; by default the one in the request's path, or the only one.

A captured delivery is old. Unless --at or a Date header says when it was received, its age isn't
judged, and the times at which it would have been accepted are printed. The exit status is 0 if the
bridge would publish it, else 1.`,
		Example: `  SECRETS=… bridge verify request.txt
  SECRETS=… bridge verify ENDPOINT --body b.json -H 'HEADER: 0f…'
  kubectl exec -i POD -- /bridge verify ENDPOINT < request.txt`,
		Args: takes(0, 2, "an endpoint's name, a file, both or neither"),
		RunE: func(c *cobra.Command, args []string) error {
			cfg, err := prog.load(endpointVariables("MAX_BODY_BYTES", "QUARANTINE")...)
			if err != nil {
				return err
			}
			if err := v.arguments(cfg, args); err != nil {
				return err
			}
			delivery, err := v.read(c.Context(), prog, cfg)
			if err != nil {
				return err
			}
			report, err := v.diagnose(cfg, delivery, time.Now())
			if err != nil {
				return err
			}
			printReport(prog.out, report)
			if !report.Accepted {
				return errors.New("the bridge does not publish this delivery")
			}
			return nil
		},
	}
	f := c.Flags()
	f.StringVar(&v.headersFile, "headers", "", "`file` with the headers, one per line")
	f.StringVar(&v.bodyFile, "body", "", "`file` with the body, byte for byte; - for standard input")
	f.StringArrayVarP(&v.headers, "header", "H", nil, example("a `header`, as for curl: 'HEADER: 0f…'; may be repeated"))
	f.StringVar(&v.at, "at", "",
		"`time` at which the bridge received it, such as 2026-01-02T03:04:05Z, or now (default: the Date header; else its age isn't judged)")
	return c
}

func (v *verifyOptions) arguments(cfg *config.Config, args []string) error {
	if len(cfg.Endpoints) == 0 {
		return usagef("no endpoint is configured: set %s, or the variables of your endpoint, as for `bridge serve`", example("SECRETS"))
	}
	if len(args) == 2 || len(args) == 1 && slices.Contains(endpointsOf(cfg), args[0]) {
		if _, err := endpointNamed(cfg, args[0]); err != nil {
			return err
		}
		v.endpoint, args = args[0], args[1:]
	}
	if len(args) == 1 {
		v.file = args[0]
	}
	if v.file != "" && v.bodyFile != "" {
		return usagef("FILE and --body exclude each other: FILE has the headers too; see `bridge verify --help`")
	}
	return nil
}

func (v *verifyOptions) read(ctx context.Context, prog program, cfg *config.Config) (d diagnosis.Delivery, err error) {
	if v.bodyFile != "" {
		if d.Body, err = prog.readInput(ctx, "--body", v.bodyFile); err != nil {
			return d, err
		}
	} else {
		name := cmp.Or(v.file, "-")
		text, err := prog.readInput(ctx, "FILE", name)
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%w; nor is it one of the endpoints: %s", err, strings.Join(endpointsOf(cfg), ", "))
		}
		if err != nil {
			return d, err
		}
		if d, err = diagnosis.Parse(text); err != nil {
			return d, usagef("%s: %w", inputName(name), err)
		}
	}
	if v.headersFile != "" {
		text, err := prog.readInput(ctx, "--headers", v.headersFile)
		if err != nil {
			return d, err
		}
		more, err := diagnosis.ParseHeader(text)
		if err != nil {
			return d, usagef("--headers: %s: %w", v.headersFile, err)
		}
		if d.Method == "" {
			d.Method, d.Target, d.Version = more.Method, more.Target, more.Version
		}
		d.Header, d.Notes = append(d.Header, more.Header...), append(d.Notes, more.Notes...)
	}
	for _, header := range v.headers {
		more, err := diagnosis.ParseHeader([]byte(header))
		if err != nil {
			return d, usagef("%s", example("-H: takes a header with its name, such as 'HEADER: 0f…'"))
		}
		d.Header = append(d.Header, more.Header...)
	}
	return d, nil
}

// diagnose returns how a bridge with this configuration judges the delivery.
func (v *verifyOptions) diagnose(cfg *config.Config, d diagnosis.Delivery, now time.Time) (diagnosis.Report, error) {
	c := diagnosis.Case{Delivery: d, EndpointName: v.endpoint, Now: now, MaxBodyBytes: int64(cfg.MaxBodyBytes), Quarantine: cfg.Quarantine}
	var err error
	if c.Received, err = receivedAt(v.at, d, now); err != nil {
		return diagnosis.Report{}, err
	}
	for _, e := range cfg.Endpoints {
		c.Endpoints = append(c.Endpoints, diagnosis.Endpoint{Endpoint: app.Endpoint(e), Prefix: e.Variable(""), SecretsFrom: e.SecretsVariable()})
	}
	report, err := diagnosis.Diagnose(c)
	if err != nil {
		names := endpointsOf(cfg)
		return report, usagef("%w: name one of %s, as in `bridge verify %s`", err, strings.Join(names, ", "), names[0])
	}
	return report, nil
}

// receivedAt returns when the delivery was received: the time in --at, or else in the Date header. It
// returns zero if there is neither.
func receivedAt(at string, d diagnosis.Delivery, now time.Time) (time.Time, error) {
	switch at {
	case "":
		for _, value := range d.Values("Date") {
			if t, err := http.ParseTime(value); err == nil {
				return t, nil
			}
		}
		return time.Time{}, nil
	case "now":
		return now, nil
	}
	t, err := time.Parse(time.RFC3339, at)
	if err != nil {
		return t, usagef("--at: got %q; takes a time such as 2026-01-02T03:04:05Z, or now", at)
	}
	return t, nil
}

// printReport prints a diagnosis for people: a line for each step, then the causes and what to do.
func printReport(w io.Writer, r diagnosis.Report) {
	for _, s := range r.Steps {
		printFields(w, s.Name, s.Text)
	}
	for _, c := range r.Causes {
		name := "why"
		if !c.Proven {
			name = "perhaps"
		}
		_, _ = fmt.Fprintln(w)
		printFields(w, name, c.Problem, "do", c.Remedy)
	}
}
