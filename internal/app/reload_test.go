package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"

	"github.com/ade15e70/webhook-bridge/config"
	"github.com/ade15e70/webhook-bridge/internal/telemetry"
	"github.com/ade15e70/webhook-bridge/test/expect"
)

// volume is a directory like a secret that Kubernetes has mounted.
type volume struct {
	t       *testing.T
	dir     string
	version int
}

func newVolume(t *testing.T, files map[string]string) *volume {
	v := &volume{t: t, dir: t.TempDir()}
	v.swap(files)
	for name := range files {
		v.do(os.Symlink("..data/"+name, v.path(name)))
	}
	return v
}

func (v *volume) path(name string) string { return filepath.Join(v.dir, name) }

func (v *volume) do(errs ...error) {
	v.t.Helper()
	expect.NoError(v.t, errors.Join(errs...))
}

// swap replaces all files at once, as kubelet does.
func (v *volume) swap(files map[string]string) {
	v.t.Helper()
	old := filepath.Join(v.dir, fmt.Sprintf("..2026_%d", v.version))
	v.version++
	next := fmt.Sprintf("..2026_%d", v.version)
	v.do(os.Mkdir(filepath.Join(v.dir, next), 0o700))
	for name, content := range files {
		v.do(os.WriteFile(filepath.Join(v.dir, next, name), []byte(content), 0o600))
	}
	v.do(os.Symlink(next, v.path("..data_tmp")), os.Rename(v.path("..data_tmp"), v.path("..data")), os.RemoveAll(old))
}

func endpointVars(i int, name, provider string, more ...string) []string {
	prefix := fmt.Sprintf("ENDPOINTS_%d_", i)
	vars := []string{prefix + "NAME=" + name, prefix + "PROVIDER=" + provider}
	for _, assignment := range more {
		vars = append(vars, prefix+assignment)
	}
	return vars
}

// lines returns the log lines with that message, each as a map.
func (b *bridge) lines(message string) (found []map[string]any) {
	for line := range strings.Lines(b.log.String()) {
		var entry map[string]any
		if json.Unmarshal([]byte(line), &entry) == nil && strings.HasPrefix(entry["message"].(string), message) {
			found = append(found, entry)
		}
	}
	return found
}

