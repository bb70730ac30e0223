package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/template"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"github.com/ade15e70/webhook-bridge/internal/app"
)

func streamCommand(environ []string, stdio stdio) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "stream",
		Short: "Print the streams that the bridge needs",
		Long: `Print the streams that the bridge's settings need, for somebody else to create: as commands of
"nats", as resources of NACK (JetStream's controller for Kubernetes), or as JSON, an array of what
"nats stream add --config" reads. With STREAM_MANAGE=true the bridge creates them itself.`,
		Example: "  bridge stream | sh\n  STREAM_REPLICAS=3 bridge stream --format nack | kubectl apply -f -\n  bridge stream --format json | jq '.[0]'",
		Args:    noArguments,
		RunE: func(*cobra.Command, []string) error {
			// The streams are for an external NATS, which may have more replicas than the embedded server.
			cfg, err := load(append([]string{"NATS_URL=nats://nats:4222"}, environ...), usedByStream)
			if err != nil {
				return err
			}
			var streams []jetstream.StreamConfig
			for _, s := range app.Streams(cfg) {
				streams = append(streams, s.Config())
			}
			switch format {
			case "nats":
				return streamsAs(stdio.out, natsCommands, streams)
			case "nack":
				return streamsAs(stdio.out, nackResources, streams)
			case "json":
				encoder := json.NewEncoder(stdio.out)
				encoder.SetEscapeHTML(false) // subjects end in >
				encoder.SetIndent("", "  ")
				return encoder.Encode(streams)
			}
			return usageError{fmt.Errorf("--format: got %q; takes nats, nack or json", format)}
		},
	}
	c.Flags().StringVar(&format, "format", "nats", "nats, nack or json")
	complete(c, "format", "nats", "nack", "json")
	return c
}

// usedByStream reports whether the command uses the variable. It needs no secrets: without endpoints, the
// duplicate window covers every vendor's defaults.
func usedByStream(variable string) bool {
	switch variable {
	case "SUBJECT_PREFIX", "QUARANTINE", "QUARANTINE_MAX_BYTES":
		return true
	}
	return strings.HasPrefix(variable, "STREAM_") || strings.HasSuffix(variable, "_TOLERANCE") || strings.HasPrefix(variable, "ENDPOINTS_")
}

// streamsAs writes each stream by a template.
func streamsAs(w io.Writer, with *template.Template, streams []jetstream.StreamConfig) error {
	for _, s := range streams {
		if err := with.Execute(w, s); err != nil {
			return fmt.Errorf("printing stream %s: %w", s.Name, err)
		}
	}
	return nil
}

var streamFunctions = template.FuncMap{
	"lower": func(v fmt.Stringer) string { return strings.ToLower(v.String()) },
	"quote": func(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" },
	"yaml":  yamlScalar,
	"seconds": func(d time.Duration) string {
		return fmt.Sprintf("%ds", int64(d/time.Second))
	},
	"resource": func(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "-")) },
	"discard": func(p jetstream.DiscardPolicy) string {
		if p == jetstream.DiscardNew {
			return "new"
		}
		return "old"
	},
}

// yamlScalar returns a value in JSON, which is also YAML, without escaping <, > and &.
func yamlScalar(v any) (string, error) {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(v)
	return strings.TrimSpace(b.String()), err
}

var natsCommands = template.Must(template.New("nats").Funcs(streamFunctions).Parse(
	`nats stream add {{.Name}} --description={{quote .Description}} --subjects={{range .Subjects}}{{quote .}}{{end}} \
  --storage={{lower .Storage}} --retention={{lower .Retention}} --discard={{discard .Discard}} --replicas={{.Replicas}} \
  {{with .MaxAge}}--max-age={{seconds .}} {{end}}--max-bytes={{.MaxBytes}} --dupe-window={{seconds .Duplicates}} --allow-direct --defaults
`))

var nackResources = template.Must(template.New("nack").Funcs(streamFunctions).Parse(`---
apiVersion: jetstream.nats.io/v1beta2
kind: Stream
metadata:
  name: {{resource .Name}}
spec:
  name: {{.Name}}
  description: {{yaml .Description}}
  subjects: {{yaml .Subjects}}
  storage: {{lower .Storage}}
  retention: {{lower .Retention}}
  discard: {{discard .Discard}}
  replicas: {{.Replicas}}
{{- with .MaxAge}}
  maxAge: {{seconds .}}
{{- end}}
  maxBytes: {{.MaxBytes}}
  duplicateWindow: {{seconds .Duplicates}}
  allowDirect: true
`))
