package main

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
	"github.com/ade15e70/webhook-bridge/internal/verify/flock"
)

// growth prints how the bridge's own cost grows. These are figures of one machine: compare only
// figures of one table.
func growth(each time.Duration, stdout io.Writer) error {
	w, err := newWorld()
	if err != nil {
		return err
	}
	defer w.close()
	g := grower{w, each, tabwriter.NewWriter(stdout, 0, 0, 2, ' ', tabwriter.AlignRight)}
	for _, part := range []func() error{g.connections, g.bodies, g.endpoints, g.secrets, g.depth, g.replicas} {
		if err := part(); err != nil {
			return err
		}
	}
	return g.table.Flush()
}

type grower struct {
	*world
	each  time.Duration
	table *tabwriter.Writer
}

// head begins another table.
func (g grower) head(what string) {
	fmt.Fprintf(g.table, "\n%s\trequests/s\tCPU µs\tp50 ms\tp99 ms\tpeak MB\t\n", what)
}

// take loads a warm bridge once and prints the result.
func (g grower) take(name string, p *server, l load) error {
	clients, err := l.clients(p.addr)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	at := target{p, clients}
	defer at.close()
	if _, err := at.round(l, g.each/2); err != nil { // warm
		return fmt.Errorf("%s: %w", name, err)
	}
	r, err := at.round(l, g.each)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	peak, err := p.Peak()
	fmt.Fprintf(g.table, "%s\t%.0f\t%.1f\t%.2f\t%.2f\t%.0f\t\n", name, r.perSecond(), microseconds(r.cpu), r.quantile(50)/1e3, r.quantile(99)/1e3, float64(peak)/1e6)
	return err
}

// fresh is like take, with a new bridge, for its peak memory.
func (g grower) fresh(name string, l load, env ...string) error {
	p, err := g.startBridge("bridge", append([]string{"NATS_URL=" + g.natsURL}, env...)...)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	defer p.stop()
	if err := g.take(name, p, l); err != nil {
		return err
	}
	return g.sweep()
}

func (g grower) connections() error {
	g.head("connections")
	for _, n := range []int{1, 8, 32, 128, 512, 2048} {
		if err := g.fresh(strconv.Itoa(n), load{connections: n}); err != nil {
			return err
		}
	}
	return nil
}

func (g grower) bodies() error {
	g.head("bytes more of body")
	for _, size := range []int{0, 4 << 10, 32 << 10, 256 << 10} {
		if err := g.fresh(strconv.Itoa(size), load{connections: 32, padding: size}); err != nil {
			return err
		}
	}
	return nil
}

func (g grower) endpoints() error {
	g.head("endpoints")
	for _, n := range []int{1, 10, 100} {
		var env []string
		for i := range n {
			prefix := fmt.Sprintf("ENDPOINTS_%d_", i)
			env = append(env, prefix+"NAME=flock-"+strconv.Itoa(i), prefix+"PROVIDER=flock", prefix+"SECRETS="+secretText)
		}
		if err := g.fresh(strconv.Itoa(n), load{connections: 32, endpoint: "flock-" + strconv.Itoa(n-1)}, env...); err != nil {
			return err
		}
	}
	return nil
}

func (g grower) secrets() error {
	fmt.Fprintln(g.table, "\nsecrets\tverify CPU µs, signed with the last\t")
	for _, n := range []int{1, 2, 5, 10} {
		took, err := verifying(n)
		if err != nil {
			return err
		}
		fmt.Fprintf(g.table, "%d\t%.2f\t\n", n, microseconds(took))
	}
	return nil
}

// depth fills a spool.
func (g grower) depth() error {
	g.head("events in the spool")
	l := load{connections: 32}
	clients, err := l.clients(g.spoolingBridge.addr)
	if err != nil {
		return err
	}
	at := target{g.spoolingBridge, clients}
	defer at.close()
	filled := int64(0)
	for _, depth := range []int64{0, 100_000, 400_000} {
		for filled < depth {
			r, err := at.round(l, g.each)
			if err != nil {
				return fmt.Errorf("filling the spool: %w", err)
			}
			filled += r.answers
		}
		if err := g.take(strconv.FormatInt(filled, 10), g.spoolingBridge, l); err != nil {
			return err
		}
	}
	return nil
}

// replicas has a bridge publish to streams of one copy and of three, on a cluster of three servers.
func (g grower) replicas() error {
	urls, err := g.startCluster(3)
	if err != nil {
		return err
	}
	g.head("copies, on three servers")
	for _, n := range []int{1, 3} {
		p, err := g.startBridge("bridge", "NATS_URL="+urls, fmt.Sprintf("STREAM_REPLICAS=%d", n), fmt.Sprintf("STREAM_NAME=COPIES_%d", n), fmt.Sprintf("SUBJECT_PREFIX=copies-%d", n))
		if err != nil {
			return err
		}
		err = awaitStream(urls, fmt.Sprintf("COPIES_%d", n)) // until then it spools
		if err == nil {
			err = g.take(strconv.Itoa(n), p, load{connections: 32})
		}
		p.stop()
		if err != nil {
			return err
		}
	}
	return nil
}

// verifying returns the processor time for verifying a delivery that is signed with the last of n
// secrets.
func verifying(n int) (time.Duration, error) {
	content := body(1)
	text, err := stringify.Parse(content)
	if err != nil {
		return 0, err
	}
	secrets := make([]secret.Secret, n)
	for i := range secrets {
		secrets[i] = secret.New(fmt.Sprint("another ", i))
	}
	secrets[n-1] = key
	r := verify.Request{
		Header: http.Header{flock.Provider.Signature.Header: {sign(content)}}, Raw: content, Body: text, Secrets: secrets,
		Scheme: verify.Payload, Tolerance: flock.Provider.Time.Tolerance, Now: time.Now(),
	}
	const times = 50_000
	took := timed(times, func() { _, err = flock.Provider.Verify(r) })
	return took / times, err
}