// metric returns the value of a series, as in /metrics; "" if there is none.
func (b *bridge) metric(series string) string {
	_, text := b.admin("/metrics")
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func (b *bridge) number(series string) float64 {
	b.t.Helper()
	n, err := strconv.ParseFloat(b.metric(series), 64)
	expect.NoErrorf(b.t, err, "%s", series)
	return n
}

// In a rotation as in docs/operations.md, under load, no delivery is refused, whichever secret signs it.
func TestRotationUnderLoad(t *testing.T) {
	v := newVolume(t, map[string]string{"flock": "old"})
	b := start(t, endpointVars(0, "live", "flock", "SECRETS_FILE="+v.path("flock"))...)
	loaded := func(n int) {
		t.Helper()
		b.await("loaded", func() bool { return len(b.lines("secrets loaded")) == n })
	}

	// The secrets that sign now: bit 0 is the old one, bit 1 the new one.
	var signing atomic.Int32
	signing.Store(1)
	var sent [4]atomic.Int64 // by sender
	ctx, cancel := context.WithCancel(t.Context())
	var senders sync.WaitGroup
	for sender := range sent {
		senders.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				key := map[int32]string{1: "old", 2: "new", 3: []string{"old", "new"}[i%2]}[signing.Load()]
				body := flockBody(fmt.Sprintf("%d-%d", sender, i), "")
				name, signature, _ := strings.Cut(sign(t, "X-Flock-Signature", key, body), ": ")
				request, err := http.NewRequest(http.MethodPost, "http://"+b.PublicAddr()+"/webhooks/live", strings.NewReader(body))
				if err != nil {
					t.Error(err)
					return
				}
				request.Header.Set(name, signature)
				response, err := http.DefaultClient.Do(request)
				if err != nil {
					t.Error(err)
					return
				}
				answer, _ := io.ReadAll(response.Body)
				response.Body.Close()
				sent[sender].Add(1)
				if response.StatusCode != http.StatusOK {
					t.Errorf("signed with %s: %s %s", key, response.Status, answer)
				}
			}
		})
	}
	sendMore := func() { // waits until each sender has sent some more
		t.Helper()
		for i := range sent {
			at := sent[i].Load()
			b.await("sending", func() bool { return sent[i].Load() > at+5 || t.Failed() })
		}
	}
	sendMore()
	v.swap(map[string]string{"flock": "new\nold"})
	loaded(1)
	signing.Store(3)
	sendMore()
	for i := range 3 { // positions change under load
		v.swap(map[string]string{"flock": []string{"old\nnew", "third\nnew\nold", "new\nold"}[i]})
		loaded(2 + i)
		sendMore()
	}
	signing.Store(2)
	sendMore()
	// No sender uses the old secret any more. Deliveries that began before still count.
	sendMore()
	before := b.metric(`webhook_bridge_secret_last_verified_timestamp_seconds{endpoint="live",secret="1"}`)
	sendMore()
	if after := b.metric(`webhook_bridge_secret_last_verified_timestamp_seconds{endpoint="live",secret="1"}`); after != before || after == "0" || after == "" {
		t.Errorf("the old secret's last use was %s and is %s, though it isn't used", before, after)
	}
	v.swap(map[string]string{"flock": "new"})
	loaded(5)
	sendMore()
	cancel()
	senders.Wait()
	if body := flockBody("late", ""); b.post("live", body, sign(t, "X-Flock-Signature", "old", body)).StatusCode != http.StatusUnauthorized {
		t.Error("the old secret still verifies")
	}
}

// Counters, times and log lines that name a position follow the secrets.
func TestPositions(t *testing.T) {
	v := newVolume(t, map[string]string{"flock": "old"})
	b := start(t, endpointVars(0, "live", "flock", "SECRETS_FILE="+v.path("flock"))...)
	send := func(key string) {
		t.Helper()
		body := flockBody(fmt.Sprint(time.Now().UnixNano()), "")
		if a := b.post("live", body, sign(t, "X-Flock-Signature", key, body)); a.StatusCode != http.StatusOK {
			t.Fatalf("signed with %s: %s", key, a.body)
		}
	}
	series := func() map[string]string {
		_, text := b.admin("/metrics")
		found := make(map[string]string)
		for line := range strings.Lines(text) {
			if rest, ok := strings.CutPrefix(line, `webhook_bridge_signatures_verified_total{endpoint="live",scheme="payload",secret="`); ok {
				position, value, _ := strings.Cut(rest, `"} `)
				found["count "+position] = strings.TrimSpace(value)
			}
			if rest, ok := strings.CutPrefix(line, `webhook_bridge_secret_last_verified_timestamp_seconds{endpoint="live",secret="`); ok {
				position, value, _ := strings.Cut(rest, `"} `)
				found["used "+position] = fmt.Sprint(strings.TrimSpace(value) != "0")
			}
		}
		return found
	}
	firsts := func() (found []string) {
		for _, line := range b.lines("first delivery with this scheme") {
			if line["endpoint"] == "live" {
				found = append(found, fmt.Sprint(line["secret"]))
			}
		}
		return found
	}
	check := func(what string, wantSeries map[string]string, wantFirsts ...string) {
		t.Helper()
		// The observer is called after the answer.
		b.await(what, func() bool { return cmp.Equal(wantSeries, series()) && cmp.Equal(wantFirsts, firsts()) || t.Failed() })
	}
	check("at the start", map[string]string{"used 0": "false"})
	send("old")
	send("old")
	check("used", map[string]string{"count 0": "2", "used 0": "true"}, "0")

	v.swap(map[string]string{"flock": "new\nold"})
	b.await("loaded", func() bool { return len(b.lines("secrets loaded")) == 1 })
	check("the new secret in front of the old one, which was used", map[string]string{"used 0": "false", "used 1": "true"}, "0")
	send("old")
	send("new")
	send("new")
	check("both used", map[string]string{"count 0": "2", "used 0": "true", "count 1": "1", "used 1": "true"}, "0", "1", "0")

	v.swap(map[string]string{"flock": "new"})
	b.await("loaded", func() bool { return len(b.lines("secrets loaded")) == 2 })
	check("a secret that keeps its position keeps its count", map[string]string{"count 0": "2", "used 0": "true"}, "0", "1", "0")
	send("new")
	check("the count goes on", map[string]string{"count 0": "3", "used 0": "true"}, "0", "1", "0")
}

