package hmac

import "github.com/ade15e70/webhook-bridge/internal/verify"

// custom is the provider without a preset.
const custom = "hmac"

// presets are vendors with their settings. Adding one takes a value here and its vectors in
// testdata; its name is then a value of …_PROVIDER, and `go generate ./...` updates
// docs/providers.md.
var presets = []*verify.Provider{
	{
		Name: "standard-webhooks", Title: "Standard Webhooks", Site: "https://www.standardwebhooks.com",
		Source:   "https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md",
		Register: "at any vendor that follows the specification or sends through Svix",
		About:    "The id is signed too. Each header may have its `svix-` name; if it comes by both names, the values must be equal. Signatures of version `v1a` (ed25519) are ignored.",
		Settings: verify.Settings{
			SignatureHeader: "webhook-signature", SignatureFormat: "v1,{base64}",
			Signed:    "{header:webhook-id}.{timestamp}.{body}",
			Timestamp: "header:webhook-timestamp", TimestampUnit: "s",
			Event: "body:type", EventID: "header:webhook-id", SecretEncoding: "base64",
		},
		OtherNames: [][2]string{{"Webhook-Signature", "Svix-Signature"}, {"Webhook-Id", "Svix-Id"}, {"Webhook-Timestamp", "Svix-Timestamp"}},
		Events:     []string{"user.created"},
		Samples:    []string{`{"type":"contact.created","timestamp":"2022-11-03T20:26:10.344522Z","data":{"id":"1f81eb52-5198-4599-803e-771906343485","type":"contact","first_name":"John","last_name":"Smith"}}`},
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
		Events:  []string{"issues"},
		Samples: []string{`{"action":"opened","issue":{"url":"https://api.github.com/repos/octocat/Hello-World/issues/1347","number":1347,"title":"Found a bug"},"repository":{"id":1296269,"full_name":"octocat/Hello-World","owner":{"login":"octocat","id":1}},"sender":{"login":"octocat","id":1}}`},
	},
	{
		Name: "stripe", Title: "Stripe", Site: "https://stripe.com",
		Source:   "https://docs.stripe.com/webhooks/signature",
		Register: "in the workbench under *Webhooks*, as the URL of an event destination; the secret is used as it stands, with `whsec_`",
		About:    "Each attempt has another time, and perhaps another `pending_webhooks`, so the id is a hash of the event's `id`. While a secret is rolled, a delivery is signed with both.",
		Settings: verify.Settings{
			SignatureHeader: "Stripe-Signature", SignatureFormat: "t={timestamp},v1={hex}",
			Signed: "{timestamp}.{body}", Timestamp: "signature", TimestampUnit: "s",
			Event: "body:type", EventID: "body:id", User: "body:data.object.customer", TypePrefix: "com.stripe.",
		},
		Events: []string{"invoice.paid"},
		Samples: []string{"{\n  \"id\": \"evt_1NG8Du2eZvKYlo2CUI79vXWy\",\n  \"object\": \"event\",\n  \"api_version\": \"2019-02-19\",\n  \"created\": 1686089970,\n  \"data\": {\n    \"object\": {\n      \"id\": \"in_1MtHbELkdIwHu7ixl4OzzPMv\",\n" +
			"      \"object\": \"invoice\",\n      \"customer\": \"cus_NeZwdNtLEOXuvB\",\n      \"amount_paid\": 1000\n    }\n  },\n  \"livemode\": false,\n  \"pending_webhooks\": 1,\n  \"request\": {\n    \"id\": null,\n    \"idempotency_key\": null\n  },\n  \"type\": \"invoice.paid\"\n}"},
	},
	{
		Name: "slack", Title: "Slack", Site: "https://slack.com",
		Source:   "https://api.slack.com/authentication/verifying-requests-from-slack",
		Register: "in the app's settings, under *Event Subscriptions* or *Interactivity*; the secret is under *Basic Information*",
		About: "When you enter the address, Slack sends `url_verification` and wants its `challenge` back. The bridge publishes it but sends nothing back: answer once by other means. " +
			"The `payload` of an interaction's form becomes the data; slash commands, which have none, are refused.",
		Settings: verify.Settings{
			SignatureHeader: "X-Slack-Signature", SignatureFormat: "v0={hex}",
			Signed: "v0:{timestamp}:{body}", Timestamp: "header:X-Slack-Request-Timestamp", TimestampUnit: "s",
			Event: "body:event.type,body:type", EventID: "body:event_id", User: "body:event.user,body:user.id", TypePrefix: "com.slack.",
		},
		Events:  []string{"app_mention"},
		Samples: []string{`{"token":"XXYYZZ","team_id":"TXXXXXXXX","api_app_id":"AXXXXXXXXX","event":{"type":"app_mention","event_ts":"1234567890.123456","user":"UXXXXXXX1"},"type":"event_callback","authed_users":["UXXXXXXX1"],"event_id":"Ev08MFMKH6","event_time":1234567890}`},
	},
	{
		Name: "shopify", Title: "Shopify", Site: "https://www.shopify.com",
		Source:   "https://shopify.dev/docs/apps/build/webhooks/subscribe/https",
		Register: "with the Admin API or in `shopify.app.toml`; the secret is the app's client secret, or for a shop's own webhooks the one under *Notifications*",
		About: "The event's name isn't signed. Topics that may send the same body at once, such as `orders/create` and `orders/paid`, " +
			"need an endpoint each, else they become one event. Shopify retries for four hours: set `STREAM_DUPLICATES=5h`.",
		Settings: verify.Settings{
			SignatureHeader: "X-Shopify-Hmac-Sha256", SignatureFormat: "{base64}", Signed: "{body}",
			Event: "header:X-Shopify-Topic", User: "body:customer.id", TypePrefix: "com.shopify.",
		},
		Events:  []string{"orders/create"},
		Samples: []string{`{"id":820982911946154508,"email":"jon@example.com","created_at":"2021-12-31T19:00:00-05:00","customer":{"id":115310627314723954,"email":"john@example.com"},"total_price":"414.95"}`},
	},
	{
		Name: custom, Title: "any other", Source: "the vendor's page",
		Register: "where the vendor's page says",
		About:    "You give the [settings](#my-vendor-isnt-here). A signed value that is missing or comes twice is a missing signature.",
		Settings: verify.Settings{TimestampUnit: "s", SecretEncoding: "text"},
		Events:   []string{"example.created"},
		Samples:  []string{`{"example":true}`},
	},
}
