package main

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// bound is how long a test waits for anything; long, for slow machines.
const bound = 2 * time.Minute

// A consumer is the test binary, executed once more as what this variable says.
const role = "EXAMPLE_ROLE"

func TestMain(m *testing.M) {
	switch as := os.Getenv(role); as {
	case "":
		m.Run()
		_ = os.RemoveAll(built.dir) // "" is nothing
	case "consumer":
		main()
	default:
		dying(as)
	}
}

// dying is the consumer, but for the moment in which it is killed.
func dying(when string) {
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))
	c, from, end, err := start(context.Background(), log)
	if err != nil {
		panic(err)
	}
	defer end()
	err = consume(context.Background(), from, func(m jetstream.Msg) { c.handle(deadly{m, when}) }, log)
	panic(err)
}

// deadly is a message at which its consumer is killed.
type deadly struct {
	jetstream.Msg
	when string
}

func (m deadly) Ack() error {
	if m.when == "killed before the ack" {
		kill()
	}
	return m.Msg.Ack()
}

func (m deadly) Data() []byte {
	if m.when == "killed by the event" && strings.Contains(string(m.Msg.Data()), "killer") && !m.beyond() {
		kill()
	}
	return m.Msg.Data()
}

// beyond reports whether it is read to be buried.
func (m deadly) beyond() bool {
	meta, err := m.Metadata()
	return err == nil && meta.NumDelivered > 2
}

func kill() {
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}

var built struct {
	sync.Once
	dir string
	err error
}

// bridge is `bridge serve` in a process of its own, with its embedded nats-server.
type bridge struct {
	t            *testing.T
	program, url string
	data, nats   string
	js           jetstream.JetStream
	process      *process
}

func serve(t *testing.T) *bridge {
	t.Helper()
	built.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "consumer"); built.err != nil {
			return
		}
		cmd := exec.Command("go", "build", "-C", "../..", "-o", filepath.Join(built.dir, "bridge"), "./cmd/bridge")
		cmd.Stderr = os.Stderr
		built.err = cmd.Run()
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	b := &bridge{t: t, program: filepath.Join(built.dir, "bridge"), data: t.TempDir()}
	b.start("127.0.0.1:0")
	nc, err := nats.Connect(b.nats, nats.Timeout(bound))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if b.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bridge) start(natsAddr string) {
	b.t.Helper()
	b.process = launch(b.t, b.program, []string{"serve"}, "FLOCK_SECRETS=secret-of-flock-for-tests", "NATS_URL=", "DATA_DIR="+b.data,
		"HTTP_ADDR=127.0.0.1:0", "ADMIN_ADDR=127.0.0.1:0", "EMBEDDED_NATS_ADDR="+natsAddr)
	b.url = "http://" + b.process.await(`"message":"listening","public":"([^"]+)"`)
	b.nats = "nats://" + b.process.await(`"message":"connected to NATS","server":"(?:nats://)?([^"]+)"`)
	b.process.await(`"message":"stream is ready","stream":"(WEBHOOKS)"`)
}

// restart kills the bridge, and NATS with it, and starts both again where they were.
func (b *bridge) restart() {
	b.t.Helper()
	_ = b.process.cmd.Process.Kill()
	b.process.ended()
	b.start(strings.TrimPrefix(b.nats, "nats://"))
}

// send sends signed deliveries, with those data unless they are "", and expects them to be stored.
func (b *bridge) send(data string, args ...string) {
	b.t.Helper()
	args = append([]string{"send", "flock", "--url", b.url}, args...)
	if data != "" {
		args = append(args, "--data", "-")
	}
	cmd := exec.Command(b.program, args...)
	cmd.Env = append(os.Environ(), "FLOCK_SECRETS=secret-of-flock-for-tests")
	cmd.Stdin = strings.NewReader(data)
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "stored") || strings.Contains(string(out), "duplicate") {
		b.t.Fatalf("bridge %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// consumer starts a consumer with those variables.
func (b *bridge) consumer(as, store string, vars ...string) *process {
	b.t.Helper()
	return launch(b.t, os.Args[0], nil, append([]string{
		role + "=" + as, "NATS_URL=" + b.nats, "STORE=" + store, "PAUSE=10ms", "ACK_WAIT=2s",
	}, vars...)...)
}

// settled waits until a durable has had all, and acknowledged all, that is to come to it.
func (b *bridge) settled(durable string) {
	b.t.Helper()
	b.settledIn("WEBHOOKS", durable)
}

func (b *bridge) settledIn(stream, durable string) {
	b.t.Helper()
	eventually(b.t, durable+" has had all", func() bool {
		made, err := b.js.Consumer(b.t.Context(), stream, durable)
		if err != nil {
			return false // not made yet
		}
		i := made.CachedInfo()
		return i.NumPending == 0 && i.NumAckPending == 0
	})
}

// deadLetters returns the dead letters' reasons by their consumer.
func (b *bridge) deadLetters() map[string][]string {
	b.t.Helper()
	stream, err := b.js.Stream(b.t.Context(), deadStream)
	if err != nil {
		b.t.Fatal(err)
	}
	all := map[string][]string{}
	for seq := uint64(1); seq <= stream.CachedInfo().State.LastSeq; seq++ {
		m, err := stream.GetMsg(b.t.Context(), seq)
		if err != nil {
			b.t.Fatal(err)
		}
		durable := strings.TrimPrefix(m.Subject, deadPrefix)
		all[durable] = append(all[durable], m.Header.Get("Dead-Reason"))
	}
	return all
}

// process is a program in the background, and what it wrote to standard error.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	file string
	done chan struct{}
}

func launch(t *testing.T, program string, args []string, vars ...string) *process {
	t.Helper()
	words, err := os.CreateTemp(t.TempDir(), "stderr")
	if err != nil {
		t.Fatal(err)
	}
	defer words.Close() // the process has its own
	p := &process{t: t, cmd: exec.Command(program, args...), file: words.Name(), done: make(chan struct{})}
	p.cmd.Env, p.cmd.Stderr = append(os.Environ(), vars...), words
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { defer close(p.done); _ = p.cmd.Wait() }()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
		if t.Failed() {
			t.Logf("%s %q\n%s", filepath.Base(program), args, p.words())
		}
	})
	return p
}

func (p *process) words() string {
	text, err := os.ReadFile(p.file)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(text)
}

func (p *process) await(pattern string) (found string) {
	p.t.Helper()
	eventually(p.t, pattern, func() bool {
		match := regexp.MustCompile(pattern).FindStringSubmatch(p.words())
		if match != nil {
			found = match[1]
		}
		return match != nil
	})
	return found
}

// ended waits for the end and says how it was.
func (p *process) ended() string {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(bound):
		p.t.Fatal("doesn't end")
	}
	return p.cmd.ProcessState.String()
}

// terminate asks it to end, which must go well.
func (p *process) terminate() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	if got := p.ended(); got != "exit status 0" {
		p.t.Fatalf("after SIGTERM: %s", got)
	}
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(bound); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", bound, what)
		}
	}
}