// A delivery that was verified by a secret that has been replaced isn't counted for the new secret at its
// position.
func TestReplacedInFlight(t *testing.T) {
	b := start(t)
	k := b.reloader.keyrings["flock"]
	before := k.current()
	k.replace(before[1:])
	now := time.Now()
	if position, _ := k.verified("payload", before[0], now); position != -1 {
		t.Errorf("a secret that is gone is at %d", position)
	}
	if position, first := k.verified("payload", before[1], now); position != 0 || !first {
		t.Errorf("the second of two, now the first, is at %d, first %t", position, first)
	}
}

// An unusable file of any kind leaves the last good secrets in force; log and metrics report it
// once, and again when it is usable.
func TestUnusableSecrets(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secrets")
	write := func(content string) { // at once: if the machine stalls, no half of it is seen
		t.Helper()
		expect.NoError(t, os.WriteFile(path+".new", []byte(content), 0o600))
		expect.NoError(t, os.Rename(path+".new", path))
	}
	write("marked-good\n")
	vars := append(endpointVars(0, "live", "flock", "SECRETS_FILE="+path), endpointVars(1, "twin", "flock", "SECRETS_FILE="+path)...)
	b := start(t, vars...)
	took := func(key string) int {
		t.Helper()
		status := 0
		for _, name := range []string{"live", "twin"} {
			body := flockBody(fmt.Sprint(time.Now().UnixNano()), "")
			status = b.post(name, body, sign(t, "X-Flock-Signature", key, body)).StatusCode
		}
		return status
	}
	const failure = "secrets can't be loaded"
	const ok, at = `webhook_bridge_secrets_last_reload_successful{endpoint="live"}`, `webhook_bridge_secrets_last_reload_success_timestamp_seconds{endpoint="live"}`
	if b.metric(ok) != "1" || time.Since(time.UnixMilli(int64(b.number(at)*1e3))) > time.Hour {
		t.Errorf("at the start: %s, %s", b.metric(ok), b.metric(at))
	}
	for i, test := range []struct {
		name    string
		make    func()
		failure string
	}{
		{"empty", func() { write("") }, "it holds no secret"},
		{"binary", func() { write("marked-half\x00\n") }, "line 1 is not text"},
		{"one twice", func() { write("marked-half\nmarked-half\n") }, "line 2 is the same as line 1"},
		{"too large", func() { write(strings.Repeat("marked-half", 1<<20)) }, "read " + path + ": larger than 65536 bytes"},
		{"gone", func() { _ = os.Remove(path) }, "open " + path + ": no such file or directory"},
		{"a directory", func() { _ = os.Mkdir(path, 0o700) }, "open " + path + ": not a regular file"},
	} {
		test.make()
		b.await(test.name, func() bool { return len(b.lines(failure)) == 2*(i+1) }) // one an endpoint
		last := b.lines(failure)[2*i]
		if last["error"] != test.failure || last["file"] != path || last["level"] != "error" {
			t.Errorf("%s: logged %v, want the failure, the file and the level error", test.name, last)
		}
		if b.metric(ok) != "0" {
			t.Errorf("%s: last_reload_successful is %s, want 0", test.name, b.metric(ok))
		}
		expect.Equal(t, http.StatusOK, took("marked-good"), "%s: the answer to what the last good secret signs", test.name)
	}
	_ = os.Remove(path)
	write("marked-good\n")
	b.await("good again", func() bool { return len(b.lines("secrets can be loaded again")) == 2 })
	if b.metric(ok) != "1" || len(b.lines("secrets loaded")) != 0 {
		t.Errorf("after the same again: %s; %v", b.metric(ok), b.lines("secrets loaded"))
	}
	write("marked-next\n")
	b.await("loaded", func() bool { return len(b.lines("secrets loaded")) == 2 })
	b.await("doubted", func() bool { return len(b.lines("secret 0 has fewer than 16 characters")) == 2 })
	if took("marked-next") != http.StatusOK || took("marked-good") != http.StatusUnauthorized {
		t.Error("the next secret isn't in force, or the last one still is")
	}
	if n := len(b.lines(failure)); n > 14 { // the directory's removal may be seen as a file that is gone
		t.Errorf("%d lines for 6 failures of 2 endpoints", n)
	}
	if strings.Contains(b.log.String(), "marked") {
		t.Error("the log has a secret")
	}
}

