package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/ingest"
	"github.com/ade15e70/webhook-bridge/internal/quarantine"
)

func quarantineCommand(prog program) *cobra.Command {
	c := &cobra.Command{
		Use:   "quarantine",
		Short: "List, show, release or drop deliveries that were not published",
		Long: `Manage deliveries that have a correct signature but could not be published: they can't be read as an
event, contradict themselves, or are too old or too far in the future. They are kept in the stream
<STREAM_NAME>_QUARANTINE.`,
		Example: `  bridge quarantine list
  bridge quarantine show 5e0c
  bridge quarantine release 5e0c
  bridge quarantine drop --all --reason stale`,
	}
	c.AddCommand(quarantineListCommand(prog), quarantineShowCommand(prog), quarantineReleaseCommand(prog), quarantineDropCommand(prog))
	return c
}

func quarantineListCommand(prog program) *cobra.Command {
	var which quarantineSelection
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List what is in quarantine, oldest first",
		Long: `List what is in quarantine, oldest first, one per line: time of receipt, endpoint, reason, size and
id. Bodies are not read.`,
		Example: "  bridge quarantine list\n  bridge quarantine list --endpoint ENDPOINT --reason stale --json",
		RunE: prog.withNATS(streamVariables, func(ctx context.Context, s *session, _ []string) error {
			_, all, err := s.quarantined(ctx, which)
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
	p.print("%s  %s  %s  %s  id %s", formatTime(k.Received, time.Now()), k.Endpoint, k.Reason, config.Count(k.Size, "byte"), k.ID)
}

func quarantineShowCommand(prog program) *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Print the body of one delivery as it was received",
		Long: `Print a delivery's body on standard output, as it was received, and its details on standard error.
The signature is not kept; in a body that held it, asterisks replace it. ID may be the beginning of
an id. If several deliveries have it, the newest unreadable one is printed, else the newest.`,
		Example: "  bridge quarantine show 5e0c\n  bridge quarantine show 5e0c > body.json",
		Args:    takes(1, 1, "one id or its beginning, as `bridge quarantine list` prints it"),
		RunE: prog.withNATS(streamVariables, func(ctx context.Context, s *session, args []string) error {
			return s.showQuarantined(ctx, args[0])
		}),
	}
}

func quarantineDropCommand(prog program) *cobra.Command {
	var which quarantineSelection
	c := &cobra.Command{
		Use:   "drop ID... | --all",
		Short: "Remove deliveries from quarantine for good",
		Long: `Remove deliveries from quarantine for good, and print them as "bridge quarantine list" does. ID may
be the beginning of an id; if an ID is unknown, nothing is removed.`,
		Example: "  bridge quarantine drop 5e0c\n  bridge quarantine drop --all --endpoint ENDPOINT --reason stale",
		RunE: prog.withNATS(streamVariables, func(ctx context.Context, s *session, _ []string) error {
			store, chosen, err := s.quarantined(ctx, which)
			if err != nil || len(chosen) == 0 {
				return err
			}
			for i, k := range chosen {
				if ctx.Err() != nil {
					return fmt.Errorf("%w after %d of %d", errInterrupted, i, len(chosen))
				}
				if err := store.Remove(context.WithoutCancel(ctx), k); err != nil {
					return fmt.Errorf("dropping %s, after %d of %d: %w", printable(k.ID), i, len(chosen), err)
				}
				prog.printKept(k)
			}
			prog.say("%d dropped", len(chosen))
			return nil
		}),
	}
	which.flags(c)
	return c
}

// quarantineSelection holds the flags and arguments that choose deliveries.
type quarantineSelection struct {
	ids                []string // may be abbreviated
	endpoints, reasons []string // empty: any
	all                bool
}

func (c *quarantineSelection) filterFlags(command *cobra.Command) {
	reasons := ingest.Reasons()
	command.Flags().Func("endpoint", "only deliveries to this `endpoint`", add(&c.endpoints, "an endpoint's name", isNotEmpty))
	command.Flags().Func("reason", "only deliveries kept for this `reason`: "+inWords(reasons, "or"),
		add(&c.reasons, inWords(reasons, "or"), func(reason string) bool { return slices.Contains(reasons, reason) }))
}

