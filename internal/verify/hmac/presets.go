package hmac

import "github.com/ade15e70/webhook-bridge/internal/verify"

// Preset is a vendor with the settings that describe it. [Preset.Configure] makes its provider.
type Preset struct {
	Name       string // as in the configuration and the envelope
	Title      string // as people write it
	Source     string // the page about its signatures; "": any vendor's
	Settings   verify.Settings
	OtherNames [][2]string // optional: a header's name in Settings, and its other name at the vendor; the signature's is first
	Event      string      // the default to send
}

// Presets lists the presets, and last the one without settings of its own. docs.json has what the
// documents say about them.
var Presets = []*Preset{
	{
		Name: "standard-webhooks", Title: "Standard Webhooks",
		Source: "https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md",
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
		Name: "github", Title: "GitHub",
		Source: "https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries",
		Settings: verify.Settings{
			SignatureHeader: "X-Hub-Signature-256", SignatureFormat: "sha256={hex}", Signed: "{body}",
			Event: "header:X-GitHub-Event", User: "body:sender.id", TypePrefix: "com.github.",
		},
		Event: "issues",
	},
	{
		Name: "stripe", Title: "Stripe",
		Source: "https://docs.stripe.com/webhooks/signature",
		Settings: verify.Settings{
			SignatureHeader: "Stripe-Signature", SignatureFormat: "t={timestamp},v1={hex}",
			Signed: "{timestamp}.{body}", Timestamp: "signature", TimestampUnit: "s",
			Event: "body:type", EventID: "body:id", User: "body:data.object.customer", TypePrefix: "com.stripe.",
		},
		Event: "invoice.paid",
	},
	{
		Name: "slack", Title: "Slack",
		Source: "https://api.slack.com/authentication/verifying-requests-from-slack",
		Settings: verify.Settings{
			SignatureHeader: "X-Slack-Signature", SignatureFormat: "v0={hex}",
			Signed: "v0:{timestamp}:{body}", Timestamp: "header:X-Slack-Request-Timestamp", TimestampUnit: "s",
			Event: "body:event.type,body:type", EventID: "body:event_id", User: "body:event.user,body:user.id", TypePrefix: "com.slack.",
		},
		Event: "app_mention",
	},
	{
		Name: "shopify", Title: "Shopify",
		Source: "https://shopify.dev/docs/apps/build/webhooks/subscribe/https",
		Settings: verify.Settings{
			SignatureHeader: "X-Shopify-Hmac-Sha256", SignatureFormat: "{base64}", Signed: "{body}",
			Event: "header:X-Shopify-Topic", User: "body:customer.id", TypePrefix: "com.shopify.",
		},
		Event: "orders/create",
	},
	{
		Name: "hmac", Title: "any other",
		Settings: verify.Settings{TimestampUnit: "s", SecretEncoding: "text"},
		Event:    "example.created",
	},
}
