package app

import (
	"slices"
	"strings"
	"testing"
)

// A secret is never in force at endpoints of two providers, even after a file changes. Two endpoints may
// exchange their secrets, and one may take a secret that the other gives up.
func TestSecretsAreNotShared(t *testing.T) {
	v := newVolume(t, map[string]string{"a": "one", "b": "two", "c": "three"})
	vars := slices.Concat(endpointVars(0, "a", "flock", "SECRETS_FILE="+v.path("a")), endpointVars(1, "b", "frigade", "SECRETS_FILE="+v.path("b")),
		endpointVars(2, "c", "flock", "SECRETS_FILE="+v.path("c")))
	b := start(t, vars...)
	inForce := func(what, a, bb, c string) {
		t.Helper()
		b.await(what, func() bool {
			for name, want := range map[string]string{"a": a, "b": bb, "c": c} {
				var keys []string
				for _, s := range b.reloader.keyrings[name].current() {
					keys = append(keys, string(s.Key()))
				}
				if strings.Join(keys, " ") != want {
					return false
				}
			}
			return true
		})
	}
	failures := func(what string, n int) {
		t.Helper()
		b.await(what, func() bool { return len(b.lines("secrets can't be loaded")) == n })
	}
	inForce("at the start", "one", "two", "three")

	v.swap(map[string]string{"a": "one\ntwo", "b": "two", "c": "three\nfour"})
	failures("a wants b's", 1)
	inForce("c isn't affected", "one", "two", "three four")
	line := b.lines("secrets can't be loaded")[0]["error"].(string)
	if want := "endpoints a (ENDPOINTS_0_SECRETS_FILE) and b (ENDPOINTS_1_SECRETS_FILE) share a secret, and differ in provider or scheme: give each its own"; line != want {
		t.Errorf("logged: %s", line)
	}
	if strings.Contains(b.log.String(), "two") {
		t.Error("a secret is in the log")
	}
	if got := b.metric(`webhook_bridge_secrets_last_reload_successful{endpoint="a"}`); got != "0" {
		t.Errorf("a's reload: %s", got)
	}

	v.swap(map[string]string{"a": "one\ntwo", "b": "five", "c": "three\nfour"})
	inForce("b has given it up", "one two", "five", "three four")

	v.swap(map[string]string{"a": "five", "b": "one\ntwo", "c": "three\nfour"})
	failures("one had to wait for the other", 2)
	inForce("exchanged", "five", "one two", "three four")

	v.swap(map[string]string{"a": "five", "b": "one\ntwo", "c": "three\none"})
	failures("c wants b's", 3)
	inForce("c keeps its own", "five", "one two", "three four")

	for i, content := range []string{"six\n# until June", "${SIX}"} {
		v.swap(map[string]string{"a": content, "b": "one\ntwo", "c": "three\nfour"})
		failures("a comment, a placeholder", 4+i)
		inForce("the last good ones stay", "five", "one two", "three four")
	}
	v.swap(map[string]string{"a": "five", "b": "one\ntwo", "c": "three\nfive"})
	inForce("one provider and one scheme may", "five", "one two", "three five")

	v.swap(map[string]string{"a": "one\ntwo", "b": "one\ntwo", "c": "three\nfive"})
	failures("a wants all of b's", 6)
	v.swap(map[string]string{"a": "one\ntwo", "b": "one", "c": "three\nfive"})
	inForce("b revokes one whatever a wants", "five", "one", "three five")
}
