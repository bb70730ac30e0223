package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/ade15e70/webhook-bridge/internal/diagnosis"
	"github.com/ade15e70/webhook-bridge/internal/quarantine"
)

func quarantineCommand(prog program) *cobra.Command {
	c := &cobra.Command{
		Use:   "quarantine",
		Short: "List, show, release or drop signed deliveries that could not be published",
		Long: `Manage deliveries that have a correct signature but could not be published: they can't be read as an
event, contradict themselves, or are too old or too far in the future. They are kept in the stream
<STREAM_NAME>_QUARANTINE.`,
		Example: `  bridge quarantine list
  bridge quarantine show 5e0c
  bridge quarantine release 5e0c
  bridge quarantine drop --all --reason stale`,
	}
	c.AddCommand(listCommand(prog), showCommand(prog), releaseCommand(prog), dropCommand(prog))
	return c
}

func listCommand(prog program) *cobra.Command {
	var which quarantineSelection
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List what is in quarantine, oldest first",
		Long: `List what is in quarantine, oldest first, one per line: time of receipt, endpoint, reason, size and
id. Bodies are not read.`,
		Example: "  bridge quarantine list\n  bridge quarantine list --endpoint ENDPOINT --reason stale --json",
		RunE: prog.withQuarantine(streamVariables, func(ctx context.Context, s *quarantineStore, _ []string) error {
			all, err := s.chosen(ctx, which)
			for _, k := range all {
				if asJSON {
					_ = json.NewEncoder(prog.out).Encode(k)
				} else {
					prog.printKept(k)
				}
			}
			return err
		}),
	}
	which.filterFlags(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per line: id, endpoint, provider, reason, received, bytes, sequence")
	return c
}

func (p program) printKept(k quarantine.Kept) {
	p.print("%s  %s  %s  %d bytes  id %s", formatTime(k.Received, time.Now(), milliseconds), k.Endpoint, k.Reason, k.Size, k.ID)
}

func showCommand(prog program) *cobra.Command {
	var raw bool
	c := &cobra.Command{
		Use:   "show ID",
		Short: "Print the body of one delivery as it was received",
		Long: `Print a delivery's body on standard output, as it was received, and its details on standard error.
The signature is not kept; in a body that held it, asterisks replace it. ID may be the beginning of
an id.`,
		Example: "  bridge quarantine show 5e0c\n  bridge quarantine show 5e0c > body.json\n  bridge quarantine show 5e0c --raw | SECRETS=… bridge verify",
		Args:    takes(1, 1, "one id or its beginning, as `bridge quarantine list` prints it"),
		RunE: prog.withQuarantine(streamVariables, func(ctx context.Context, s *quarantineStore, args []string) error {
			return s.show(ctx, args[0], func(d quarantine.Delivery) []byte {
				if !raw {
					return d.Body
				}
				header, err := prog.signAgain(d)
				if err != nil {
					s.say("without its signature, which isn't kept: %v", err)
				}
				return rawRequest(d, header)
			})
		}),
	}
	c.Flags().BoolVar(&raw, "raw", false, "print the whole request, signed again with the endpoint's secret, for \"bridge verify\"")
	return c
}

// rawRequest returns the request of a delivery, as far as it is known.
func rawRequest(d quarantine.Delivery, signature http.Header) []byte {
	r := diagnosis.Delivery{Method: http.MethodPost, Target: "/webhooks/" + d.Endpoint, Body: d.Body}
	r.Header = append(r.Header, diagnosis.Field{Name: "Host", Value: "bridge"}, diagnosis.Field{Name: "Date", Value: d.Received.UTC().Format(http.TimeFormat)})
	for _, name := range slices.Sorted(maps.Keys(signature)) {
		r.Header = append(r.Header, diagnosis.Field{Name: name, Value: signature[name][0]})
	}
	return r.Append(nil)
}

// signAgain returns the headers with which the vendor signed the delivery, if its seal shows that
// it was signed with the endpoint's secret.
func (p program) signAgain(d quarantine.Delivery) (http.Header, error) {
	cfg, err := p.load(releaseVariables...)
	if err != nil {
		return nil, errors.New("to have it signed again, set the endpoint's variables as for `bridge serve`")
	}
	at, request, err := storedRequest(cfg, d)
	if err != nil {
		return nil, err
	}
	claims, err := at.Provider.Verify(request)
	if claims.SignedText == nil {
		return nil, err
	}
	key := request.Secrets[claims.Secret]
	return at.Provider.Resign(d.Headers, key, claims.SignedText), nil
}

func dropCommand(prog program) *cobra.Command {
	var which quarantineSelection
	c := &cobra.Command{
		Use:   "drop ID... | --all",
		Short: "Remove deliveries from quarantine for good",
		Long: `Remove deliveries from quarantine for good, and print them as "bridge quarantine list" does. ID may
be the beginning of an id; if an ID is unknown, nothing is removed.`,
		Example: "  bridge quarantine drop 5e0c\n  bridge quarantine drop --all --endpoint ENDPOINT --reason stale",
		RunE: prog.withQuarantine(streamVariables, func(ctx context.Context, s *quarantineStore, _ []string) error {
			chosen, err := s.chosen(ctx, which)
			if err != nil {
				return err
			}
			for i, k := range chosen {
				if ctx.Err() != nil {
					return fmt.Errorf("interrupted after %d of %d", i, len(chosen))
				}
				if err := s.Remove(context.WithoutCancel(ctx), k); err != nil {
					return fmt.Errorf("dropping %s, after %d of %d: %w", printable(k.ID), i, len(chosen), err)
				}
				prog.printKept(k)
			}
			s.say("%d dropped", len(chosen))
			return nil
		}),
	}
	which.flags(c)
	return c
}
