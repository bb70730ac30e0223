package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

func TestWarnings(t *testing.T) {
	creds, onOneLine := filepath.Join(t.TempDir(), "creds"), filepath.Join(t.TempDir(), "secrets")
	expect.NoError(t, os.WriteFile(creds, []byte(credentialsFile), 0o600))
	expect.NoError(t, os.WriteFile(onOneLine, []byte("0123456789abcdef,fedcba9876543210\n"), 0o600))
	for _, test := range []struct {
		set, want string // want "" means none
	}{
		{"FLOCK_SECRET=y", "FLOCK_SECRET is not a variable of the bridge and has no effect; the nearest one is FLOCK_SECRETS"},
		{"FRIGADE_SECRETFILE=y", "FRIGADE_SECRETFILE is not a variable of the bridge and has no effect; the nearest one is FRIGADE_SECRETS_FILE"},
		{"flock_secrets=y", "flock_secrets is not a variable of the bridge and has no effect; the nearest one is FLOCK_SECRETS"},
		{"LOGLEVEL=y", "LOGLEVEL is not a variable of the bridge and has no effect; the nearest one is LOG_LEVEL"},
		{"NATS_URLS=y", "NATS_URLS is not a variable of the bridge and has no effect; the nearest one is NATS_URL"},
		{"STREAM_MAXAGE=y", "STREAM_MAXAGE is not a variable of the bridge and has no effect; the nearest one is STREAM_MAX_AGE"},
		{"STREAM_AGE=y", "STREAM_AGE is not a variable of the bridge and has no effect; the nearest one is STREAM_NAME"},
		{"ENDPOINT_0_NAME=eu", "ENDPOINT_0_NAME is not a variable of the bridge and has no effect; the nearest one is ENDPOINTS_0_NAME"},
		{"ENDPOINTS_0_NAME=a ENDPOINTS_0_PROVIDER=slack ENDPOINTS_0_SECRETS=fedcba9876543210 ENDPOINTS_0_TOLERANCES=1m", "ENDPOINTS_0_TOLERANCES is not a variable of the bridge and has no effect; the nearest one is ENDPOINTS_0_TOLERANCE"},
		{"ENDPOINT=eu", "ENDPOINT is not a variable of the bridge and has no effect; the nearest one is ENDPOINTS_<i>_NAME"},
		{"TLS_CERT=x", "TLS_CERT is not a variable of the bridge and has no effect; the nearest one is TLS_CERT_FILE"},
		{"HTTP_ADDRESS=x", "HTTP_ADDRESS is not a variable of the bridge and has no effect; the nearest one is HTTP_ADDR"},
		{"NATS_KEY_FILE=x", "NATS_KEY_FILE is not a variable of the bridge and has no effect; the nearest one is NATS_KEY"},
		{"NATS_PASS=x", "NATS_PASS is not a variable of the bridge and has no effect; the nearest one is NATS_PASSWORD"},
		{"GITHUB_SECRETS=x", "GITHUB_SECRETS is not a variable of the bridge and has no effect; for GitHub, set ENDPOINTS_<i>_PROVIDER=github and ENDPOINTS_<i>_SECRETS"},
		{"STANDARD_WEBHOOKS_SECRETS_FILE=x", "STANDARD_WEBHOOKS_SECRETS_FILE is not a variable of the bridge and has no effect; for Standard Webhooks, set ENDPOINTS_<i>_PROVIDER=standard-webhooks and ENDPOINTS_<i>_SECRETS_FILE"},
		{"SLACK_SECRETS=x", "SLACK_SECRETS is not a variable of the bridge and has no effect; for Slack, set ENDPOINTS_<i>_PROVIDER=slack and ENDPOINTS_<i>_SECRETS"},
		{"SLACK_SIGNATURE=x", ""}, // it is not a misspelt FLOCK_SIGNATURE
		{"SLACK_TOLERANCE=x", ""},
		{"ENDPOINTS_0_NAME=block ENDPOINTS_0_PROVIDER=slack ENDPOINTS_0_SECRETS=fedcba9876543210 BLOCK_SECRETS=fedcba9876543210", ""},
		{"ENDPOINTS_0_NAME=nats ENDPOINTS_0_PROVIDER=slack ENDPOINTS_0_SECRETS=fedcba9876543210 NATS_URLS=x", "NATS_URLS is not a variable of the bridge and has no effect; the nearest one is NATS_URL"},
		{"GITHUB_TOKEN=x", ""},
		{"GITHUB_SECRET=x", ""},
		{"GITHUB_EVENT=push", ""},
		{"GITHUB_SECRETS_SERVICE_HOST=10.0.0.1", ""},
		{"STRIPE_SECRET_KEY=x", ""},
		{"SLACK_SIGNING_SECRET=x", ""},
		{"HMAC_SECRETS=x", ""},
		{"STRIPE_SECRETS=", ""},
		{"ENDPOINTS_0_NAME=a ENDPOINTS_0_PROVIDER=slack ENDPOINTS_0_SECRETS=fedcba9876543210 SLACK_SECRETS=fedcba9876543210", ""},
		{"MAX_BODY_SIZE=1", "MAX_BODY_SIZE is not a variable of the bridge and has no effect; the nearest one is MAX_BODY_BYTES"},
		{"MAX_IN_FLIGHT_BYTES=512KiB", "MAX_IN_FLIGHT_BYTES is 512KiB: a body of MAX_BODY_BYTES, 512KiB, and its envelope don't fit in it, so it is always answered 503"},
		{"SPOOL_MAX_BYTES=512KiB", "SPOOL_MAX_BYTES is 512KiB: a body of MAX_BODY_BYTES, 512KiB, and its envelope don't fit in it, so it is answered 503 while NATS is away"},
		{"PUBLISH_TIMEOUT=601ms", "PUBLISH_TIMEOUT is 601ms: while NATS doesn't answer, a delivery may be answered after more than a second, when its sender has given up"},
		{"PUBLISH_TIMEOUT=600ms", ""},
		{"FLOCK_SECRETS='0123456789abcdef'", "secret 0 of FLOCK_SECRETS has quotation marks around it, which count as a part of it: leave them out; env files and Kubernetes Secrets keep them"},
		{"FLOCK_SECRETS=0123456789abcdef,SECRET=0123456789abcdef", "secret 1 of FLOCK_SECRETS has a name and = in front, which count as a part of it: give the secret alone"},
		{"FLOCK_SECRETS=0123456789abcdef 0123456789abcdef", "secret 0 of FLOCK_SECRETS has white space or a comma in it: copy it again; separate several secrets by commas in a variable, or by lines in a file"},
		{"FRIGADE_SECRETS_FILE=" + onOneLine, "secret 0 of FRIGADE_SECRETS_FILE has white space or a comma in it: copy it again; separate several secrets by commas in a variable, or by lines in a file"},
		{"FLOCK_SECRETS=0123456789abcdef\u200b", "secret 0 of FLOCK_SECRETS has characters in it that aren't ASCII, or are invisible: copy it again"},
		{"FLOCK_SECRETS=0123456789abcde", "secret 0 of FLOCK_SECRETS has fewer than 16 characters: if a shell has eaten the part from a $ or ! on, quote it with '; a short secret can be guessed from a signature"},
		{"FLOCK_SECRETS=WHSEC0123456789abc==", ""},
		{"ENDPOINTS_0_NAME=eu ENDPOINTS_0_PROVIDER=flock ENDPOINTS_0_SECRETS=0123456789abcdef", "endpoints flock (FLOCK_SECRETS) and eu (ENDPOINTS_0_SECRETS) share a secret: a delivery to one can also be sent to the other; give each endpoint its own"},
		{"ENDPOINTS_0_NAME=a ENDPOINTS_0_PROVIDER=standard-webhooks ENDPOINTS_0_SECRETS=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw ENDPOINTS_1_NAME=b ENDPOINTS_1_PROVIDER=standard-webhooks ENDPOINTS_1_SECRETS=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw ENDPOINTS_1_SIGNED={header:Webhook-Id}.{timestamp}.{body}", "endpoints a (ENDPOINTS_0_SECRETS) and b (ENDPOINTS_1_SECRETS) share a secret: a delivery to one can also be sent to the other; give each endpoint its own"},
		{"ENDPOINTS_0_NAME=any ENDPOINTS_0_PROVIDER=standard-webhooks ENDPOINTS_0_SECRETS=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", ""}, // its bytes aren't ASCII
		{"NATS_CREDS=" + creds, "NATS_CREDS is for the servers at NATS_URL, which isn't set: the bridge runs an embedded nats-server"},
		{"NATS_JS_DOMAIN=leaf", "NATS_JS_DOMAIN is for the servers at NATS_URL, which isn't set: the bridge runs an embedded nats-server"},
		{"FRIGADE_SIGNATURE=payload", "FRIGADE_SIGNATURE has no effect without FRIGADE_SECRETS: an endpoint of ENDPOINTS_<i>_NAME has ENDPOINTS_<i>_SIGNATURE"},
		{"FRIGADE_TOLERANCE=1h", "FRIGADE_TOLERANCE has no effect without FRIGADE_SECRETS: an endpoint of ENDPOINTS_<i>_NAME has ENDPOINTS_<i>_TOLERANCE"},
		{"FRIGADE_FRESHNESS=", ""},
		{"FLOCK_TOLERANCE=1m", ""},
		{"NATS_SERVICE_HOST=10.0.0.1", ""}, // what Kubernetes sets for a service called nats
		{"NATS_PORT_4222_TCP_ADDR=10.0.0.1", ""},
		{"NATS_PORT=tcp://10.0.0.1:4222", ""},
		{"FLOCK_PORT_99_SCTP_ADDR=10.0.0.1", ""},
		{"BRIDGE_PORT_8080_TCP_ADDR=10.0.0.1", ""},
		{"ENDPOINTS_0_SERVICE_HOST=10.0.0.1", ""}, // of a service called endpoints-0
		{"HTTP_PROXY=x", ""},
		{"PPROF_TMPDIR=x", ""}, // of Go's pprof
		{"PATH=/bin", ""},
		{"OTEL_SERVICE_NAME=x", ""},
	} {
		environ := []string{"FLOCK_SECRETS=0123456789abcdef", test.set}
		if strings.HasPrefix(test.set, "ENDPOINTS_") {
			environ = append(environ[:1], strings.Fields(test.set)...)
		}
		_, warnings, err := Load(environ)
		expect.NoError(t, err)
		expect.Equal(t, test.want, strings.Join(warnings, "\n"), "the warnings about %s", test.set)
	}
}

// A misspelling of each variable is warned of with its right name.
func TestMisspellings(t *testing.T) {
	for _, name := range Names() {
		variable := strings.ReplaceAll(name, "<i>", "0")
		all := []string{"BRIDGE_" + variable, "WEBHOOK_BRIDGE_" + variable, strings.ToLower(variable), strings.ReplaceAll(variable, "_", "-")}
		if len(variable) > 7 {
			all = append(all, variable+"X", variable[:4]+variable[5:], variable[:len(variable)-2]+"X"+variable[len(variable)-1:])
		}
		for _, wrong := range all {
			_, warnings, _ := Load([]string{"FLOCK_SECRETS=0123456789abcdef", wrong + "=x"})
			want := wrong + " is not a variable of the bridge and has no effect; the nearest one is " + variable
			if wrong != variable && !slices.Equal(warnings, []string{want}) {
				t.Errorf("%s: warnings %q, want %q", wrong, warnings, want)
			}
		}
	}
}
