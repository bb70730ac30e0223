package consumer

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	_ "modernc.org/sqlite" // the driver

	"github.com/ade15e70/webhook-bridge/event/consumer"
)

// The points at which a worker is killed, in the order in which it comes to them.
var points = []string{"receipt", "transaction", "effect", "commit", "acknowledgement", "next receipt"}

// A worker is the test binary, executed once more with these variables.
const (
	envStore = "WORKER_STORE"
	envNATS  = "WORKER_NATS"
	envPoint = "WORKER_POINT" // at which it kills itself
	envCount = "WORKER_COUNT" // with which of its events, from 1 on
	envUser  = "WORKER_USER"
	envFails = "WORKER_FAILS" // for good, for every event
)

func TestMain(m *testing.M) {
	if os.Getenv(envStore) == "" {
		os.Exit(m.Run())
	}
	if err := work(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// work is a worker: it stores an effect for each event, and kills itself at the given point.
func work() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	db, err := open(os.Getenv(envStore))
	if err != nil {
		return err
	}
	nc, err := nats.Connect(os.Getenv(envNATS), nats.Timeout(bound), nats.UserInfo(os.Getenv(envUser), os.Getenv(envUser)), nats.MaxReconnects(-1),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // a mute worker's would be many
	if err != nil {
		return err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	count, _ := strconv.Atoi(os.Getenv(envCount))
	k := &killer{point: os.Getenv(envPoint), count: count}
	o := options(consumer.Options{AckWait: time.Second, MaxAttempts: 1000, Observer: k.observe, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))})
	marks := consumer.Store{DB: db}
	return consumer.Run(ctx, js, o, func(ctx context.Context, m *consumer.Message) error {
		k.at("receipt")
		if os.Getenv(envFails) != "" {
			k.count = 0
			return consumer.Permanent(errors.New("never"))
		}
		_, err := marks.Once(ctx, m, func(tx *sql.Tx) error {
			k.at("transaction")
			_, err := tx.ExecContext(ctx, `INSERT INTO effects (id) VALUES (?)`, m.Event.ID)
			k.at("effect")
			return err
		})
		k.at("commit")
		return err
	})
}

// killer kills its process at a point.
type killer struct {
	point string
	count int
}

func (k *killer) at(point string) {
	if point == "receipt" {
		k.count--
	}
	// Or later: an event that comes again, and had its effect, passes the points of the transaction by.
	if k.point == point && k.count <= 0 || k.point == "next receipt" && point == "receipt" && k.count < 0 {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}

func (k *killer) observe(_ *consumer.Message, outcome string, _ time.Duration, _ error) {
	if point := map[string]string{"handled": "acknowledgement", "dead": "dead letter"}[outcome]; point != "" {
		k.at(point)
	}
}

func open(file string) (*sql.DB, error) {
	pragmas := url.Values{"_txlock": {"immediate"}, "_pragma": {"busy_timeout(60000)", "journal_mode(wal)", "synchronous(full)"}}
	return sql.Open("sqlite", "file:"+url.PathEscape(file)+"?"+pragmas.Encode())
}

// store makes a store and returns its file.
func store(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "db")
	db, err := open(file)
	noError(t, err)
	defer db.Close()
	if _, err = db.ExecContext(t.Context(), `CREATE TABLE effects (id TEXT);
		CREATE TABLE handled_events (consumer varchar(64) NOT NULL, id varchar(64) NOT NULL,
			handled_at timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP, PRIMARY KEY (consumer, id))`); err != nil {
		t.Fatal(err)
	}
	return file
}

// effects returns how many effects there are, and of how many events.
func effects(t *testing.T, file string) (all, events int) {
	t.Helper()
	db, err := open(file)
	noError(t, err)
	defer db.Close()
	noError(t, db.QueryRowContext(t.Context(), `SELECT count(*), count(DISTINCT id) FROM effects`).Scan(&all, &events))
	return all, events
}

// worker starts a worker.
func (n *natsd) worker(file string, env ...string) *exec.Cmd {
	n.t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(append(os.Environ(), envStore+"="+file, envNATS+"="+n.url()), env...)
	c.Stderr = n.t.Output()
	noError(n.t, c.Start())
	n.t.Cleanup(func() { _ = c.Process.Kill() })
	return c
}

// terminated sends a worker SIGTERM and expects exit status 0.
func terminated(t *testing.T, c *exec.Cmd) {
	t.Helper()
	noError(t, c.Process.Signal(syscall.SIGTERM))
	if err := c.Wait(); err != nil {
		t.Fatalf("after SIGTERM: %v", err)
	}
}

// exactlyOnce waits until all is acknowledged, ends the workers, and expects one effect for each event.
func (n *natsd) exactlyOnce(file string, total int, workers ...*exec.Cmd) {
	n.t.Helper()
	eventually(n.t, "all are acknowledged", func() bool { return n.settled("rewards") })
	for _, c := range workers {
		terminated(n.t, c)
	}
	if all, events := effects(n.t, file); all != total || events != total {
		n.t.Errorf("%d events, %d effects of %d events", total, all, events)
	}
}

// Workers that share a store and are killed at every point between receipt, effect and
// acknowledgement have exactly one effect for each event.
func TestKilled(t *testing.T) {
	t.Parallel()
	n, file := serve(t, ""), store(t)
	total, kills := n.publish(1, 600), 0
	for round := range 5 {
		for _, point := range points {
			var two []*exec.Cmd
			for i := range 2 {
				two = append(two, n.worker(file, envPoint+"="+point, fmt.Sprintf("%s=%d", envCount, 1+round+i)))
			}
			for _, c := range two {
				var ended *exec.ExitError
				if err := c.Wait(); !errors.As(err, &ended) || ended.String() != "signal: killed" {
					t.Fatalf("at the %s: %v", point, err)
				}
				kills++
			}
		}
	}
	all, _ := effects(t, file)
	if all == total {
		t.Fatal("all effects were there before the last kill: the test tells nothing")
	}
	n.exactlyOnce(file, total, n.worker(file), n.worker(file))
	t.Logf("%d events, %d kills at %d points", total, kills, len(points))
}

// NATS is stopped and started while the workers work.
func TestOnceWhileNATSRestarts(t *testing.T) {
	t.Parallel()
	n, file := serve(t, ""), store(t)
	const total, restarts = 600, 5
	workers := []*exec.Cmd{n.worker(file), n.worker(file)}
	eventually(t, "both workers pull", func() bool { // a worker that can't connect when it starts ends
		c, err := n.js.Consumer(t.Context(), "WEBHOOKS", "rewards")
		return err == nil && c.CachedInfo().NumWaiting == len(workers)
	})
	n.publish(1, total)
	for i := range restarts {
		eventually(t, "some are handled", func() bool { all, _ := effects(t, file); return all > i*total/10 })
		n.stop()
		n.start()
	}
	n.exactlyOnce(file, total, workers...)
}

// A worker that is killed between the dead letter and the event's termination leaves one dead
// letter.
func TestKilledAtTheDeadLetter(t *testing.T) {
	t.Parallel()
	n := serve(t, "")
	n.stream("WEBHOOKS_DEAD", "webhooks-dead.>")
	n.publish(1, 1)
	for range 3 {
		_ = n.worker(store(t), envPoint+"=dead letter", envCount+"=0", envFails+"=true").Wait()
		eventually(t, "it is a dead letter", func() bool { return len(n.dead()) > 0 })
	}
	if n.settled("rewards") {
		t.Fatal("the worker let go of the event: the test tells nothing")
	}
	c := n.worker(store(t), envFails+"=true")
	eventually(t, "it is let go of", func() bool { return n.settled("rewards") })
	terminated(t, c)
	if dead := n.dead(); len(dead) != 1 {
		t.Errorf("%d dead letters", len(dead))
	}
}

// If acknowledgements are lost, events come again and have no further effects.
func TestAcknowledgementsLost(t *testing.T) {
	t.Parallel()
	n, file := serve(t, `no_auth_user: tester, authorization { users = [
		{ user: tester, password: tester }
		{ user: mute, password: mute, permissions { publish = { deny = ["$JS.ACK.>"] } } }
	] }`), store(t)
	total := n.publish(1, 100)
	mute := []*exec.Cmd{n.worker(file, envUser+"=mute"), n.worker(file, envUser+"=mute")}
	eventually(t, "all have had their effect and come again", func() bool {
		all, _ := effects(t, file)
		c, err := n.js.Consumer(t.Context(), "WEBHOOKS", "rewards")
		if err != nil {
			return false
		}
		return all == total && c.CachedInfo().NumRedelivered == total
	})
	for _, c := range mute {
		terminated(t, c)
	}
	if n.settled("rewards") {
		t.Fatal("an acknowledgement arrived: the test tells nothing")
	}
	n.exactlyOnce(file, total, n.worker(file))
}

// An event that kills its worker becomes a dead letter.
func TestKiller(t *testing.T) {
	t.Parallel()
	n := serve(t, "")
	n.stream("WEBHOOKS_DEAD", "webhooks-dead.>")
	n.publish(1, 1)
	const attempts = 3
	for range attempts {
		c := n.worker(store(t), envPoint+"=receipt", envCount+"=1")
		_ = c.Wait()
	}
	r := run(t, n.js, consumer.Options{AckWait: time.Second, MaxAttempts: attempts}, func(context.Context, *consumer.Message) error {
		t.Error("it was handled once more")
		return nil
	})
	eventually(t, "it is a dead letter", func() bool { return n.settled("rewards") })
	r.stopped()
	if dead := n.dead(); len(dead) != 1 || dead[0].Header.Get("Dead-Reason") != "delivered 3 times, and never handled to the end: see the workers' logs" {
		t.Errorf("got the dead letters %+v, want one that was never handled to the end", dead)
	}
}
