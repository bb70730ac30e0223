package config

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/tlstest"
)

// credentialsFile is a credentials file as nsc writes it.
const credentialsFile = `-----BEGIN NATS USER JWT-----
eyJ0eXAiOiJKV1QifQ.e30.c2lnbmF0dXJl
------END NATS USER JWT------

-----BEGIN USER NKEY SEED-----
SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY
------END USER NKEY SEED------
`

// Each variable is set to an invalid value, and the message is compared word for word.
func TestProblems(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	creds, seed, binary, comment, unfilled := filepath.Join(dir, "creds"), filepath.Join(dir, "seed"), filepath.Join(dir, "binary"), filepath.Join(dir, "comment"), filepath.Join(dir, "unfilled")
	if err := errors.Join(os.WriteFile(comment, []byte("marked\n # marked since May\n"), 0o600), os.WriteFile(unfilled, []byte("<marked>\n"), 0o600),
		os.WriteFile(empty, []byte("\n \n"), 0o600), os.WriteFile(creds, nil, 0o600), os.WriteFile(seed, []byte("SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY\n"), 0o600), os.WriteFile(binary, []byte("marked\nma\x00rked\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	decorated, indented, mistyped := filepath.Join(dir, "decorated"), filepath.Join(dir, "indented"), filepath.Join(dir, "mistyped")
	expect.NoError(t, os.WriteFile(decorated, []byte(credentialsFile), 0o600))
	expect.NoError(t, os.WriteFile(indented, []byte(" SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY\n"), 0o600))
	expect.NoError(t, os.WriteFile(mistyped, []byte("SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU4VY\n"), 0o600))
	large := filepath.Join(dir, "large")
	expect.NoError(t, os.WriteFile(large, bytes.Repeat([]byte("\n"), MaxTLSFile+1), 0o600))
	pair, other := tlstest.New(t, "localhost"), tlstest.New(t, "localhost")
	const duration = `a duration such as 400ms, 24h or 7d`
	const size = `a size such as 512KiB, 1GiB or plain bytes`
	const tokens = `tokens of A-Z, a-z, 0-9, _ and -, with dots between, at most 100 characters`
	const credentials = `takes the path of a credentials file with JWT and seed`
	const key = `takes the path of a file with a user's nkey seed`
	const authorities = `takes the path of a file with certificates in PEM`
	const file = `the path of a file that can be read (no such file or directory)`
	const samePort = `; they can't listen on the same port: change one of them`
	for _, test := range []struct {
		set  string // NAME=value, several with spaces between; FLOCK_SECRETS=x is set besides
		want string
	}{
		{"HTTP_ADDR=8080", `HTTP_ADDR: got "8080"; takes host:port or :port`},
		{"HTTP_ADDR= :8080", `HTTP_ADDR: got " :8080"; takes host:port or :port`},
		{`HTTP_ADDR="127.0.0.1":8080`, `HTTP_ADDR: got "\"127.0.0.1\":8080"; takes host:port or :port`},
		{`ADMIN_ADDR='::1':8080`, `ADMIN_ADDR: got "'::1':8080"; takes host:port or :port`},
		{"HTTP_ADDR=$HOST:8080", `HTTP_ADDR: got "$HOST:8080"; takes host:port or :port`},
		{"HTTP_ADDR=:http", `HTTP_ADDR: got ":http"; takes host:port or :port (a port is a number up to 65535)`},
		{"ADMIN_ADDR=:65536", `ADMIN_ADDR: got ":65536"; takes host:port or :port (a port is a number up to 65535)`},
		{"ADMIN_ADDR=:8080", `HTTP_ADDR and ADMIN_ADDR: got its default, :8080, and ":8080"` + samePort},
		{"HTTP_ADDR=:9090", `HTTP_ADDR and ADMIN_ADDR: got ":9090", and its default, :9090` + samePort},
		{"ADMIN_ADDR=127.0.0.1:08080", `HTTP_ADDR and ADMIN_ADDR: got its default, :8080, and "127.0.0.1:08080"` + samePort},
		{"HTTP_ADDR=:4222", `HTTP_ADDR and EMBEDDED_NATS_ADDR: got ":4222", and its default, 127.0.0.1:4222` + samePort},
		{"HTTP_ADDR=0.0.0.0:80 ADMIN_ADDR=[::1]:80", `HTTP_ADDR and ADMIN_ADDR: got "0.0.0.0:80", and "[::1]:80"` + samePort},
		{"HTTP_ADDR=localhost:80 ADMIN_ADDR=127.0.0.1:80", `HTTP_ADDR and ADMIN_ADDR: got "localhost:80", and "127.0.0.1:80"` + samePort},
		{"HTTP_ADDR=[::1]:80 ADMIN_ADDR=[0:0:0:0:0:0:0:1]:80", `HTTP_ADDR and ADMIN_ADDR: got "[::1]:80", and "[0:0:0:0:0:0:0:1]:80"` + samePort},
		{"HTTP_ADDR=10.0.0.1:80 ADMIN_ADDR=[0::0]:80", `HTTP_ADDR and ADMIN_ADDR: got "10.0.0.1:80", and "[0::0]:80"` + samePort},
		{"ADMIN_ADDR=Localhost:4222", `ADMIN_ADDR and EMBEDDED_NATS_ADDR: got "Localhost:4222", and its default, 127.0.0.1:4222` + samePort},
		{"ADMIN_ADDR=0.0.0.0:4222", `ADMIN_ADDR and EMBEDDED_NATS_ADDR: got "0.0.0.0:4222", and its default, 127.0.0.1:4222` + samePort},
		{"EMBEDDED_NATS_ADDR=localhost", `EMBEDDED_NATS_ADDR: got "localhost"; takes host:port or :port`},
		{"EMBEDDED_NATS_ADDR=:4222", `EMBEDDED_NATS_ADDR: got ":4222"; others could read and write all events: set a loopback address such as 127.0.0.1:4222, or NATS_TOKEN, or NATS_USER and NATS_PASSWORD`},
		{"EMBEDDED_NATS_ADDR=:4222 NATS_USER=me", `EMBEDDED_NATS_ADDR: got ":4222"; others could read and write all events: set a loopback address such as 127.0.0.1:4222, or NATS_TOKEN, or NATS_USER and NATS_PASSWORD`},
		{"TLS_CERT_FILE=/nowhere TLS_KEY_FILE=/nowhere", `TLS_CERT_FILE: got "/nowhere"; takes ` + file + "\n" + `TLS_KEY_FILE: got "/nowhere"; takes ` + file},
		{"TLS_CERT_FILE=" + dir, `TLS_CERT_FILE: got "` + dir + `"; takes the path of a file that can be read (not a regular file)` + "\n" + `TLS_KEY_FILE: not set; takes the key, in PEM, of the certificate in TLS_CERT_FILE`},
		{"TLS_KEY_FILE=" + pair.Key, `TLS_CERT_FILE: not set; takes a certificate in PEM whose key is in TLS_KEY_FILE`},
		{"TLS_CERT_FILE=" + pair.Cert + " TLS_KEY_FILE=", `TLS_KEY_FILE: got nothing; takes the key, in PEM, of the certificate in TLS_CERT_FILE`},
		{"TLS_CERT_FILE=" + pair.Cert + " TLS_KEY_FILE=" + other.Key, `TLS_CERT_FILE: got "` + pair.Cert + `"; takes a certificate in PEM whose key is in TLS_KEY_FILE (tls: private key does not match public key)`},
		{"TLS_CERT_FILE=" + empty + " TLS_KEY_FILE=" + pair.Key, `TLS_CERT_FILE: got "` + empty + `"; takes a certificate in PEM whose key is in TLS_KEY_FILE (tls: failed to find any PEM data in certificate input)`},
		{"DATA_DIR=" + comment, `DATA_DIR: got "` + comment + `"; takes the path of a directory (not a directory)`},
		{"DATA_DIR=" + comment + "/data", `DATA_DIR: got "` + comment + `/data"; takes the path of a directory (not a directory)`},
		{"DATA_DIR=~/data", `DATA_DIR: got "~/data"; takes the path of a directory (quotation marks, ~ and $ are taken as they are: write the whole path)`},
		{"DATA_DIR=\"/data\"", `DATA_DIR: got "\"/data\""; takes the path of a directory (quotation marks, ~ and $ are taken as they are: write the whole path)`},
		{"DATA_DIR=${DIR}", `DATA_DIR: got "${DIR}"; takes the path of a directory (quotation marks, ~ and $ are taken as they are: write the whole path)`},
		{"PPROF=on", `PPROF: got "on"; takes true or false`},

		{"FLOCK_SECRETS=", `FLOCK_SECRETS: got nothing; takes secrets with commas between, none of them empty`},
		{"FLOCK_SECRETS=a,,b", `FLOCK_SECRETS: got [hidden]; takes secrets with commas between, none of them empty (secret 1 is empty)`},
		{"FRIGADE_SECRETS=a,", `FRIGADE_SECRETS: got [hidden]; takes secrets with commas between, none of them empty (secret 1 is empty)`},
		{"FLOCK_SECRETS_FILE=" + empty, `FLOCK_SECRETS: got [hidden]; FLOCK_SECRETS_FILE is set too: keep one of the two`},
		{"FRIGADE_SECRETS_FILE=" + empty, `FRIGADE_SECRETS_FILE: got "` + empty + `"; takes a file with one secret a line: it holds no secret`},
		{"FRIGADE_SECRETS_FILE=" + binary, `FRIGADE_SECRETS_FILE: got "` + binary + `"; takes a file with one secret a line: line 2 is not text`},
		{"FRIGADE_SECRETS=a,b,a", `FRIGADE_SECRETS: got [hidden]; takes secrets with commas between, none of them empty (secret 2 is the same as secret 0)`},
		{"FRIGADE_SECRETS_FILE=" + comment, `FRIGADE_SECRETS_FILE: got "` + comment + `"; takes a file with one secret a line: line 2 begins with #: there are no comments, each line is a secret`},
		{"FRIGADE_SECRETS_FILE=" + unfilled, `FRIGADE_SECRETS_FILE: got "` + unfilled + `"; takes a file with one secret a line: line 1 is a placeholder such as ${X}, <your-secret> or changeme: put the secret in its place`},
		{"FRIGADE_SECRETS=a,$FRIGADE_SECRET", `FRIGADE_SECRETS: got [hidden]; takes secrets with commas between, none of them empty (secret 1 is a placeholder such as ${X}, <your-secret> or changeme: put the secret in its place)`},
		{"FRIGADE_SECRETS=y,x", `FRIGADE_SECRETS: got [hidden]; endpoints flock (FLOCK_SECRETS) and frigade (FRIGADE_SECRETS) share a secret and differ in provider or scheme, so a delivery that is signed for one could be sent to the other: give each its own`},
		{"ENDPOINTS_0_NAME=eu ENDPOINTS_0_PROVIDER=flock ENDPOINTS_0_SECRETS=x ENDPOINTS_0_SIGNATURE=payload", `ENDPOINTS_0_SECRETS: got [hidden]; endpoints flock (FLOCK_SECRETS) and eu (ENDPOINTS_0_SECRETS) share a secret and differ in provider or scheme, so a delivery that is signed for one could be sent to the other: give each its own`},
		{"ENDPOINTS_0_NAME=a ENDPOINTS_0_PROVIDER=github ENDPOINTS_0_SECRETS=0123456789abcdef ENDPOINTS_1_NAME=b ENDPOINTS_1_PROVIDER=github ENDPOINTS_1_SECRETS=0123456789abcdef ENDPOINTS_1_SIGNED={header:X-GitHub-Event}.{body}", `ENDPOINTS_1_SECRETS: got [hidden]; endpoints a (ENDPOINTS_0_SECRETS) and b (ENDPOINTS_1_SECRETS) share a secret and differ in provider or scheme, so a delivery that is signed for one could be sent to the other: give each its own`},
		{"FRIGADE_SECRETS_FILE=/nowhere", `FRIGADE_SECRETS_FILE: got "/nowhere"; takes ` + file},
		{"FRIGADE_SECRETS_FILE=", `FRIGADE_SECRETS_FILE: got nothing; takes the path of a file that can be read`},
		{"FLOCK_SIGNATURE=data", `FLOCK_SIGNATURE: got "data"; takes one of auto, payload, timestamp-data`},
		{"FLOCK_TOLERANCE=5", `FLOCK_TOLERANCE: got "5"; takes a duration above 0, such as 5m, 24h or 7d, at most 3650d`},
		{"FLOCK_TOLERANCE=0s", `FLOCK_TOLERANCE: got "0s"; takes a duration above 0, such as 5m, 24h or 7d, at most 3650d`},
		{"FLOCK_TOLERANCE=60000d", `FLOCK_TOLERANCE: got "60000d"; takes a duration above 0, such as 5m, 24h or 7d, at most 3650d`},
		{"FLOCK_TOLERANCE=4000d", `FLOCK_TOLERANCE: got "4000d"; takes a duration above 0, such as 5m, 24h or 7d, at most 3650d`},
		{"FRIGADE_SIGNATURE=auto", `FRIGADE_SIGNATURE: got "auto"; takes one of data, payload`},
		{"FRIGADE_TOLERANCE=-1h", `FRIGADE_TOLERANCE: got "-1h"; takes a duration above 0, such as 5m, 24h or 7d, at most 3650d`},
		{"FRIGADE_FRESHNESS=both", `FRIGADE_FRESHNESS: got "both"; takes one of signed, time`},
		{"ENDPOINTS_0_NAME=a ENDPOINTS_0_PROVIDER=github ENDPOINTS_0_SECRETS=y ENDPOINTS_0_SIGNATURE=payload", `ENDPOINTS_0_SIGNATURE: got "payload"; this provider has no such choice: leave it out`},
		{"FLOCK_SECRET_ENCODING=hex", `FLOCK_SECRET_ENCODING: got "hex"; what flock signs is fixed: leave it out`},
		{"FLOCK_FRESHNESS=time", `FLOCK_FRESHNESS: got "time"; this provider has no such choice: leave it out`},

		{"ENDPOINTS_0_NAME=Eu ENDPOINTS_0_PROVIDER=flock ENDPOINTS_0_SECRETS=x", `ENDPOINTS_0_NAME: got "Eu"; takes 1 to 32 of a-z, 0-9 and -, not beginning with -; no other endpoint's name`},
		{"ENDPOINTS_0_NAME=flock ENDPOINTS_0_PROVIDER=flock ENDPOINTS_0_SECRETS=x", `ENDPOINTS_0_NAME: got "flock"; another endpoint has this name: give each its own`},
		{"ENDPOINTS_0_NAME=eu ENDPOINTS_0_PROVIDER=nobody ENDPOINTS_0_SECRETS=x", `ENDPOINTS_0_PROVIDER: got "nobody"; takes one of ` + strings.Join(providers.Names(), ", ")},
		{"ENDPOINTS_0_NAME=eu ENDPOINTS_0_SECRETS=x", `ENDPOINTS_0_PROVIDER: not set; takes one of ` + strings.Join(providers.Names(), ", ")},
		{"ENDPOINTS_0_NAME=eu ENDPOINTS_0_PROVIDER=flock", `ENDPOINTS_0_SECRETS: not set; takes secrets with commas between, none of them empty; or set ENDPOINTS_0_SECRETS_FILE`},
		{"ENDPOINTS_1_NAME=eu ENDPOINTS_1_PROVIDER=flock ENDPOINTS_1_SECRETS=x", `ENDPOINTS_0_…: not set; but there is ENDPOINTS_1_…: number the endpoints 0, 1, 2 and so on, without a gap or a leading zero`},
		{"ENDPOINTS_0_NAME=eu ENDPOINTS_0_PROVIDER=flock ENDPOINTS_0_SECRETS=x ENDPOINTS_0_SIGNATURE=x", `ENDPOINTS_0_SIGNATURE: got "x"; takes one of auto, payload, timestamp-data`},
		{"ENDPOINTS_0_NAME=eu ENDPOINTS_0_PROVIDER=flock ENDPOINTS_0_SECRETS=x ENDPOINTS_0_TOLERANCE=x", `ENDPOINTS_0_TOLERANCE: got "x"; takes a duration above 0, such as 5m, 24h or 7d, at most 3650d`},
		{"ENDPOINTS_0_NAME=eu ENDPOINTS_0_PROVIDER=flock ENDPOINTS_0_SECRETS=x ENDPOINTS_0_FRESHNESS=time", `ENDPOINTS_0_FRESHNESS: got "time"; this provider has no such choice: leave it out`},
		{"ENDPOINTS_0_NAME=eu ENDPOINTS_0_PROVIDER=flock ENDPOINTS_0_SECRETS_FILE=/nowhere", `ENDPOINTS_0_SECRETS_FILE: got "/nowhere"; takes ` + file},

		{"ENDPOINTS_0_NAME=Eu ENDPOINTS_0_PROVIDER=standard-webhooks ENDPOINTS_0_SECRETS=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", `ENDPOINTS_0_NAME: got "Eu"; takes 1 to 32 of a-z, 0-9 and -, not beginning with -; no other endpoint's name`},
		{"ENDPOINTS_0_NAME=eu ENDPOINTS_0_PROVIDER=standard-webhooks ENDPOINTS_0_SECRETS=0 ENDPOINTS_0_TOLERANCE=0s ENDPOINTS_0_USER=id", `ENDPOINTS_0_USER: got "id"; takes body:path, such as body:user.id; of several, comma-separated, the first that is present is used (at character 1: "id" is neither header:Name nor body:path)` + "\n" +
			`ENDPOINTS_0_TOLERANCE: got "0s"; takes a duration above 0, such as 5m, 24h or 7d, at most 3650d` + "\n" +
			`ENDPOINTS_0_SECRETS: got [hidden]; takes secrets in base64, as ENDPOINTS_0_SECRET_ENCODING says (secret 0: it is not base64, or has only zeros)`},
		// HMAC fills up an empty key with zeros.
		{"ENDPOINTS_0_NAME=a ENDPOINTS_0_PROVIDER=standard-webhooks ENDPOINTS_0_SECRETS=whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", `ENDPOINTS_0_SECRETS: got [hidden]; takes secrets in base64, as ENDPOINTS_0_SECRET_ENCODING says (secret 0: it is not base64, or has only zeros)`},

		{"ENDPOINTS_00_NAME=eu ENDPOINTS_00_PROVIDER=flock ENDPOINTS_00_SECRETS=x", `ENDPOINTS_0_…: not set; but there is ENDPOINTS_00_…: number the endpoints 0, 1, 2 and so on, without a gap or a leading zero`},
		{"ENDPOINTS_99999999999999999999_NAME=Eu ENDPOINTS_99999999999999999999_PROVIDER=flock", `ENDPOINTS_0_…: not set; but there is ENDPOINTS_99999999999999999999_…: number the endpoints 0, 1, 2 and so on, without a gap or a leading zero` + "\n" +
			`ENDPOINTS_99999999999999999999_NAME: got "Eu"; takes 1 to 32 of a-z, 0-9 and -, not beginning with -; no other endpoint's name` + "\n" +
			`ENDPOINTS_99999999999999999999_SECRETS: not set; takes secrets with commas between, none of them empty; or set ENDPOINTS_99999999999999999999_SECRETS_FILE`},

		{"NATS_URL=http://nats:4222", `NATS_URL: got "http://nats:4222"; takes nats://host:port or tls://host:port, several with commas between`},
		{"NATS_URL=http://nats:4222 NATS_TLS_FIRST=true STREAM_REPLICAS=3 EMBEDDED_NATS_ADDR=:4222", `NATS_URL: got "http://nats:4222"; takes nats://host:port or tls://host:port, several with commas between`},
		{"NATS_INBOX_PREFIX=webhooks", `SUBJECT_PREFIX and NATS_INBOX_PREFIX: got its default, webhooks, and "webhooks"; a stream would store NATS' replies: set prefixes such as webhooks and _INBOX`},
		{"SUBJECT_PREFIX=a NATS_INBOX_PREFIX=a-quarantine.b", `SUBJECT_PREFIX and NATS_INBOX_PREFIX: got "a", and "a-quarantine.b"; a stream would store NATS' replies: set prefixes such as webhooks and _INBOX`},
		{"SUBJECT_PREFIX=> NATS_INBOX_PREFIX=>", `NATS_INBOX_PREFIX: got ">"; takes ` + tokens + "\n" + `SUBJECT_PREFIX: got ">"; takes ` + tokens},
		{"SUBJECT_PREFIX=_INBOX", `SUBJECT_PREFIX and NATS_INBOX_PREFIX: got "_INBOX", and its default, _INBOX; a stream would store NATS' replies: set prefixes such as webhooks and _INBOX`},
		{"NATS_TLS_FIRST=true", `NATS_TLS_FIRST: got "true"; the embedded server has no TLS: set NATS_URL, or leave this out`},
		{"NATS_URL=ws://a:8080,nats://b:4222", `NATS_URL: got "ws://a:8080,nats://b:4222"; takes nats://host:port or tls://host:port, several with commas between (ws:// and wss:// can't be mixed with nats:// and tls://: use one kind for all servers)`},
		{"NATS_URL=$NATS", `NATS_URL: got "$NATS"; takes nats://host:port or tls://host:port, several with commas between`},
		{"NATS_URL=nats://$(HOST):4222", `NATS_URL: got "nats://$(HOST):4222"; takes nats://host:port or tls://host:port, several with commas between`},
		{"NATS_URL=nats://a:70000", `NATS_URL: got "nats://a:70000"; takes nats://host:port or tls://host:port, several with commas between (a port is from 1 to 65535)`},
		{"NATS_URL=a:0", `NATS_URL: got "a:0"; takes nats://host:port or tls://host:port, several with commas between (a port is from 1 to 65535)`},
		{"NATS_URL=nats://a:4222;nats://b:4222", `NATS_URL: got "nats://a:4222;nats://b:4222"; takes nats://host:port or tls://host:port, several with commas between`},
		{"NATS_URL=a;b", `NATS_URL: got "a;b"; takes nats://host:port or tls://host:port, several with commas between`},
		{"NATS_URL=nats://::1:4222", `NATS_URL: got "nats://::1:4222"; takes nats://host:port or tls://host:port, several with commas between`},
		{"NATS_URL=nats://me:word@", `NATS_URL: got "nats://[hidden]@"; takes nats://host:port or tls://host:port, several with commas between`},
		{"NATS_URL=nats://localhost NATS_NKEY=SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY", `NATS_NKEY: got something that doesn't look like a path [hidden]; ` + key + ` (no such file or directory)`},
		{"FRIGADE_SECRETS_FILE=whsec_wordwordword", `FRIGADE_SECRETS_FILE: got something that doesn't look like a path [hidden]; takes the path of a file that can be read (no such file or directory)`},
		{"NATS_URL=a,nats://b/?token=word", `NATS_URL: got "a,nats://b/?[hidden]"; takes nats://host:port or tls://host:port, several with commas between (a query is not sent: use NATS_USER and NATS_PASSWORD, or NATS_TOKEN)`},
		{"NATS_URL=u:word", `NATS_URL: got "[hidden]"; takes nats://host:port or tls://host:port, several with commas between`},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=collector:4318", `OTEL_EXPORTER_OTLP_ENDPOINT: got "collector:4318"; takes a URL such as http://collector:4318`},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=u:word", `OTEL_EXPORTER_OTLP_ENDPOINT: got "[hidden]"; takes a URL such as http://collector:4318`},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://u:wo,rd@c:1/", `OTEL_EXPORTER_OTLP_ENDPOINT: got "http://[hidden]@c:1/"; takes a URL such as http://collector:4318 (a user, a password or a query is not sent: use OTEL_EXPORTER_OTLP_HEADERS)`},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://c?key=word", `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: got "http://c?[hidden]"; takes a URL such as http://collector:4318 (a user, a password or a query is not sent: use OTEL_EXPORTER_OTLP_HEADERS)`},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://c:1 OTEL_EXPORTER_OTLP_PROTOCOL=grpc", `OTEL_EXPORTER_OTLP_PROTOCOL: got "grpc"; takes http/protobuf`},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://c:1 OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=grpc", `OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: got "grpc"; takes http/protobuf`},
		{"OTEL_SDK_DISABLED=1", `OTEL_SDK_DISABLED: got "1"; takes true or false: OpenTelemetry takes any other value for false`},
		{"NATS_CREDS=/nowhere", `NATS_CREDS: got "/nowhere"; ` + credentials + ` (no such file or directory)`},
		{"NATS_CREDS=" + creds, `NATS_CREDS: got "` + creds + `"; ` + credentials + ` (it is empty)`},
		{"NATS_NKEY=/nowhere", `NATS_NKEY: got "/nowhere"; ` + key + ` (no such file or directory)`},
		{"NATS_CREDS=" + pair.Cert, `NATS_CREDS: got "` + pair.Cert + `"; ` + credentials + ` (it holds no JWT with the seed of its user)`},
		{"NATS_CREDS=" + seed, `NATS_CREDS: got "` + seed + `"; ` + credentials + ` (it holds no JWT with the seed of its user)`},
		{"NATS_CREDS=" + decorated + " NATS_NKEY=" + seed, `NATS_NKEY: got "` + seed + `"; NATS_CREDS is set too: keep one of the two`},
		{"NATS_URL=nats://me:word@a NATS_USER=you", `NATS_URL: got "nats://[hidden]@a"; it has a user or token, and NATS_USER, NATS_NKEY or NATS_TOKEN is set too, which would be ignored: keep one of the two`},
		{"NATS_URL=word@a NATS_NKEY=" + seed, `NATS_URL: got "[hidden]@a"; it has a user or token, and NATS_USER, NATS_NKEY or NATS_TOKEN is set too, which would be ignored: keep one of the two`},
		{"NATS_URL=a,word@b NATS_TOKEN=word", `NATS_URL: got "a,[hidden]@b"; it has a user or token, and NATS_USER, NATS_NKEY or NATS_TOKEN is set too, which would be ignored: keep one of the two`},
		{"NATS_CA=/nowhere", `NATS_CA: got "/nowhere"; ` + authorities + ` (no such file or directory)`},
		{"NATS_CERT=/nowhere NATS_KEY=" + empty, `NATS_CERT: got "/nowhere"; takes ` + file},
		{"NATS_KEY=/nowhere NATS_CERT=" + empty, `NATS_KEY: got "/nowhere"; takes ` + file},
		{"NATS_CERT=/nowhere", `NATS_CERT: got "/nowhere"; takes ` + file + "\n" + `NATS_KEY: not set; takes the key, in PEM, of the certificate in NATS_CERT`},
		{"NATS_KEY=" + pair.Key, `NATS_CERT: not set; takes a certificate in PEM whose key is in NATS_KEY`},
		{"NATS_CERT=" + pair.Cert + " NATS_KEY=" + other.Key, `NATS_CERT: got "` + pair.Cert + `"; takes a certificate in PEM whose key is in NATS_KEY (tls: private key does not match public key)`},
		{"NATS_CA=" + pair.Key, `NATS_CA: got "` + pair.Key + `"; ` + authorities + ` (it holds no certificate in PEM)`},
		{"NATS_CA=" + large, `NATS_CA: got "` + large + `"; ` + authorities + ` (larger than 1048576 bytes)`},
		{"NATS_NKEY=" + pair.Key, `NATS_NKEY: got "` + pair.Key + `"; ` + key + ` (it holds no seed of a user)`},
		{"NATS_NKEY=" + indented, `NATS_NKEY: got "` + indented + `"; ` + key + ` (it holds no seed of a user)`},
		{"NATS_NKEY=" + mistyped, `NATS_NKEY: got "` + mistyped + `"; ` + key + ` (it holds no seed of a user)`},
		{"NATS_PASSWORD=word", `NATS_USER: not set; NATS_PASSWORD is set and needs the name of its user`},
		{"NATS_INBOX_PREFIX=a.>", `NATS_INBOX_PREFIX: got "a.>"; takes ` + tokens},
		{"NATS_JS_DOMAIN=a.b", `NATS_JS_DOMAIN: got "a.b"; takes A-Z, a-z, 0-9, _ and -`}, // nats-server refuses it
		{"SUBJECT_PREFIX=hooks.*", `SUBJECT_PREFIX: got "hooks.*"; takes ` + tokens},
		{"STREAM_NAME=web.hooks", `STREAM_NAME: got "web.hooks"; takes 1 to 200 of A-Z, a-z, 0-9, _ and -`},
		{"STREAM_MANAGE=maybe", `STREAM_MANAGE: got "maybe"; takes true or false`},
		{"STREAM_REPLICAS=6 NATS_URL=nats://nats", `STREAM_REPLICAS: got "6"; takes 1 to 5, or 1 without NATS_URL`},
		{"STREAM_REPLICAS=3", `STREAM_REPLICAS: got "3"; takes 1 to 5, or 1 without NATS_URL`},
		{"STREAM_REPLICAS=three", `STREAM_REPLICAS: got "three"; takes 1 to 5, or 1 without NATS_URL`},
		{"STREAM_MAX_AGE=week", `STREAM_MAX_AGE: got "week"; takes a duration such as 168h or 7d, or 0s for no limit`},
		{"STREAM_MAX_AGE=-1s", `STREAM_MAX_AGE: got "-1s"; takes a duration such as 168h or 7d, or 0s for no limit`},
		{"STREAM_MAX_AGE=24h FRIGADE_SECRETS=y", `STREAM_MAX_AGE: got "24h"; takes at least 25h, an hour longer than a delivery is accepted (FRIGADE_TOLERANCE): the stream doesn't recognise what it has dropped`},
		{"FLOCK_TOLERANCE=4d", `STREAM_MAX_AGE: got its default, 168h; takes at least 193h, an hour longer than a delivery is accepted (FLOCK_TOLERANCE): the stream doesn't recognise what it has dropped`},
		{"STREAM_MAX_BYTES=1GB", `STREAM_MAX_BYTES: got "1GB"; takes ` + size},
		{"STREAM_DUPLICATES=1h", `STREAM_DUPLICATES: got "1h"; takes at least 1h10m, an hour longer than a delivery is accepted (FLOCK_TOLERANCE): otherwise a replay could be stored twice`},
		{"STREAM_DUPLICATES=169h", `STREAM_DUPLICATES: got "169h"; takes at most STREAM_MAX_AGE, 168h: the stream doesn't recognise what it has dropped`},
		{"STREAM_DUPLICATES=x", `STREAM_DUPLICATES: got "x"; takes ` + duration},
		{"PUBLISH_TIMEOUT=400", `PUBLISH_TIMEOUT: got "400"; takes ` + duration},
		{"PUBLISH_TIMEOUT=0s", `PUBLISH_TIMEOUT: got "0s"; takes a duration of at least 1ms`},
		{"SPOOL_MAX_BYTES=-1", `SPOOL_MAX_BYTES: got "-1"; takes ` + size},
		{"SPOOL_DRAIN_TIMEOUT=-1s", `SPOOL_DRAIN_TIMEOUT: got "-1s"; takes a duration of at least 0s`},
		{"QUARANTINE=off", `QUARANTINE: got "off"; takes true or false`},
		{"QUARANTINE_MAX_BYTES=512KiB", `QUARANTINE_MAX_BYTES: got "512KiB"; takes at least 516KiB, so that a delivery of MAX_BODY_BYTES, 512KiB, fits in it; or set QUARANTINE=false`},
		{"QUARANTINE_MAX_BYTES=0", `QUARANTINE_MAX_BYTES: got "0"; takes a size above 0, such as 64MiB`},
		{"MAX_BODY_BYTES=65MiB", `MAX_BODY_BYTES: got "65MiB"; takes a size from 1 to 64MiB, such as 512KiB`},
		{"MAX_BODY_BYTES=99999999999TiB", `MAX_BODY_BYTES: got "99999999999TiB"; takes a size from 1 to 64MiB, such as 512KiB`},
		{"MAX_BODY_BYTES=1 QUARANTINE_MAX_BYTES=1", `QUARANTINE_MAX_BYTES: got "1"; takes at least 4097, so that a delivery of MAX_BODY_BYTES, 1, fits in it; or set QUARANTINE=false`},
		{"MAX_BODY_BYTES=x QUARANTINE_MAX_BYTES=1", `MAX_BODY_BYTES: got "x"; takes a size from 1 to 64MiB, such as 512KiB`},
		{"MAX_BODY_BYTES=64MiB", `QUARANTINE_MAX_BYTES: got its default, 64MiB; takes at least 65540KiB, so that a delivery of MAX_BODY_BYTES, 64MiB, fits in it; or set QUARANTINE=false`},
		{"MAX_IN_FLIGHT_BYTES=64 MB", `MAX_IN_FLIGHT_BYTES: got "64 MB"; takes ` + size},
		{"SHUTDOWN_DELAY=soon", `SHUTDOWN_DELAY: got "soon"; takes ` + duration},
		{"SHUTDOWN_TIMEOUT=0s", `SHUTDOWN_TIMEOUT: got "0s"; takes a duration of at least 1ms`},
		{"LOG_LEVEL=verbose", `LOG_LEVEL: got "verbose"; takes one of debug, info, warn, error`},
		{"LOG_FORMAT=text", `LOG_FORMAT: got "text"; takes one of json, console`},
	} {
		t.Run(test.set, func(t *testing.T) {
			environ := []string{"FLOCK_SECRETS=x"}
			for _, assignment := range strings.SplitAfter(test.set, " ") {
				if strings.Contains(assignment, "=") {
					environ = append(environ, strings.TrimSpace(assignment))
				} else {
					environ[len(environ)-1] += " " + assignment
				}
			}
			_, _, err := Load(environ)
			if err == nil || err.Error() != test.want {
				t.Errorf("Load:\n%v\nwant\n%s", err, test.want)
			}
		})
	}
}

// White space around an address or path, or control characters in it, are a mistake. A text may have them,
// and gets a warning.
func TestWhiteSpace(t *testing.T) {
	set := func(environ ...string) []string { return append(environ, "FLOCK_SECRETS=0123456789abcdef") }
	for variable, value := range map[string]string{
		"HTTP_ADDR": "127.0.0.1:8080", "DATA_DIR": t.TempDir(),
		"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces",
	} {
		for _, wrong := range []string{" ", "\n", " " + value, value + " ", value + "\n", value + "\u00a0", value[:8] + "\x7f" + value[8:]} {
			_, _, err := Load(set(variable + "=" + wrong))
			if err == nil || !strings.HasPrefix(err.Error(), variable+": got ") {
				t.Errorf("%s=%q: %v", variable, wrong, err)
			}
		}
	}
	endpoint := "ENDPOINTS_0_NAME=a ENDPOINTS_0_PROVIDER=github ENDPOINTS_0_SECRETS=fedcba9876543210"
	for _, variable := range []string{"NATS_USER", "NATS_TOKEN", "ENDPOINTS_0_SIGNATURE_FORMAT", "ENDPOINTS_0_SIGNED"} {
		value := map[string]string{"ENDPOINTS_0_SIGNATURE_FORMAT": "{hex}", "ENDPOINTS_0_SIGNED": "{body}"}[variable]
		for end, want := range map[string]bool{"\n": true, "x": false} {
			_, warnings, err := Load(set(append(strings.Fields(endpoint), variable+"="+value+end)...))
			expect.NoErrorf(t, err, "%s=%s%q", variable, value, end)
			isSaid := slices.ContainsFunc(warnings, func(w string) bool { return strings.HasPrefix(w, variable+" has white space around it") })
			expect.Equal(t, want, isSaid, "a warning about %s=%s%q", variable, value, end)
		}
	}
}

// Settings that resemble a mistake and are none.
func TestNoMistake(t *testing.T) {
	for _, set := range []string{
		// A port on different addresses, any free port, and that of an embedded server that doesn't run.
		"HTTP_ADDR=192.0.2.1:80 ADMIN_ADDR=127.0.0.1:80",
		"HTTP_ADDR=localhost:80 ADMIN_ADDR=[::1]:80", // Go listens on the first address in IPv4
		"HTTP_ADDR=:0 ADMIN_ADDR=:0 EMBEDDED_NATS_ADDR=127.0.0.1:0",
		"HTTP_ADDR=:4222 NATS_URL=nats://nats",
		// An embedded server for others, which have to know a secret.
		"EMBEDDED_NATS_ADDR=:4222 NATS_TOKEN=word",
		"EMBEDDED_NATS_ADDR=:4222 NATS_USER=me NATS_PASSWORD=word",
		// A protocol for other programs: no span is sent, or the one for spans comes first.
		"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=grpc",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://c:1 OTEL_EXPORTER_OTLP_PROTOCOL=grpc OTEL_SDK_DISABLED=true",
		"OTEL_EXPORTER_OTLP_ENDPOINT=https://c OTEL_EXPORTER_OTLP_PROTOCOL=grpc OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/protobuf",
	} {
		_, _, err := Load(append(strings.Fields(set), "FLOCK_SECRETS=x"))
		expect.NoErrorf(t, err, "%s", set)
	}
}

func TestLoad(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secrets")
	expect.NoError(t, os.WriteFile(file, []byte("current-0123456789\r\n\nolder-0123456789\n"), 0o600))
	c, warnings, err := Load([]string{
		"FLOCK_SECRETS=one-0123456789abcdef, two-0123456789abcdef", "FRIGADE_SECRETS_FILE=" + file, "FRIGADE_TOLERANCE=48h", "STREAM_MAX_BYTES=10GiB", "MAX_BODY_BYTES=1000", "NATS_URL=", "DATA_DIR=" + t.TempDir(),
		"ENDPOINTS_0_NAME=flock-eu", "ENDPOINTS_0_PROVIDER=flock", "ENDPOINTS_0_SECRETS=three-0123456789", "ENDPOINTS_0_SIGNATURE=payload",
	})
	if err != nil || len(warnings) > 0 {
		t.Fatal(err, warnings)
	}
	type endpoint struct {
		Name, Provider, Signature, Freshness, Secrets string
		Tolerance                                     time.Duration
	}
	var got []endpoint
	for _, e := range c.Endpoints {
		var keys []string
		for _, s := range e.Secrets {
			keys = append(keys, string(s.Key()))
		}
		got = append(got, endpoint{e.Name, e.Provider, e.Signature, e.Freshness, strings.Join(keys, "|"), e.Tolerance})
	}
	if diff := cmp.Diff([]endpoint{
		{"flock", "flock", "auto", "", "one-0123456789abcdef|two-0123456789abcdef", 5 * time.Minute},
		{"frigade", "frigade", "data", "signed", "current-0123456789|older-0123456789", 48 * time.Hour},
		{"flock-eu", "flock", "payload", "", "three-0123456789", 5 * time.Minute},
	}, got); diff != "" {
		t.Error(diff)
	}
	if c.StreamDuplicates != 49*time.Hour || c.StreamMaxBytes != 10<<30 || c.MaxBodyBytes != 1000 || !c.IsEmbedded() {
		t.Errorf("the durations and sizes: got %+v, want STREAM_DUPLICATES 49h, STREAM_MAX_BYTES 10GiB, MAX_BODY_BYTES 1000, embedded", c)
	}
	if c.IsSet("STREAM_DUPLICATES") || !c.IsSet("STREAM_MAX_BYTES") || c.IsSet("NATS_URL") {
		t.Error("IsSet is wrong")
	}
}

// A provider's own endpoint keeps its name and provider: variables that look as if they changed them
// have no effect, as the warnings say.
func TestOwnEndpoint(t *testing.T) {
	p, other := providers.All[0], providers.All[1]
	c, warnings, err := Load([]string{p.Variable("SECRETS") + "=0123456789abcdef", p.Variable("NAME") + "=Other!", p.Variable("PROVIDER") + "=" + other.Name})
	if err != nil || len(warnings) != 2 || len(c.Endpoints) != 1 || c.Endpoints[0].Name != p.Name || c.Endpoints[0].Vendor != p {
		t.Errorf("got the endpoints %+v, the warnings %q and %v, want one endpoint and two warnings", c.Endpoints, warnings, err)
	}
}

// In a URL of any form, the part before the host is hidden.
func TestHideUser(t *testing.T) {
	for in, want := range map[string]string{
		"nats://a:4222":                         "nats://a:4222",
		"nats://u:word@a:4222":                  "nats://[hidden]@a:4222",
		"u:word@a:4222":                         "[hidden]@a:4222",
		"word@a":                                "[hidden]@a",
		"nats://u:wo/rd@a:4222":                 "nats://[hidden]@a:4222",
		"nats://u:wo\nrd@a:4222":                "nats://[hidden]@a:4222",
		"nats://u:word":                         "nats://[hidden]",
		"u:word":                                "[hidden]",
		"a:4222,u:wo,rd@b:4222":                 "a:4222,[hidden],[hidden]@b:4222",
		"nats://[::1]:4222":                     "nats://[::1]:4222",
		"nats://[fe80::1%25eth0]":               "nats://[fe80::1%25eth0]",
		"tls://u:w@o@a:4222, nats://word@b,c:1": "tls://[hidden]@a:4222, nats://[hidden]@b,c:1",
	} {
		expect.Equal(t, want, HideUser(in), "how %s is shown", in)
	}
}

// A variable with a mistake isn't also called unknown, and an endpoint without a name isn't warned of.
func TestProblemWithoutWarning(t *testing.T) {
	for _, set := range []string{
		"FLOCK_SECRETS=0123456789abcdef FLOCK_FRESHNESS=time",
		"ENDPOINTS_0_NAME=Code ENDPOINTS_0_PROVIDER=github ENDPOINTS_0_SECRETS=0123456789abcdef",
	} {
		_, warnings, err := Load(strings.Fields(set))
		if err == nil || len(warnings) > 0 {
			t.Errorf("%s: error %v and warnings %q, want an error and no warning", set, err, warnings)
		}
	}
}