// Secrets that wait for another endpoint to give one up come into force then, even if other endpoints'
// still conflict.
func TestSecretsThatWaited(t *testing.T) {
	var vars []string
	for i, at := range []struct{ name, provider string }{{"a", "flock"}, {"b", "frigade"}, {"c", "flock"}, {"d", "frigade"}} {
		path := filepath.Join(t.TempDir(), at.name)
		expect.NoError(t, os.WriteFile(path, []byte("secret-of-"+at.name), 0o600))
		vars = append(vars, endpointVars(i, at.name, at.provider, "SECRETS_FILE="+path)...)
	}
	c, _, err := config.Load(vars)
	expect.NoError(t, err)
	type change struct{ name, secrets string }
	for name, test := range map[string]struct {
		changes []change
		want    map[string]string
	}{
		"one gives it up": {
			[]change{{"a", "secret-of-b"}, {"c", "secret-of-d"}, {"b", "another"}},
			map[string]string{"a": "secret-of-b", "b": "another", "c": "secret-of-c"},
		},
		"an exchange": {
			[]change{{"c", "secret-of-d"}, {"a", "secret-of-b"}, {"b", "secret-of-a"}},
			map[string]string{"a": "secret-of-b", "b": "secret-of-a", "c": "secret-of-c"},
		},
		"another takes one that waits": {
			[]change{{"a", "new\nsecret-of-d"}, {"b", "new"}},
			map[string]string{"a": "secret-of-a", "b": "new"},
		},
		"an exchange, after which two want the same": {
			[]change{{"c", "new\nsecret-of-b"}, {"d", "new\nsecret-of-a"}, {"a", "secret-of-b"}, {"b", "secret-of-a"}},
			map[string]string{"a": "secret-of-b", "b": "secret-of-a", "c": "new", "d": "secret-of-d"},
		},
	} {
		r := newReloader(c, telemetry.NewMetrics("test"), zap.NewNop())
		for _, change := range test.changes {
			r.load(r.keyrings[change.name], [][]byte{[]byte(change.secrets)}, nil)
		}
		for endpoint, want := range test.want {
			expect.Equal(t, want, string(r.keyrings[endpoint].current()[0].Key()), "%s: the current secret of %s", name, endpoint)
		}
	}
}

// The text in the file is checked for doubts, not the key that it encodes.
func TestEncodedSecretsAreNotDoubted(t *testing.T) {
	v := newVolume(t, map[string]string{"any": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"})
	b := start(t, endpointVars(0, "any", "standard-webhooks", "SECRETS_FILE="+v.path("any"))...)
	v.swap(map[string]string{"any": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD\nc2hvcnQ="})
	b.await("loaded", func() bool { return len(b.lines("secret 1 has fewer than 16 characters")) == 1 })
	if doubted := b.lines("secret 0 "); len(doubted) > 0 {
		t.Errorf("a good secret is doubted: %v", doubted)
	}
}
