package config

import (
	"strings"
	"testing"
)

// No value of any variable makes Load panic. An invalid value is named without showing a secret; a
// valid one can be printed, and the printed form is valid, too.
func FuzzLoad(f *testing.F) {
	names := Names()
	defaults := ""
	for _, v := range new(Config).Variables() {
		defaults += v.Default + "\n"
	}
	for i := range names {
		for _, value := range []string{"", "1", "true", "5m", "512KiB", ":8080", "127.0.0.1:0", "nats://u:p@h:1", "a,b", "json", "9999999999999999999TiB", "-1", "\x00", "é"} {
			f.Add(i, value)
		}
	}
	f.Fuzz(func(t *testing.T, i int, value string) {
		name := strings.Replace(names[uint(i)%uint(len(names))], "<i>", "0", 1)
		environ := []string{"FLOCK_SECRETS=marked-flock", name + "=" + value}
		if name == "FLOCK_SECRETS" {
			environ = environ[1:]
		}
		c, warnings, err := Load(environ)
		said := strings.Join(warnings, "\n")
		if err != nil {
			said += err.Error()
			if !strings.Contains(said, strings.TrimSuffix(name, "_SECRETS")) && !strings.Contains(said, "ENDPOINTS_0_") && !strings.Contains(said, "SECRETS") && !strings.Contains(said, "NATS_") && !strings.Contains(said, "STREAM_") {
				t.Fatalf("%s=%q: got %s, want the variable's name in it", name, value, said)
			}
		}
		for _, v := range c.Variables() {
			said += "\n" + v.Value
			if err == nil && v.Name == name && v.Value != "" && !strings.Contains(v.Value, "[hidden]") {
				if _, _, err := Load([]string{"FLOCK_SECRETS=x", name + "=" + v.Value}); err != nil && !strings.HasPrefix(name, "ENDPOINTS_") {
					t.Fatalf("%s=%q is shown as %q, which is refused: %v", name, value, v.Value, err)
				}
			}
		}
		if strings.Contains(said, "marked-flock") || secretVariable.MatchString(name) && len(value) > 8 && strings.Contains(said, value) && !strings.Contains(defaults, value) {
			t.Fatalf("%s=%q: a secret is shown: %s", name, value, said)
		}
	})
}
