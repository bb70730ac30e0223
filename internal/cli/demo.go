package cli

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/event"
	"github.com/ade15e70/webhook-bridge/internal/app"
	"github.com/ade15e70/webhook-bridge/internal/stream"
	"github.com/ade15e70/webhook-bridge/internal/telemetry"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

func demoCommand(environ []string, stdio stdio) *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Run all of it on this machine and send sample events",
		Long: `Run the bridge with an embedded nats-server and fresh random secrets, on loopback only, in a
directory that is removed at the end. Send the vendors' sample events to it, print each as a
subscriber receives it, serve the live page of "bridge inspect", and stay up until Ctrl-C.

HTTP_ADDR, ADMIN_ADDR and EMBEDDED_NATS_ADDR may say other loopback addresses; where a default one
is in use a free port is taken.`,
		Example: "  bridge demo",
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, cancel := context.WithCancel(c.Context())
			defer cancel()
			d := demo{io: stdio}
			if err := d.start(ctx, environ); err != nil {
				return err
			}
			defer func() { _ = os.RemoveAll(d.dir) }()
			stopped, closed := make(chan error, 1), make(chan error, 1)
			go func() { stopped <- d.bridge.Run(ctx) }()
			go func() { closed <- d.page.serve(ctx) }()
			defer func() {
				cancel()
				if err := <-closed; err != nil {
					stdio.say("serving the live page: %v", err)
				}
			}()
			if err := d.show(ctx); err != nil && ctx.Err() == nil { // not because of Ctrl-C
				cancel()
				return errors.Join(err, <-stopped)
			}
			return <-stopped // after Ctrl-C, or when it breaks
		},
	}
}

// demo is a bridge of its own, and its live page.
type demo struct {
	io     stdio
	dir    string
	config *config.Config
	bridge *app.App
	page   *page
	first  []byte // of the events
}

// start makes the bridge and the page, which serve once they are run.
func (d *demo) start(ctx context.Context, environ []string) (err error) {
	if d.dir, err = os.MkdirTemp("", "bridge-demo-"); err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(d.dir)
		}
	}()
	vars := []string{"DATA_DIR=" + d.dir, "LOG_FORMAT=console", "LOG_LEVEL=warn"}
	for _, p := range providers.All {
		vars = append(vars, p.Variable("SECRETS")+"="+rand.Text())
	}
	var problems config.Problems
	for _, listener := range []struct{ variable, usual string }{
		{"HTTP_ADDR", "127.0.0.1:8080"}, {"ADMIN_ADDR", "127.0.0.1:9090"}, {"EMBEDDED_NATS_ADDR", "127.0.0.1:4222"},
	} {
		address, problem := loopback(ctx, environ, listener.variable, listener.usual)
		if problem != nil {
			problems = append(problems, *problem)
		}
		vars = append(vars, listener.variable+"="+address)
	}
	if len(problems) > 0 {
		return problems
	}
	if d.config, _, err = config.Load(vars); err != nil {
		return err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", usualPage)
	if err != nil {
		if listener, err = new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0"); err != nil {
			return fmt.Errorf("listening for the live page: %w", err)
		}
	}
	if d.bridge, err = app.New(ctx, d.config, version(), telemetry.NewLogger(d.io.err, d.config.LogFormat, d.config.LogLevel)); err != nil {
		return errors.Join(err, listener.Close())
	}
	d.page, err = openPage(listener, d.config, d.bridge.NATSURL(), quiet)
	return err
}

// loopback returns the variable's address, which must be on loopback, or else the usual one, or a free
// one if that is in use.
func loopback(ctx context.Context, environ []string, variable, usual string) (string, *config.Problem) {
	for _, assignment := range environ {
		value, ok := strings.CutPrefix(assignment, variable+"=")
		if !ok || value == "" {
			continue
		}
		var address config.Address
		if err := address.UnmarshalText([]byte(value)); err != nil || !address.IsLoopback() {
			return "", &config.Problem{Variable: variable, Got: strconv.Quote(value), Takes: "for the demo an address on loopback, such as " + usual}
		}
		return value, nil
	}
	if probe, err := new(net.ListenConfig).Listen(ctx, "tcp", usual); err == nil && probe.Close() == nil {
		return usual, nil
	}
	return "127.0.0.1:0", nil
}

