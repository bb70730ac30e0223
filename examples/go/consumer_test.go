package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// accepted is the data of an accepted invitation of that person.
func accepted(user string) string { return `{"invitee":{"id":"` + user + `"}}` }

// points returns what each has, by the store.
func points(t *testing.T, file string) map[string]int {
	t.Helper()
	s, err := openStore(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	defer s.db.Close()
	rows, err := s.db.QueryContext(t.Context(), `SELECT userid, points FROM points`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	all := map[string]int{}
	for rows.Next() {
		var user string
		var n int
		if err := rows.Scan(&user, &n); err != nil {
			t.Fatal(err)
		}
		all[user] = n
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func expect[T any](t *testing.T, want, got T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("(-want +got)\n%s", diff)
	}
}

// sum expects so many people to have one point each.
func sum(t *testing.T, file string, want int) {
	t.Helper()
	got := points(t, file)
	for user, n := range got {
		if n != 1 {
			t.Errorf("%s has %d points", user, n)
		}
	}
	if len(got) != want {
		t.Errorf("%d people have points, want %d", len(got), want)
	}
}

// Killed between the effect and the acknowledgement, the event comes again and does nothing more.
func TestKilledBeforeTheAck(t *testing.T) {
	b, store := serve(t), filepath.Join(t.TempDir(), "db")
	b.send(accepted("ada"))
	if got := b.consumer("killed before the ack", store).ended(); got != "signal: killed" {
		t.Fatalf("the consumer ended with %s", got)
	}
	expect(t, map[string]int{"ada": 1}, points(t, store))

	next := b.consumer("consumer", store)
	next.await(`"msg":"handled".*"try":([2-9])`)
	b.settled("rewards")
	expect(t, map[string]int{"ada": 1}, points(t, store))
	next.terminate()
}

// What can't be handled becomes a dead letter, at once where no later try can help, and others go on.
func TestDeadLetters(t *testing.T) {
	b, store := serve(t), filepath.Join(t.TempDir(), "db")
	b.send(accepted("ada"))
	b.send(`{"campaignId":"nobody's"}`)
	b.send(accepted("eve"), "--scheme", "timestamp-data")
	if _, err := b.js.Publish(t.Context(), "webhooks.flock.invitee.accepted", []byte("not from the bridge")); err != nil {
		t.Fatal(err)
	}
	b.send(accepted("bob"))

	c := b.consumer("consumer", store, "TRIES=3")
	b.settled("rewards")
	expect(t, map[string]int{"ada": 1, "bob": 1}, points(t, store))
	expect(t, map[string][]string{"rewards": {
		"can't be handled: what happened isn't signed, only timestamp-data",
		"can't be handled: reading event: not a JSON object",
		"it doesn't say whom it is about",
	}}, b.deadLetters())
	if tries := strings.Count(c.words(), `"to be tried again"`); tries != 2 {
		t.Errorf("put off %d times, want 2", tries)
	}
	c.terminate()
}

// What stands beside the body's members under names in other cases is none of them.
func TestNamesInOtherCases(t *testing.T) {
	b, store := serve(t), filepath.Join(t.TempDir(), "db")
	body := filepath.Join(t.TempDir(), "body.json")
	text := `{"name":"invitee.accepted","entity":"invitee","entityId":"ada","data":` + accepted("ada") + `,"timestamp":0,` +
		`"DATA":` + accepted("eve") + `,"Data":{"INVITEE":{"id":"eve"}}}`
	if err := os.WriteFile(body, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	b.send("", "--body", body)
	c := b.consumer("consumer", store)
	b.settled("rewards")
	expect(t, map[string]int{"ada": 1}, points(t, store))
	c.terminate()
}

// An event that kills its worker each time becomes a dead letter too.
func TestKiller(t *testing.T) {
	b, store := serve(t), filepath.Join(t.TempDir(), "db")
	b.send(accepted("killer"))
	for range 2 {
		if got := b.consumer("killed by the event", store, "TRIES=2").ended(); got != "signal: killed" {
			t.Fatalf("the consumer ended with %s", got)
		}
	}
	c := b.consumer("killed by the event", store, "TRIES=2")
	b.send(accepted("ada"))
	b.settled("rewards")
	expect(t, map[string]int{"ada": 1}, points(t, store))
	expect(t, map[string][]string{"rewards": {"tried 2 times"}}, b.deadLetters())

	// Mended, the consumer reads its dead letters as it reads events.
	mended := b.consumer("consumer", store, "STREAM="+deadStream, "FILTER="+deadPrefix+"rewards", "DURABLE=rewards-mended")
	b.settledIn(deadStream, "rewards-mended")
	expect(t, map[string]int{"ada": 1, "killer": 1}, points(t, store))
	mended.terminate()
	_ = c.cmd.Process.Kill()
}

// Another durable reads again what was stored since a time, and no more.
func TestReplay(t *testing.T) {
	b, dir := serve(t), t.TempDir()
	b.send(accepted("ada"))
	since := time.Now()
	b.send(accepted("bob"))
	b.send(accepted("cleo"))
	c := b.consumer("consumer", filepath.Join(dir, "all"))
	b.settled("rewards")
	expect(t, map[string]int{"ada": 1, "bob": 1, "cleo": 1}, points(t, filepath.Join(dir, "all")))
	c.terminate()

	again := b.consumer("consumer", filepath.Join(dir, "again"), "DURABLE=rewards-again", "SINCE="+since.Format(time.RFC3339Nano))
	b.settled("rewards-again")
	expect(t, map[string]int{"bob": 1, "cleo": 1}, points(t, filepath.Join(dir, "again")))
	again.terminate()

	// Into the store that has them it does nothing: a replay needs no care.
	same := b.consumer("consumer", filepath.Join(dir, "all"), "DURABLE=rewards-same", "SINCE="+since.Format(time.RFC3339Nano))
	b.settled("rewards-same")
	expect(t, map[string]int{"ada": 1, "bob": 1, "cleo": 1}, points(t, filepath.Join(dir, "all")))
	same.terminate()
}

// Workers of one durable share the events; another durable gets all of them.
func TestShareAndFanOut(t *testing.T) {
	b, dir := serve(t), t.TempDir()
	shared, other := filepath.Join(dir, "shared"), filepath.Join(dir, "other")
	one, two := b.consumer("consumer", shared), b.consumer("consumer", shared)
	third := b.consumer("consumer", other, "DURABLE=audit")
	eventually(t, "both ask for events", func() bool {
		made, err := b.js.Consumer(t.Context(), "WEBHOOKS", "rewards")
		return err == nil && made.CachedInfo().NumWaiting == 2
	})
	b.send("", "--count", "60", "--concurrency", "4")
	b.settled("rewards")
	b.settled("audit")
	for name, c := range map[string]*process{"one": one, "two": two} {
		if n := strings.Count(c.words(), `"handled"`); n == 0 || n == 60 {
			t.Errorf("%s handled %d of 60", name, n)
		}
		c.terminate()
	}
	third.terminate()
	sum(t, shared, 60)
	sum(t, other, 60)
}

// Asked to end amid its work, it leaves nothing that others must wait for: the ack wait is longer
// than the test.
func TestEndsInOrder(t *testing.T) {
	b, store := serve(t), filepath.Join(t.TempDir(), "db")
	b.send("", "--count", "100", "--concurrency", "4")
	one := b.consumer("consumer", store, "ACK_WAIT=1h")
	one.await(`"msg":"(handled)"`)
	one.terminate()
	if n := strings.Count(one.words(), `"handled"`); n == 100 {
		t.Fatal("it had handled all before it was asked to end: the test tells nothing")
	}
	two := b.consumer("consumer", store, "ACK_WAIT=1h")
	b.settled("rewards")
	two.terminate()
	sum(t, store, 100)
}

// NATS is killed and comes back; the consumer goes on where it was.
func TestNATSComesBack(t *testing.T) {
	b, store := serve(t), filepath.Join(t.TempDir(), "db")
	c := b.consumer("consumer", store)
	b.send(accepted("ada"))
	c.await(`"msg":"(handled)"`)
	b.restart()
	b.send(accepted("bob"))
	eventually(t, "bob has a point", func() bool { return points(t, store)["bob"] == 1 })
	c.terminate()
	expect(t, map[string]int{"ada": 1, "bob": 1}, points(t, store))
}

// A consumer whose durable is deleted says so and ends, for somebody to look.
func TestDeleted(t *testing.T) {
	b := serve(t)
	c := b.consumer("consumer", filepath.Join(t.TempDir(), "db"))
	b.settled("rewards")
	c.await(`"msg":"(consuming)"`)
	if err := b.js.DeleteConsumer(t.Context(), "WEBHOOKS", "rewards"); err != nil {
		t.Fatal(err)
	}
	if got := c.ended(); got != "exit status 1" {
		t.Fatalf("it ended with %s", got)
	}
}
