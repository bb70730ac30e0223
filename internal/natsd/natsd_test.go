package natsd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/test/expect"
	"github.com/ade15e70/webhook-bridge/test/natsdtest"
	"github.com/ade15e70/webhook-bridge/test/poll"
)

// envDir is a variable with a directory. It makes the test binary a server with its store there.
const envDir = "NATSD_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(envDir); dir != "" {
		serve(dir)
		return
	}
	natsdtest.VerifyTestMain(m)
}

func serve(dir string) {
	s, err := Start(Config{Addr: "127.0.0.1:0", Dir: dir, Log: zap.NewNop()})
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		return
	}
	_, _ = fmt.Fprintln(os.Stdout, s.URL())
	_, _ = bufio.NewReader(os.Stdin).ReadByte() // ends with the test
	stop(s)
}

// subprocess runs a server in a process of its own and returns it with its URL.
func subprocess(t *testing.T, dir string) (*exec.Cmd, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), envDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		_, err = cmd.StdinPipe()
	}
	if err == nil {
		err = cmd.Start()
	}
	expect.NoError(t, err)
	t.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
	url, err := bufio.NewReader(out).ReadString('\n')
	expect.NoError(t, err)
	return cmd, strings.TrimSpace(url)
}

func startServer(t *testing.T, dir string, changes ...func(*Config)) *Server {
	t.Helper()
	c := Config{Addr: "127.0.0.1:0", Dir: dir, Log: zap.NewNop()}
	for _, change := range changes {
		change(&c)
	}
	s, err := Start(c)
	expect.NoError(t, err)
	t.Cleanup(func() { stop(s) })
	return s
}

func stop(s *Server) { _ = s.Stop(context.Background()) }

func makeStream(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	natsdtest.CreateStream(t, js, jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, Duplicates: time.Hour})
}

// Every write is synced before it is acknowledged: that is what 200 means with an embedded server.
func TestSyncsAlways(t *testing.T) {
	s := startServer(t, t.TempDir())
	if c := s.server.JetStreamConfig(); c == nil || !c.SyncAlways {
		t.Errorf("JetStream's configuration: %+v", c)
	}
}

// A restart keeps the stream, and the ids by which it recognises duplicates.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	for round := range 3 {
		s := startServer(t, dir)
		js := natsdtest.Connect(t, s.URL())
		if round == 0 {
			makeStream(t, js)
		}
		for i := range round + 1 {
			ack, err := js.Publish(t.Context(), fmt.Sprint("s.", round), nil, jetstream.WithMsgID(fmt.Sprint(i)))
			expect.NoError(t, err)
			if known := i < round; ack.Duplicate != known {
				t.Errorf("round %d: id %d is a duplicate: %t", round, i, ack.Duplicate)
			}
		}
		stop(s)
	}
}

// Acknowledged messages survive kill -9 at any time, and nothing is stored twice.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	var acknowledged []string
	for round := range 3 {
		cmd, url := subprocess(t, dir)
		js := natsdtest.Connect(t, url, nats.NoReconnect())
		if round == 0 {
			makeStream(t, js)
		}
		killed := make(chan error, 1)
		for i := 0; ; i++ {
			id := fmt.Sprintf("%d.%d", round, i)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			_, err := js.Publish(ctx, "s.x", []byte(id), jetstream.WithMsgID(id))
			cancel()
			if err != nil {
				break
			}
			acknowledged = append(acknowledged, id)
			if i == 100 {
				go func() { killed <- cmd.Process.Kill() }()
			}
		}
		expect.NoError(t, <-killed)
		_ = cmd.Wait()
	}
	js := natsdtest.Connect(t, startServer(t, dir).URL())
	for _, id := range acknowledged {
		if ack, err := js.Publish(t.Context(), "s.x", nil, jetstream.WithMsgID(id)); err != nil || !ack.Duplicate {
			t.Errorf("%s is lost: %+v, %v", id, ack, err)
		}
	}
	stream, err := js.Stream(t.Context(), "S")
	expect.NoError(t, err)
	// In each round one more may be stored, whose acknowledgement was lost.
	if n := int(stream.CachedInfo().State.Msgs); n < len(acknowledged) || n > len(acknowledged)+3 {
		t.Errorf("%d messages are stored, %d were acknowledged", n, len(acknowledged))
	}
}

// A configuration that can't work is an error at once.
func TestStartFails(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	expect.NoError(t, err)
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "file")
	expect.NoError(t, os.WriteFile(file, nil, 0o600))
	locked := t.TempDir()
	startServer(t, locked)
	broken := t.TempDir()
	expect.NoError(t, os.WriteFile(filepath.Join(broken, "jetstream"), nil, 0o600))
	for _, test := range []struct{ name, addr, dir, want string }{
		{"address in use", taken.Addr().String(), t.TempDir(), "address already in use: set EMBEDDED_NATS_ADDR to another address, or NATS_URL to the server that is there"},
		{"another machine's address", "192.0.2.1:0", t.TempDir(), "cannot assign requested address: set EMBEDDED_NATS_ADDR"},
		{"no port", "127.0.0.1", t.TempDir(), "missing port in address"},
		{"not a directory", "127.0.0.1:0", file, "not a directory"},
		{"below a file", "127.0.0.1:0", filepath.Join(file, "dir"), "not a directory"},
		{"a store that can't be opened", "127.0.0.1:0", broken, "Can't start JetStream"},
		{"another server's directory", "127.0.0.1:0", locked, locked + " is in use by another process: set DATA_DIR to a writable directory that no other process uses"},
	} {
		began := time.Now()
		s, err := Start(Config{Addr: test.addr, Dir: test.dir, Log: zap.NewNop()})
		if err == nil {
			stop(s)
			t.Errorf("%s: the server starts", test.name)
			continue
		}
		if !strings.HasPrefix(err.Error(), "starting embedded nats-server: ") || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v; want %s", test.name, err, test.want)
		}
		expect.Within(t, readyTimeout, began, "%s", test.name)
	}
}