// show sends the samples, prints what a subscriber receives, and says how to go on.
func (d *demo) show(ctx context.Context) error {
	if err := d.awaitReady(ctx); err != nil {
		return err
	}
	js, err := connectTo(d.config, d.bridge.NATSURL(), quiet)
	if err != nil {
		return err
	}
	defer js.Conn().Close()
	ctx, cancel := context.WithCancel(ctx)
	received := make(chan struct{})
	followed := make(chan struct{})
	var followErr error
	go func() {
		defer close(followed)
		all := stream.Section{Stream: string(d.config.StreamName), Subjects: []string{string(d.config.SubjectPrefix) + ".>"}, Since: stream.Beginning}
		lines := printer{out: d.io.out, prefix: string(d.config.SubjectPrefix), columns: 80}
		followErr = followSection(ctx, js, all, quiet, func(m stream.Message) error {
			e, none := event.Parse(m.Data())
			err := lines.print(m.Subject(), &e, none, time.Now())
			if d.first == nil {
				d.first = bytes.Clone(m.Data())
			}
			select {
			case received <- struct{}{}:
			case <-ctx.Done():
			}
			return err
		})
	}()
	defer func() {
		cancel()
		<-followed
	}()
	_, _ = fmt.Fprintf(d.io.out, "Sample events, sent to http://%s, as a subscriber of NATS has them:\n", d.bridge.PublicAddr())
	for _, endpoint := range d.config.Endpoints {
		bodies, err := endpoint.Vendor.SampleBodies()
		if err != nil {
			return err
		}
		for _, body := range bodies {
			s := d.sender(endpoint)
			s.body = body
			if status, answer, _, err := s.send(ctx); err != nil || status != http.StatusOK {
				return errors.Join(fmt.Errorf("sending sample: answered %d: %s", status, answer), err)
			}
			select {
			case <-received:
			case <-followed:
				return errors.Join(errors.New("the subscription ended"), followErr)
			case <-ctx.Done():
				return nil
			}
		}
	}
	return d.invite()
}

// awaitReady waits until an event can be made durable.
func (d *demo) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		_, err := getHealth(ctx, "http://"+d.bridge.AdminAddr()+"/readyz")
		if err == nil {
			return nil
		}
		if wait(ctx, 20*time.Millisecond); ctx.Err() != nil {
			return fmt.Errorf("waiting for the bridge: %w", err)
		}
	}
}

func (d *demo) sender(endpoint config.Endpoint) sender {
	return newSender(endpoint, "http://"+d.bridge.PublicAddr())
}

// quiet discards messages.
var quiet = stdio{err: io.Discard}

// invite prints commands that work as they stand while the demo runs.
func (d *demo) invite() error {
	// With the longest tolerance, so that it still works after lunch.
	pasted := slices.MaxFunc(d.config.Endpoints, func(a, b config.Endpoint) int { return cmp.Compare(a.Tolerance, b.Tolerance) })
	s, p := d.sender(pasted), pasted.Vendor
	var err error
	if s.body, err = p.NewBody(s.event, nil, "from-curl"); err != nil {
		return err
	}
	body, header, err := s.delivery()
	if err != nil {
		return err
	}
	first := d.config.Endpoints[0]
	program, nats := commandName(os.Executable, os.Args[0]), d.bridge.NATSURL()
	bridge := program
	if nats != "nats://127.0.0.1:4222" { // where the commands look without it
		bridge = "NATS_URL=" + nats + " " + bridge
	}
	at := ""
	if addr := d.bridge.PublicAddr(); addr != "127.0.0.1:8080" { // the default
		at = " --url http://" + addr
	}
	_, _ = fmt.Fprintf(d.io.out, "\nThe first one:\n%s\nIt stays up. In another terminal:\n", envelope(d.first))
	for _, line := range []string{
		fmt.Sprintf("%s=%s %s send %s%s", first.Variable("SECRETS"), first.Secrets[0].Key(), program, first.Name, at),
		fmt.Sprintf("curl -i '%s' -H '%s: %s' -d '%s'", s.url, p.Header, header.Get(p.Header), body),
		bridge + " tail --since 1h",
		bridge + " forward --to http://localhost:3000/hook",
		fmt.Sprintf("nats sub -s %s '%s.>'", nats, d.config.SubjectPrefix),
	} {
		_, _ = fmt.Fprintln(d.io.out, "  "+line)
	}
	_, err = fmt.Fprintf(d.io.out, "The live page: %s\nMetrics: http://%s/metrics   Ctrl-C ends it.\n", d.page.url(), d.bridge.AdminAddr())
	return err
}

// envelope formats an event: an attribute a line, the vendor's body cut to fit one.
func envelope(payload []byte) string {
	var attributes map[string]json.RawMessage
	if json.Unmarshal(payload, &attributes) != nil {
		return string(payload) + "\n"
	}
	var out strings.Builder
	for line := range strings.Lines(string(indented(payload))) {
		name, _, isAttribute := strings.Cut(strings.TrimPrefix(line, "  "), ":")
		switch {
		case strings.HasPrefix(line, "    ") || line == "  }\n": // of the body
		case isAttribute && name == `"data"`:
			body := fmt.Sprintf("  %s: %s", name, attributes["data"])
			out.WriteString(cut(body, 80) + "\n")
		default:
			out.WriteString(line)
		}
	}
	return out.String()
}

// commandName returns how to call this program again. After go run its file is gone.
func commandName(executable func() (string, error), called string) string {
	path, err := executable()
	switch {
	case err != nil || strings.Contains(path, "go-build"):
		return "go run ./cmd/bridge"
	case strings.ContainsAny(called, " '\"$&()*;<>?[\\]`{|}~"):
		return "'" + strings.ReplaceAll(called, "'", `'\''`) + "'"
	}
	return called
}
