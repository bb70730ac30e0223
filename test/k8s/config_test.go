package k8s

import (
	"encoding/pem"
	"fmt"
	"maps"
	"net"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/resource"
)

// secretFiles is where the bridge finds what is mounted from Secrets.
const secretFiles = "/etc/webhook-bridge"

// passwordOfSecret stands for what is in a Secret.
const passwordOfSecret = "of-the-secret"

// environment returns the bridge's environment, from its ConfigMap and its container.
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
			// The bridge reads NATS' password from its environment only: of a Secret, it isn't in the manifest.
			if v.Name != "NATS_PASSWORD" || v.ValueFrom.SecretKeyRef == nil {
				return nil, fmt.Errorf("the variable %s comes from elsewhere: secrets are files", v.Name)
			}
			vars[v.Name] = passwordOfSecret
			continue
		}
		vars[v.Name] = v.Value
	}
	return vars, nil
}

// settings are what the bridge itself reads in its environment.
type settings map[string]string

// load lets the bridge read the environment, with its files in place. It runs the program:
// importing the package would bring versions of modules that don't fit Kubernetes' old ones.
func (o *objects) load(t *testing.T) (settings, error) {
	t.Helper()
	vars, err := o.environment()
	if err != nil {
		return nil, err
	}
	dir := t.TempDir()
	command := exec.Command(binary(t), "config")
	command.Env = []string{}
	for name, value := range vars {
		if file, ok := strings.CutPrefix(value, secretFiles); ok {
			value = filepath.Join(dir, file)
			noError(t, os.MkdirAll(filepath.Dir(value), 0o700))
			content := []byte("content-of-this-file-" + filepath.Base(value))
			if name == "NATS_CA" {
				content = certificate()
			}
			noError(t, os.WriteFile(value, content, 0o600))
		}
		command.Env = append(command.Env, name+"="+value)
	}
	var said strings.Builder
	command.Stderr = &said
	out, err := command.Output()
	if err != nil || said.Len() > 0 {
		return nil, fmt.Errorf("the bridge says of its environment: %v %s", err, &said)
	}
	s := make(settings)
	for line := range strings.Lines(string(out)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && !strings.HasPrefix(line, " ") {
			s[name] = strings.TrimSuffix(value, "(not set)")
		}
	}
	return s, nil
}

// certificate returns any certificate, in PEM.
func certificate() []byte {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
}

// binary is the bridge of this tree, built once.
var binary = func() func(*testing.T) string {
	build := sync.OnceValues(func() (string, error) {
		dir, err := os.MkdirTemp("", "bridge")
		if err != nil {
			return "", err
		}
		file := filepath.Join(dir, "bridge")
		out, err := exec.Command("go", "build", "-C", "../..", "-o", file, "./cmd/bridge").CombinedOutput()
		if err != nil {
			return "", fmt.Errorf("building the bridge: %w: %s", err, out)
		}
		return file, nil
	})
	return func(t *testing.T) string {
		t.Helper()
		file, err := build()
		noError(t, err)
		return file
	}
}()

// port is the port of an address.
func (s settings) port(name string) int32 {
	_, port, _ := net.SplitHostPort(s[name])
	n, _ := strconv.Atoi(port)
	return int32(n)
}

// bytes is a size.
func (s settings) bytes(name string) int64 {
	q, err := resource.ParseQuantity(strings.TrimSuffix(s[name], "B"))
	if err != nil {
		return 0
	}
	return q.Value()
}

func (s settings) duration(name string) time.Duration {
	d, _ := time.ParseDuration(s[name])
	return d
}
