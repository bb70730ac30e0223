package cli

import (
	"context"
	"net"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/app"
	"github.com/ade15e70/webhook-bridge/internal/inspect"
)

const defaultPageAddr = "127.0.0.1:8088"

func inspectCommand(prog program) *cobra.Command {
	var addr string
	c := &cobra.Command{
		Use:   "inspect",
		Short: "Show events, the stream and the quarantine on a live page",
		Long: `Serve a page on this machine that shows events as they come, each one whole, the state of the stream
and its consumers, and the quarantine. Its URL is printed on standard output. The page only reads.
While NATS is away, the page says so.

It listens on loopback only, because the page shows everything that the account may read.`,
		Example: "  bridge inspect\n  NATS_URL=nats://nats:4222 bridge inspect --addr 127.0.0.1:9000",
		RunE: func(c *cobra.Command, _ []string) error {
			if !config.IsLoopback(addr) {
				return usagef("--addr: got %q; takes an address on loopback, such as %s", addr, defaultPageAddr)
			}
			cfg, err := prog.load(streamVariables...)
			if err != nil {
				return err
			}
			listener, err := app.Listen(c.Context(), "--addr", addr)
			if err != nil {
				return err
			}
			defer func() { _ = listener.Close() }()
			prog.print("%s", pageURL(listener))
			prog.say("open it in a browser on this machine; Ctrl-C ends it")
			return prog.servePage(c.Context(), listener, cfg)
		},
	}
	c.Flags().StringVar(&addr, "addr", defaultPageAddr, "loopback `address` of the page")
	return c
}

func pageURL(listener net.Listener) string { return "http://" + listener.Addr().String() + "/" }

// servePage serves the page until the context ends, also while NATS is away.
func (p program) servePage(ctx context.Context, listener net.Listener, cfg *config.Config) error {
	s, err := p.connect(ctx, cfg,
		nats.RetryOnFailedConnect(true), nats.Timeout(2*time.Second), nats.ReconnectWait(500*time.Millisecond),
		nats.PingInterval(5*time.Second), nats.MaxPingsOutstanding(2), // a silent server is noticed after 15 s
		nats.ConnectHandler(func(nc *nats.Conn) { p.say("connected to NATS at %s", nc.ConnectedAddr()) }),
	)
	if err != nil {
		return unlessEnded(ctx, err)
	}
	defer s.js.Conn().Close()
	return inspect.New(s.js, inspect.Config{
		Stream: cfg.StreamName, Prefix: cfg.SubjectPrefix,
		NATS:    strings.ReplaceAll(config.HideUser(s.server.URL), "[hidden]@", ""),
		Command: programName(), Endpoint: example("ENDPOINT"), Secrets: example("SECRETS"), Version: version(),
	}).Serve(ctx, listener)
}
