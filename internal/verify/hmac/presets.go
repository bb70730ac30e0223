package hmac

import "github.com/ade15e70/webhook-bridge/internal/verify"

// Preset is a vendor with the settings that describe it. [Preset.Configure] makes its provider.
type Preset struct {
	Name       string // as in the configuration and the envelope
	Title      string // as people write it
	Site       string // its home page; "": any vendor's
	Source     string // the page about its signatures
	Register   string // where its dashboard takes the endpoint's URL, in Markdown
	About      string // facts about it and their sources, in Markdown
	Settings   verify.Settings
	OtherNames [][2]string // optional: headers in Settings, the signature's first, with the vendor's other names
	Event      string      // the default to send
}

// Presets lists the presets, and last the one without settings of its own.
var Presets = []*Preset{
	{
		Name: "standard-webhooks", Title: "Standard Webhooks", Site: "https://www.standardwebhooks.com",
		Source:   "https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md",
		Register: "at any vendor that follows the specification or sends through Svix",
		About: "The id is signed too. All three headers may have their `svix-` names; if one comes by both names, the values must be equal. " +
			"Signatures of version `v1a` (ed25519) are ignored.",
		Settings: verify.Settings{
			SignatureHeader: "webhook-signature", SignatureFormat: "v1,{base64}",
			Signed:    "{header:webhook-id}.{timestamp}.{body}",
			Timestamp: "header:webhook-timestamp", TimestampUnit: "s",
			Event: "body:type", EventID: "header:webhook-id", SecretEncoding: "base64",
		},
		OtherNames: [][2]string{
			{"Webhook-Signature", "Svix-Signature"}, {"Webhook-Id", "Svix-Id"}, {"Webhook-Timestamp", "Svix-Timestamp"},
		},
		Event: "user.created",
	},
	{
		Name: "github", Title: "GitHub", Site: "https://github.com",
		Source:   "https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries",
		Register: "in the settings of a repository, an organization or an app, under *Webhooks*, with either content type",
		About: "The event's name isn't signed: the holder of a delivery can give it another name, but no other id. " +
			"`ping`, which GitHub sends first, is published too. GitHub doesn't retry by itself.",
		Settings: verify.Settings{
			SignatureHeader: "X-Hub-Signature-256", SignatureFormat: "sha256={hex}", Signed: "{body}",
			Event: "header:X-GitHub-Event", User: "body:sender.id", TypePrefix: "com.github.",
		},
		Event: "issues",
	},
	{
		Name: "stripe", Title: "Stripe", Site: "https://stripe.com",
		Source:   "https://docs.stripe.com/webhooks/signature",
		Register: "in the workbench under *Webhooks*, as the URL of an event destination; the secret is used as it stands, with `whsec_`",
		About: "Each attempt has another time, and perhaps another `pending_webhooks`, so the id is a hash of the event's `id`. " +
			"While a secret is rolled, a delivery is signed with both.",
		Settings: verify.Settings{
			SignatureHeader: "Stripe-Signature", SignatureFormat: "t={timestamp},v1={hex}",
			Signed: "{timestamp}.{body}", Timestamp: "signature", TimestampUnit: "s",
			Event: "body:type", EventID: "body:id", User: "body:data.object.customer", TypePrefix: "com.stripe.",
		},
		Event: "invoice.paid",
	},
	{
		Name: "slack", Title: "Slack", Site: "https://slack.com",
		Source:   "https://api.slack.com/authentication/verifying-requests-from-slack",
		Register: "in the app's settings, under *Event Subscriptions* or *Interactivity*; the secret is under *Basic Information*",
		About: "When you enter the address, Slack sends `url_verification` and wants its `challenge` back. " +
			"The bridge publishes it but sends nothing back: answer once by other means. " +
			"The `payload` of an interaction's form becomes the data; slash commands, which have none, are refused.",
		Settings: verify.Settings{
			SignatureHeader: "X-Slack-Signature", SignatureFormat: "v0={hex}",
			Signed: "v0:{timestamp}:{body}", Timestamp: "header:X-Slack-Request-Timestamp", TimestampUnit: "s",
			Event: "body:event.type,body:type", EventID: "body:event_id", User: "body:event.user,body:user.id", TypePrefix: "com.slack.",
		},
		Event: "app_mention",
	},
	{
		Name: "shopify", Title: "Shopify", Site: "https://www.shopify.com",
		Source: "https://shopify.dev/docs/apps/build/webhooks/subscribe/https",
		Register: "with the Admin API or in `shopify.app.toml`; " +
			"the secret is the app's client secret, or for a shop's own webhooks the one under *Notifications*",
		About: "The event's name isn't signed. Topics that may send the same body at once, such as `orders/create` and `orders/paid`, " +
			"need an endpoint each, else they become one event. Shopify retries for four hours: set `STREAM_DUPLICATES=5h`.",
		Settings: verify.Settings{
			SignatureHeader: "X-Shopify-Hmac-Sha256", SignatureFormat: "{base64}", Signed: "{body}",
			Event: "header:X-Shopify-Topic", User: "body:customer.id", TypePrefix: "com.shopify.",
		},
		Event: "orders/create",
	},
	{
		Name: "hmac", Title: "any other", Source: "the vendor's page",
		Register: "where the vendor's page says",
		About:    "You give the [settings](#my-vendor-isnt-here). A signed value that is missing or comes twice is a missing signature.",
		Settings: verify.Settings{TimestampUnit: "s", SecretEncoding: "text"},
		Event:    "example.created",
	},
}