// flags adds the flags and arguments of a command that takes ids, or --all.
func (c *quarantineSelection) flags(command *cobra.Command) {
	c.filterFlags(command)
	command.Flags().BoolVar(&c.all, "all", false, "all of them, or all that --endpoint and --reason choose")
	command.Args = func(_ *cobra.Command, ids []string) error {
		c.ids = ids
		switch {
		case len(ids) == 0 && !c.all:
			return misuse(command, "%s takes ids, or --all", command.CommandPath())
		case len(ids) > 0 && (c.all || len(c.endpoints)+len(c.reasons) > 0):
			return misuse(command, "%s takes either ids, or --all with an optional --endpoint and --reason", command.CommandPath())
		case slices.Contains(ids, ""):
			return misuse(command, "%s: an id is empty", command.CommandPath())
		}
		return nil
	}
}

// quarantined opens the quarantine, and returns the chosen deliveries in it, oldest first. It prints if there
// are none. Several may have the same id.
func (s *session) quarantined(ctx context.Context, c quarantineSelection) (store quarantine.Store, all []quarantine.Kept, err error) {
	name := quarantine.Stream(s.cfg.StreamName)
	store = quarantine.Store{JetStream: s.js, Consumer: "bridge-quarantine-"}
	if store.Stream, err = s.stream(ctx, name); err != nil {
		return store, nil, err
	}
	all, foreign, err := store.List(ctx, 0)
	if err != nil {
		return store, nil, fmt.Errorf("reading stream %s: %w; the account needs the rights of `bridge tail` for this stream", name, err)
	}
	if foreign > 0 {
		s.prog.say("skipping %s that no bridge has written, in stream %s", config.Count(foreign, "message"), name)
	}
	known, wanted := make(map[string]bool), make(map[string]bool)
	for _, k := range all {
		known[k.ID] = true
	}
	for _, prefix := range c.ids {
		id, err := resolveID(known, prefix)
		switch {
		case err != nil:
			return store, nil, fmt.Errorf("in quarantine, %w", err)
		case id == "":
			return store, nil, fmt.Errorf("nothing in quarantine has an id that begins with %q; see `bridge quarantine list`", prefix)
		}
		wanted[id] = true
	}
	all = slices.DeleteFunc(all, func(k quarantine.Kept) bool {
		return len(c.ids) > 0 && !wanted[k.ID] || !isOneOf(c.endpoints, k.Endpoint) || !isOneOf(c.reasons, k.Reason)
	})
	switch {
	case len(all) == 0 && len(c.endpoints)+len(c.reasons) > 0:
		s.prog.say("nothing in quarantine matches --endpoint and --reason")
	case len(all) == 0:
		s.prog.say("the quarantine is empty")
	}
	// A delivery that waited in a spool is stored later than it was received.
	slices.SortStableFunc(all, func(a, b quarantine.Kept) int { return a.Received.Compare(b.Received) })
	return store, all, nil
}

// resolveID returns the known id that has this prefix; "" if there is none. It returns an error if there are
// several.
func resolveID[T any](known map[string]T, prefix string) (string, error) {
	if _, isWhole := known[prefix]; isWhole {
		return prefix, nil
	}
	ids := slices.DeleteFunc(slices.Sorted(maps.Keys(known)), func(id string) bool { return !strings.HasPrefix(id, prefix) })
	switch len(ids) {
	case 0:
		return "", nil
	case 1:
		return ids[0], nil
	}
	return "", fmt.Errorf("several ids begin with %q, among them %s and %s; give more of it",
		prefix, printable(ids[0]), printable(ids[1]))
}

// showQuarantined prints a delivery whose id has this prefix: its body on standard output, its details on
// standard error. Of several, it shows the last one that was answered 200, or else the last one: anybody who
// has a delivery can add changed copies, which are answered 401.
func (s *session) showQuarantined(ctx context.Context, id string) error {
	store, chosen, err := s.quarantined(ctx, quarantineSelection{ids: []string{id}})
	if err != nil {
		return err
	}
	k := chosen[len(chosen)-1]
	for _, other := range chosen {
		if other.Reason == quarantine.Unreadable {
			k = other
		}
	}
	d, err := store.Get(ctx, k)
	if err != nil {
		return err
	}
	printFields(s.prog.err, "id", d.ID, "stream", quarantine.Stream(s.cfg.StreamName), "sequence", k.Sequence,
		"endpoint", d.Endpoint, "provider", d.Provider, "reason", d.Reason,
		"received", d.Received.Format(time.RFC3339Nano), "bytes", len(d.Body))
	_, _ = s.prog.out.Write(d.Body)
	return nil
}
