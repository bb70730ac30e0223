package app

import (
	"context"
	"errors"
	"net"
	"time"
)

// lastAnswer is how long an open connection may wait for one more answer, which asks its sender to
// connect anew.
const lastAnswer = time.Second

// stopPublic closes the public listener first. http.Server.Shutdown alone would close idle
// connections at once, and a delivery just being sent on one is lost if its sender never retries.
// So they get a moment to take one more answer, with Connection: close. That may use up the
// context; Shutdown gets at least a.closing.
func (a *App) stopPublic(ctx context.Context) error {
	_ = a.publicListener.Close()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	over := time.After(lastAnswer)
wait:
	for {
		if open, _ := a.handler.Conns.Connections(); open == 0 {
			break
		}
		select {
		case <-over:
			break wait
		case <-ctx.Done():
			break wait
		case <-tick.C:
		}
	}
	// Shutdown would wait 5 s for connections that have sent nothing. Load balancers open some in
	// advance.
	a.handler.Conns.CloseSilent()
	deadline, _ := ctx.Deadline()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), max(time.Until(deadline), a.closing))
	defer cancel()
	if err := a.public.Shutdown(ctx); err != nil && !errors.Is(err, net.ErrClosed) { // it closes the listener again
		return err
	}
	return nil
}
