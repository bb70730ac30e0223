package cli

import (
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/nats-io/nats-server/v2/conf"

	"github.com/ade15e70/webhook-bridge/deploy/nats"
)

var quoted = regexp.MustCompile(`"[^"]*"`)

// accountsFor returns the configuration of the account, for a stream, a prefix of subjects and a
// JetStream domain, which may be "".
func accountsFor(stream, prefix, domain string) string {
	api := "$JS.API"
	if domain != "" {
		api = "$JS." + domain + ".API"
	}
	names := strings.NewReplacer("WEBHOOKS", stream, "webhooks", prefix, "$JS.API", api)
	return quoted.ReplaceAllStringFunc(nats.Accounts, names.Replace)
}

// nscCommands writes the account and its users as commands of nsc. The operator has no permissions
// of its own, which means all of the account's.
func nscCommands(w io.Writer, accounts string) error {
	parsed, err := conf.Parse("BRIDGE_PASSWORD: x\nOPERATOR_PASSWORD: x\n" + accounts)
	if err != nil {
		return fmt.Errorf("reading accounts: %w", err)
	}
	var out strings.Builder
	for name, account := range parsed["accounts"].(map[string]any) {
		fmt.Fprintf(&out, "nsc add account --name %s\nnsc edit account --name %s --js-enable 1\n", name, name)
		for _, user := range account.(map[string]any)["users"].([]any) {
			user := user.(map[string]any)
			fmt.Fprintf(&out, "nsc add user --account %s --name %s", name, user["user"])
			if permissions, ok := user["permissions"].(map[string]any); ok {
				for _, direction := range []struct{ verb, flag string }{{"publish", "pub"}, {"subscribe", "sub"}} {
					for _, subject := range permissions[direction.verb].([]any) {
						fmt.Fprintf(&out, " \\\n  --allow-%s '%s'", direction.flag, subject)
					}
				}
			}
			out.WriteByte('\n')
		}
	}
	_, err = io.WriteString(w, out.String())
	return err
}