func TestDirectoryIsNotWritable(t *testing.T) {
	dir := t.TempDir()
	expect.NoError(t, os.Chmod(dir, 0o500))
	s, err := Start(Config{Addr: "127.0.0.1:0", Dir: dir, Log: zap.NewNop()})
	if err == nil { // root may write anywhere
		stop(s)
	}
	if root := os.Geteuid() == 0; root != (err == nil) || !root && !errors.Is(err, os.ErrPermission) {
		t.Errorf("got %v", err)
	}
}

// A server whose address is in use must not touch the store: the running one may be using it.
func TestAddressIsCheckedBeforeStore(t *testing.T) {
	first := startServer(t, t.TempDir())
	dir := t.TempDir()
	if s, err := Start(Config{Addr: strings.TrimPrefix(first.URL(), "nats://"), Dir: dir, Log: zap.NewNop()}); err == nil {
		stop(s)
		t.Fatal("it starts")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("the store: %v, %v", entries, err)
	}
}

// The directory is free again after Stop, and after a failed start.
func TestLockIsReleased(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "jetstream")
	expect.NoError(t, os.WriteFile(file, nil, 0o600))
	if s, err := Start(Config{Addr: "127.0.0.1:0", Dir: dir, Log: zap.NewNop()}); err == nil {
		stop(s)
		t.Fatal("it starts")
	}
	expect.NoError(t, os.Remove(file))
	stop(startServer(t, dir))
	startServer(t, dir)
}

// A client without credentials is refused.
func TestCredentials(t *testing.T) {
	for _, test := range []struct {
		name         string
		change       func(*Config)
		right, wrong []nats.Option
	}{
		{
			name: "user", change: func(c *Config) { c.User, c.Password = "me", secret.New("word") },
			right: []nats.Option{nats.UserInfo("me", "word")}, wrong: []nats.Option{nats.UserInfo("me", "other")},
		},
		{
			name: "token", change: func(c *Config) { c.Token = secret.New("word") },
			right: []nats.Option{nats.Token("word")}, wrong: []nats.Option{nats.Token("other")},
		},
	} {
		core, logs := observer.New(zapcore.DebugLevel)
		s := startServer(t, t.TempDir(), test.change, func(c *Config) { c.Log = zap.New(core) })
		natsdtest.Connect(t, s.URL(), test.right...)
		for _, options := range [][]nats.Option{nil, test.wrong} {
			nc, err := nats.Connect(s.URL(), append(options, nats.Timeout(poll.Bound))...)
			if err == nil {
				nc.Close()
			}
			if !errors.Is(err, nats.ErrAuthorization) {
				t.Errorf("%s: got %v", test.name, err)
			}
		}
		stop(s)
		for _, entry := range logs.All() {
			if entry.Level > zapcore.DebugLevel && strings.Contains(entry.Message, "authentication error") {
				t.Errorf("%s: clients can fill the log with %s", test.name, entry.Message)
			}
			if strings.Contains(entry.Message+fmt.Sprint(entry.ContextMap()), "word") && !strings.Contains(entry.Message, "Plaintext passwords") {
				t.Errorf("%s: the log holds the secret: %s", test.name, entry.Message)
			}
		}
	}
}

// Signals are for the bridge: nats-server would reload its configuration on SIGHUP, and exit on
// others.
func TestSignalsAreNotHandled(t *testing.T) {
	for _, number := range []syscall.Signal{syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT} {
		if signal.Ignored(number) { // then it is ignored in the processes that the tests start, too
			continue
		}
		cmd, _ := subprocess(t, t.TempDir())
		expect.NoError(t, cmd.Process.Signal(number))
		var exit *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != number {
			t.Errorf("after %s: got %v, want an end by that signal", number, err)
		}
	}
}

// A message of the largest possible size fits.
func TestMaxPayload(t *testing.T) {
	js := natsdtest.Connect(t, startServer(t, t.TempDir()).URL())
	if got, want := js.Conn().MaxPayload(), int64(8<<20); got != want {
		t.Errorf("max_payload is %d, want %d", got, want)
	}
	makeStream(t, js)
	ctx, cancel := context.WithTimeout(t.Context(), poll.Bound) // the client's own is 5 s
	defer cancel()
	expect.NoError(t, expect.Err(js.Publish(ctx, "s.x", make([]byte, 8<<20))))
}

// The server's notices are logged as debug, its warnings as warnings. Its fatal errors are kept.
func TestLogger(t *testing.T) {
	core, logs := observer.New(zapcore.DebugLevel)
	l := &logger{log: zap.New(core).Sugar()}
	l.Noticef("notice %d", 1)
	l.Noticef("")
	l.Warnf("warning %d", 2)
	l.Errorf("error %d", 3)
	l.Debugf("debug %d", 4)
	l.Tracef("payload")
	l.Fatalf("fatal %d", 5)
	var got []string
	for _, entry := range logs.All() {
		got = append(got, entry.Level.String()+" "+entry.Message)
	}
	expect.Equal(t, []string{"debug notice 1", "warn warning 2", "error error 3", "debug debug 4"}, got, "logged")
	if err := l.fatal.Load(); err == nil || (*err).Error() != "fatal 5" {
		t.Errorf("the fatal error is %v", err)
	}
}
