package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/secret"
	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

// growth prints how the bridge's own cost grows with what there is more of. These are figures of one
// machine, not ratios: only how they relate to each other says something.
func growth(each time.Duration, stdout io.Writer) error {
	w, err := newWorld()
	if err != nil {
		return err
	}
	defer w.close()
	t := tabwriter.NewWriter(stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "connections\tbody bytes\trequests/s\tCPU µs\tp50 ms\tp99 ms\tpeak MB\t")
	one := func(connections, size int) error {
		p, err := w.startBridge("bridge", "NATS_URL="+w.natsURL) // its own, for its peak
		if err != nil {
			return err
		}
		defer p.stop()
		l := load{connections: connections, padding: size}
		clients, err := l.clients(p.addr)
		if err != nil {
			return err
		}
		at := target{p, clients}
		defer at.close()
		if _, err := at.round(l, each/2); err != nil { // warm
			return err
		}
		if err := w.sweep(); err != nil {
			return err
		}
		r, err := at.round(l, each)
		if err != nil {
			return err
		}
		peak, err := p.peak()
		fmt.Fprintf(t, "%d\t%d\t%.0f\t%.1f\t%.2f\t%.2f\t%.0f\t\n", connections, len(clients[0].body), r.perSecond(), microseconds(r.cpu), r.quantile(50)/1e3, r.quantile(99)/1e3, float64(peak)/1e6)
		return err
	}
	for _, connections := range []int{1, 8, 32, 128, 512, 2048} {
		if err := one(connections, 0); err != nil {
			return fmt.Errorf("%d connections: %w", connections, err)
		}
	}
	for _, size := range []int{4 << 10, 32 << 10, 256 << 10} {
		if err := one(32, size); err != nil {
			return fmt.Errorf("bodies of %d bytes: %w", size, err)
		}
	}
	fmt.Fprintln(t, "\nsecrets\tverify CPU µs, signed with the last\t")
	for _, n := range []int{1, 2, 5, 10} {
		took, err := verifying(n)
		if err != nil {
			return err
		}
		fmt.Fprintf(t, "%d\t%.2f\t\n", n, microseconds(took))
	}
	return t.Flush()
}

// verifying is the processor time of verifying a delivery that the last of n secrets has signed.
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
		Body: text, Signatures: []string{sign(content)}, Secrets: secrets,
		Scheme: verify.Payload, Tolerance: verify.Flock.Tolerance, Now: time.Now(),
	}
	const times = 50_000
	took := timed(times, func() { _, err = verify.Flock.Verify(r) })
	return took / times, err
}
