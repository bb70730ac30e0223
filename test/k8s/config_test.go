package k8s

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ade15e70/webhook-bridge/config"
)

// secretFiles is where the bridge finds what is mounted from Secrets.
const secretFiles = "/etc/webhook-bridge"

// environment is the bridge's, from its ConfigMap and its container.
func (o *objects) environment() (map[string]string, error) {
	vars := make(map[string]string)
	for _, from := range o.bridge().main().EnvFrom {
		if from.ConfigMapRef == nil {
			return nil, fmt.Errorf("the environment comes from something else than a ConfigMap: %v", from)
		}
		c, ok := o.configs[from.ConfigMapRef.Name]
		if !ok {
			return nil, fmt.Errorf("there is no ConfigMap %s", from.ConfigMapRef.Name)
		}
		maps.Copy(vars, c.Data)
	}
	for _, v := range o.bridge().main().Env {
		if v.ValueFrom != nil {
			return nil, fmt.Errorf("the variable %s comes from elsewhere: secrets are files", v.Name)
		}
		vars[v.Name] = v.Value
	}
	return vars, nil
}

// load reads the environment as the bridge does, its files being there.
func (o *objects) load(t *testing.T) (*config.Config, error) {
	t.Helper()
	vars, err := o.environment()
	if err != nil {
		return nil, err
	}
	dir := t.TempDir()
	var environ []string
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		value := vars[name]
		if file, ok := strings.CutPrefix(value, secretFiles); ok {
			value = filepath.Join(dir, file)
			if err := os.MkdirAll(filepath.Dir(value), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(value, []byte("content"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		environ = append(environ, name+"="+value)
	}
	c, warnings, err := config.Load(environ)
	if err == nil && len(warnings) > 0 {
		err = fmt.Errorf("the bridge would warn: %s", strings.Join(warnings, "; "))
	}
	return c, err
}
