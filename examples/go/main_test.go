package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// An event that this tree's bridge receives has its effect; one that can't have it becomes a dead
// letter.
func TestExample(t *testing.T) {
	dir := t.TempDir()
	bridge := filepath.Join(dir, "bridge")
	if out, err := exec.Command("go", "build", "-C", "../..", "-o", bridge, "./cmd/bridge").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	secret := "FLOCK_SECRETS=secret-of-flock-for-tests"
	log := filepath.Join(dir, "log")
	serve(t, bridge, log, secret, "NATS_URL=", "HTTP_ADDR=127.0.0.1:0", "ADMIN_ADDR=127.0.0.1:0", "EMBEDDED_NATS_ADDR=127.0.0.1:0", "DATA_DIR="+dir)
	public := await(t, log, `"message":"listening","public":"([^"]+)"`)
	nats := await(t, log, `"message":"connected to NATS","server":"([^"]+)"`)
	await(t, log, `"message":"(stream is ready)"`)
	for _, args := range [][]string{{"--count", "3"}, {"--scheme", "timestamp-data"}} {
		send := exec.Command(bridge, append([]string{"send", "flock", "--url", "http://" + public + "/webhooks/flock"}, args...)...)
		send.Env = append(os.Environ(), secret)
		if out, err := send.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}

	file := filepath.Join(dir, "rewards.db")
	t.Setenv("NATS_URL", nats)
	t.Setenv("STORE", file)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	eventually(t, "three points", func() bool {
		db, err := openStore(t.Context(), file)
		if err != nil {
			return false
		}
		defer db.Close()
		var points int
		err = db.QueryRowContext(t.Context(), `SELECT coalesce(sum(points), 0) FROM points`).Scan(&points)
		return err == nil && points == 3
	})
	nc, err := connect()
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	eventually(t, "a dead letter", func() bool {
		info, err := nc.Request("$JS.API.STREAM.INFO.WEBHOOKS_DEAD", nil, time.Minute)
		return err == nil && bytes.Contains(info.Data, []byte(`"messages":1,`))
	})
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// serve runs a bridge until the test ends.
func serve(t *testing.T, bridge, log string, env ...string) {
	t.Helper()
	words, err := os.Create(log)
	if err != nil {
		t.Fatal(err)
	}
	defer words.Close() // the process has its own
	c := exec.Command(bridge, "serve")
	c.Env, c.Stderr = append(os.Environ(), env...), words
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
}

// await returns what the pattern finds in a file, once it does.
func await(t *testing.T, file, pattern string) (found string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s in %s", pattern, file), func() bool {
		text, _ := os.ReadFile(file)
		match := regexp.MustCompile(pattern).FindSubmatch(text)
		if match != nil {
			found = string(match[1])
		}
		return match != nil
	})
	return found
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in two minutes: %s", what)
		}
	}
}
