package cli

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"time"

	"github.com/nats-io/nats-server/v2/conf"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/deploy/nats"
	"github.com/ade15e70/webhook-bridge/internal/app"
)

// isConsumerName reports whether a durable consumer may have this name.
var isConsumerName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`).MatchString

// setConsumer returns a function for a flag that takes the name of a durable consumer. It refuses "", too.
func setConsumer(to *string) func(string) error {
	return func(name string) error {
		if !isConsumerName(name) {
			return errors.New("takes 1 to 64 of A-Z, a-z, 0-9, _ and -")
		}
		*to = name
		return nil
	}
}

var streamFormats = []string{"nats", "nack", "json", "accounts", "nsc"}

func streamCommand(prog program) *cobra.Command {
	var format, durable string
	var deadLetters bool
	c := &cobra.Command{
		Use:   "stream",
		Short: "Print the streams and accounts that the bridge needs",
		Long: `Print the streams that the bridge needs, for somebody else to create: as commands of "nats", as
resources of NACK (JetStream's controller for Kubernetes), or as a JSON array of configurations for
"nats stream add --config". With STREAM_MANAGE=true the bridge creates them itself. --dead-letters
adds the stream of consumers' dead letters. --consumer NAME adds a durable consumer of all events;
the consumer libraries can use it with the filter <SUBJECT_PREFIX>.>.

--format accounts prints the account and its users, with the fewest rights, as nats-server's
configuration; --format nsc prints them as commands of "nsc", for an operator that issues JWTs.`,
		Example: `  bridge stream | sh
  STREAM_REPLICAS=3 bridge stream --format nack | kubectl apply -f -
  bridge stream --format json | jq '.[0]'
  bridge stream --format accounts > accounts.conf`,
		RunE: func(*cobra.Command, []string) error {
			switch {
			case !slices.Contains(streamFormats, format):
				return usagef("--format: got %q; takes %s", format, inWords(streamFormats, "or"))
			case durable != "" && format != "nats" && format != "nack":
				return usagef("--consumer needs --format nats or nack")
			}
			// The embedded server needs no commands, so the streams are for another NATS, which may keep
			// several replicas. Without endpoints, the duplicate window covers every vendor's defaults.
			external := program{environ: append(slices.Clip(prog.environ), "NATS_URL=nats://nats:4222")} // the last one counts
			cfg, err := external.load("SUBJECT_PREFIX", "QUARANTINE*", "NATS_JS_DOMAIN", "NATS_INBOX_PREFIX", "STREAM_*", "*_TOLERANCE", "ENDPOINTS_*")
			if err != nil {
				return err
			}
			return printStreams(prog.out, cfg, format, durable, deadLetters)
		},
	}
	c.Flags().StringVar(&format, "format", "nats", "print in this `format`: "+inWords(streamFormats, "or"))
	c.Flags().Func("consumer", "add a durable consumer of this `name`", setConsumer(&durable))
	c.Flags().BoolVar(&deadLetters, "dead-letters", false, "add the stream of consumers' dead letters")
	return c
}

func printStreams(w io.Writer, cfg *config.Config, format, durable string, deadLetters bool) error {
	all := manifest{Consumer: durable, Stream: cfg.StreamName, Prefix: cfg.SubjectPrefix, Domain: cfg.NATSJSDomain}
	events, kept := app.Streams(cfg)
	all.Streams = []jetstream.StreamConfig{events.Config()}
	if cfg.Quarantine {
		all.Streams = append(all.Streams, kept.Config())
	}
	if deadLetters {
		dead := events.Config()
		dead.Name, dead.Subjects = dead.Name+"_DEAD", []string{cfg.SubjectPrefix + "-dead.>"}
		dead.Description, dead.MaxAge = "Events that a consumer could not handle", 30*24*time.Hour
		all.Streams = append(all.Streams, dead)
	}
	switch format {
	case "json":
		encoder := json.NewEncoder(w)
		encoder.SetEscapeHTML(false) // subjects end in >
		encoder.SetIndent("", "  ")
		return encoder.Encode(all.Streams)
	case "accounts", "nsc":
		accounts := accountsFor(cfg)
		if format == "accounts" {
			_, err := io.WriteString(w, accounts)
			return err
		}
		parsed, err := conf.Parse("BRIDGE_PASSWORD: x\nOPERATOR_PASSWORD: x\n" + accounts)
		if err != nil {
			return fmt.Errorf("reading accounts: %w", err)
		}
		all.Accounts = parsed["accounts"]
	}
	return templates.ExecuteTemplate(w, format+".tmpl", all)
}

// manifest is the data of the templates.
type manifest struct {
	Streams                  []jetstream.StreamConfig
	Consumer, Stream, Prefix string // a durable consumer of all events; Consumer "": none
	Domain                   string // of JetStream, or ""
	Accounts                 any    // as parsed from nats-server's configuration
}

//go:embed templates
var templateFiles embed.FS

var templates = template.Must(template.New("").Funcs(template.FuncMap{
	"lower": func(v fmt.Stringer) string { return strings.ToLower(v.String()) },
	"quote": func(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" },
	// "nats" takes no number of bytes of 2 GiB or more without a unit.
	"size":     func(bytes int64) config.Size { return config.Size(bytes) },
	"resource": func(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "-")) },
}).ParseFS(templateFiles, "templates/*.tmpl"))

var quoted = regexp.MustCompile(`"[^"]*"`)

// accountsFor returns the account's configuration with these names.
func accountsFor(cfg *config.Config) string {
	api := "$JS.API"
	if cfg.NATSJSDomain != "" {
		api = "$JS." + cfg.NATSJSDomain + ".API"
	}
	accounts := quoted.ReplaceAllStringFunc(nats.Accounts,
		strings.NewReplacer("WEBHOOKS", cfg.StreamName, "webhooks", cfg.SubjectPrefix, "$JS.API", api).Replace)
	if cfg.NATSInboxPrefix == "_INBOX" { // the default, on which every client's answers come
		return accounts
	}
	return strings.ReplaceAll(accounts, "_INBOX_bridge", cfg.NATSInboxPrefix)
}
