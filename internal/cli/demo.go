package cli

import (
	"cmp"
	"context"
	"crypto/rand"
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

	"github.com/caarlos0/env/v11"
	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/event"
	"github.com/ade15e70/webhook-bridge/internal/app"
	"github.com/ade15e70/webhook-bridge/internal/telemetry"
	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

func demoCommand(prog program) *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Run a bridge on this machine and send it sample events",
		Long: `Run the bridge with an embedded nats-server and fresh random secrets, on loopback only, in a
directory that is removed at the end. Send the vendors' sample events to it, print each as a
subscriber receives it, serve the live page of "bridge inspect", and stay up until Ctrl-C.

HTTP_ADDR, ADMIN_ADDR and EMBEDDED_NATS_ADDR set other loopback addresses. If a default port is in
use, the demo takes a free one.`,
		RunE: func(c *cobra.Command, _ []string) error {
			dir, err := os.MkdirTemp("", "bridge-demo-")
			if err != nil {
				return fmt.Errorf("making a directory: %w", err)
			}
			defer func() { _ = os.RemoveAll(dir) }()
			d := demo{prog: prog}
			if err := d.start(c.Context(), dir); err != nil {
				return err
			}
			work, ctx := errgroup.WithContext(c.Context())
			work.Go(func() error { return d.bridge.Run(ctx) })
			work.Go(func() error { return quiet.servePage(ctx, d.page, d.config) })
			work.Go(func() error { return unlessEnded(ctx, d.show(ctx)) })
			return work.Wait()
		},
	}
}

type demo struct {
	prog   program
	config *config.Config
	bridge *app.App
	page   net.Listener
}

// start configures and binds the bridge and the page, which don't serve yet.
func (d *demo) start(ctx context.Context, dir string) (err error) {
	vars := []string{"DATA_DIR=" + dir, "LOG_FORMAT=console", "LOG_LEVEL=warn"}
	for _, p := range providers.All {
		vars = append(vars, p.Variable("SECRETS")+"="+rand.Text())
	}
	set := env.ToMap(d.prog.environ)
	var problems config.Problems
	for _, listener := range []struct{ name, address string }{
		{"HTTP_ADDR", "127.0.0.1:8080"}, {"ADMIN_ADDR", "127.0.0.1:9090"}, {"EMBEDDED_NATS_ADDR", "127.0.0.1:4222"},
	} {
		address := cmp.Or(set[listener.name], defaultOrFree(ctx, listener.address))
		if !config.IsLoopback(address) {
			problems = append(problems, config.Problem{
				Variable: listener.name, Got: strconv.Quote(address), Message: "the demo takes only a loopback address and a port number, such as " + listener.address,
			})
		}
		vars = append(vars, listener.name+"="+address)
	}
	if problems != nil {
		return problems
	}
	if d.config, _, err = config.Load(vars); err != nil {
		return err
	}
	if d.bridge, err = app.New(ctx, d.config, version(), telemetry.NewLogger(d.prog.err, d.config.LogFormat, d.config.LogLevel)); err != nil {
		return err
	}
	// After the bridge's, because a variable may give the bridge the page's usual port.
	if d.page, err = new(net.ListenConfig).Listen(ctx, "tcp", defaultOrFree(ctx, defaultPageAddr)); err != nil {
		return fmt.Errorf("listening for the live page: %w", err)
	}
	d.config.EmbeddedNATSAddr = strings.TrimPrefix(d.bridge.NATSURL(), "nats://") // with the port that it got
	return nil
}

// defaultOrFree returns the address or, if that is in use, one with a free port.
func defaultOrFree(ctx context.Context, address string) string {
	if probe, err := new(net.ListenConfig).Listen(ctx, "tcp", address); err == nil && probe.Close() == nil {
		return address
	}
	return "127.0.0.1:0"
}

// show sends the samples, prints each as a subscriber receives it, and then prints what to try next.
func (d *demo) show(ctx context.Context) error {
	nc, err := nats.Connect(d.bridge.NATSURL())
	if err != nil {
		return fmt.Errorf("connecting to the embedded nats-server: %w", err)
	}
	defer nc.Close()
	events, err := nc.SubscribeSync(d.config.SubjectPrefix + ".>")
	if err == nil {
		err = nc.Flush() // the server must know of it before the first event
	}
	if err != nil {
		return fmt.Errorf("subscribing to the events: %w", err)
	}
	d.prog.print("Sample events, sent to http://%s, as a NATS subscriber receives them:", d.bridge.PublicAddr())
	lines := printer{out: d.prog.out, prefix: d.config.SubjectPrefix, columns: 80}
	var first []byte
	for _, endpoint := range d.config.Endpoints {
		for _, body := range endpoint.Vendor.Samples {
			s := d.sender(endpoint)
			s.body = []byte(body)
			if got, err := s.send(ctx); err != nil || got.code != http.StatusOK {
				return errors.Join(fmt.Errorf("sending sample: answered %d: %s", got.code, got.body), err)
			}
			m, err := events.NextMsgWithContext(ctx)
			if err != nil {
				return fmt.Errorf("receiving the event: %w", err)
			}
			e, err := event.Parse(m.Data)
			if err != nil {
				return err
			}
			lines.print(m.Subject, &e, time.Now())
			if first == nil {
				first = m.Data
			}
		}
	}
	return d.printCommands(first)
}

func (d *demo) sender(endpoint config.Endpoint) sender {
	s := sender{url: "http://" + d.bridge.PublicAddr(), client: http.DefaultClient}
	s.setEndpoint(endpoint)
	return s
}

var quiet = program{err: io.Discard}

func (d *demo) printCommands(event []byte) error {
	// The longest tolerance keeps the signed request good for hours.
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
	program, nats := programName(), d.bridge.NATSURL()
	bridge := "NATS_URL=" + nats + " " + program
	_, _ = fmt.Fprintf(d.prog.out, "\nThe first one:\n%s\nThe demo stays up. In another terminal:\n", envelope(event))
	for _, line := range []string{
		fmt.Sprintf("%s=%s %s send %s --url http://%s",
			first.Variable("SECRETS"), first.Secrets[0].Key(), program, first.Name, d.bridge.PublicAddr()),
		fmt.Sprintf("curl -i '%s' -H '%s: %s' -d '%s'", s.url, p.Signature.Header, header.Get(p.Signature.Header), body),
		bridge + " tail --since 1h",
		bridge + " forward --to http://localhost:3000/hook",
		fmt.Sprintf("nats sub -s %s '%s.>'", nats, d.config.SubjectPrefix),
	} {
		d.prog.print("  %s", line)
	}
	d.prog.print("The live page: %s", pageURL(d.page))
	d.prog.print("Metrics: http://%s/metrics   Ctrl-C ends it.", d.bridge.AdminAddr())
	return nil
}

// envelope formats an event with one attribute per line, and the vendor's body truncated to one line.
func envelope(event []byte) string {
	attributes, body, _ := strings.Cut(string(event), `,"data":`) // the last member
	text := strings.TrimSuffix(string(indented([]byte(attributes+"}"))), "\n}\n")
	return text + ",\n" + truncate(`  "data": `+strings.TrimSuffix(body, "}"), 80) + "\n}\n"
}

// programName returns the command that runs this program again: go run removes the binary.
func programName() string {
	if strings.Contains(os.Args[0], "go-build") {
		return "go run ./cmd/bridge"
	}
	return os.Args[0]
}
