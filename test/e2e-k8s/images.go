package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// The images: two versions of the bridge, and the sender.
const (
	firstImage  = "webhook-bridge:dev"
	secondImage = "webhook-bridge:e2e-second"
	senderImage = "webhook-bridge-sender:e2e"
)

// imagery builds and loads images.
type imagery struct {
	docker, args, load []string
}

func (i imagery) make(ctx context.Context) error {
	if len(i.load) == 0 {
		load, err := loader(ctx)
		if err != nil {
			return err
		}
		i.load = load
	}
	for image, version := range map[string]string{firstImage: "v0.0.1-e2e", secondImage: "v0.0.2-e2e"} {
		if err := i.build(ctx, image, ".", "--build-arg", "VERSION="+version); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp("", "e2e-k8s-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	compile := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", filepath.Join(dir, "sender"), "./test/e2e-k8s/sender")
	compile.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := compile.CombinedOutput(); err != nil {
		return fmt.Errorf("building the sender: %w: %s", err, out)
	}
	dockerfile := "FROM scratch\nCOPY sender /sender\nUSER 65532:65532\nENTRYPOINT [\"/sender\"]\n"
	if err := os.WriteFile(filepath.Join(dir, "Dockerfile"), []byte(dockerfile), 0o600); err != nil {
		return err
	}
	if err := i.build(ctx, senderImage, dir); err != nil {
		return err
	}
	say("loading the images")
	return i.command(ctx, append(i.load, firstImage, secondImage, senderImage)).Run()
}

func (i imagery) build(ctx context.Context, image, dir string, args ...string) error {
	say("building %s", image)
	words := append([]string{}, i.docker...)
	words = append(words, "build", "-q", "-t", image)
	if dir == "." {
		words = append(append(words, i.args...), args...)
	}
	c := i.command(ctx, append(words, dir))
	c.Env = append(os.Environ(), "DOCKER_BUILDKIT=1")
	if err := c.Run(); err != nil {
		return fmt.Errorf("building %s: %w", image, err)
	}
	return nil
}

func (i imagery) command(ctx context.Context, words []string) *exec.Cmd {
	c := exec.CommandContext(ctx, words[0], words[1:]...)
	c.Stderr = os.Stderr
	return c
}

// loader returns the command that loads images into the cluster of the current context, guessed
// from its name.
func loader(ctx context.Context) ([]string, error) {
	name, err := kubectl(ctx, "", "config", "current-context")
	if err != nil {
		return nil, err
	}
	name = strings.TrimSpace(name)
	for prefix, command := range map[string][]string{
		"kind-":     {"kind", "load", "docker-image", "--name", strings.TrimPrefix(name, "kind-")},
		"k3d-":      {"k3d", "image", "import", "-c", strings.TrimPrefix(name, "k3d-")},
		"minikube":  {"minikube", "image", "load"},
		"docker-de": {"true"}, // docker-desktop: it uses docker's own
	} {
		if strings.HasPrefix(name, prefix) {
			return command, nil
		}
	}
	return nil, errors.New("how images get into the cluster " + name + " isn't known: LOAD takes a command, which is called with their names")
}
