//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/ade15e70/webhook-bridge/test/process"
)

// envAddr has the bridge's address if this program runs as the attackers: in a process of its own
// with a lower priority, since real attackers don't share the bridge's processors. Its arguments
// are the name and the length of the attack.
const (
	envAddr  = "HOSTILE_ADDR"
	envAdmin = "HOSTILE_ADMIN" // the admin listener's
)

// attackFrom runs the attack in a process of its own, and returns its report.
func attackFrom(ctx context.Context, a attack, addr, admin string, length time.Duration) (did report, err error) {
	self, err := os.Executable()
	if err != nil {
		return did, fmt.Errorf("attacking: %w", err)
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, self, a.name, length.String())
	cmd.Env = append(os.Environ(), envAddr+"="+addr, envAdmin+"="+admin)
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	cmd.SysProcAttr = process.Attributes()
	if err := cmd.Run(); err != nil {
		return did, fmt.Errorf("attacking: %w", err)
	}
	if err := json.Unmarshal(out.Bytes(), &did); err != nil {
		return did, fmt.Errorf("attacking: %w", err)
	}
	return did, nil
}

// besiege is that process.
func besiege(ctx context.Context, args []string, out io.Writer) error {
	if len(args) != 2 {
		return fmt.Errorf("takes an attack and its length, got %q", args)
	}
	i := slices.IndexFunc(attacks, func(a attack) bool { return a.name == args[0] })
	length, err := time.ParseDuration(args[1])
	if i < 0 || err != nil {
		return fmt.Errorf("takes an attack and its length, got %q", args)
	}
	if err := syscall.Setpriority(syscall.PRIO_PROCESS, 0, 10); err != nil {
		return fmt.Errorf("lowering priority: %w", err)
	}
	ctx, end := context.WithCancel(ctx)
	defer end()
	s := &siege{addr: os.Getenv(envAddr), admin: os.Getenv(envAdmin), tls: attacks[i].tls, did: report{Counts: make(map[string]int)}}
	go func() { // on a slow machine it takes longer to do what it came for
		pause(ctx, length)
		for late := time.Now().Add(time.Minute); ctx.Err() == nil && !s.met(attacks[i].evidence) && time.Now().Before(late); {
			pause(ctx, 100*time.Millisecond)
		}
		end()
	}()
	attacks[i].run(ctx, s)
	s.mu.Lock()
	defer s.mu.Unlock()
	return json.NewEncoder(out).Encode(s.did)
}

// report counts what an attack did.
type report struct {
	Counts map[string]int // what it did and met, and how often
	Signed []string       // ids of what it sent that is correctly signed
}

// siege is a running attack.
type siege struct {
	addr  string // of the public port
	admin string
	tls   bool
	mu    sync.Mutex
	did   report
}

func (s *siege) count(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.did.Counts[what]++
}

// met reports whether each of these was counted.
func (s *siege) met(evidence []string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !slices.ContainsFunc(evidence, func(what string) bool { return s.did.Counts[what] == 0 })
}

// signs records that the attack sends something correctly signed.
func (s *siege) signs(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.did.Signed = append(s.did.Signed, id)
}

// dial opens a connection that is closed when the context ends.
func (s *siege) dial(ctx context.Context) (c net.Conn, end func()) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "tcp", s.addr)
	if err != nil {
		if ctx.Err() == nil {
			s.count("not connected")
		}
		pause(ctx, 100*time.Millisecond)
		return nil, nil
	}
	if s.tls {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	}
	s.count("connections")
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	return c, func() {
		stop()
		_ = c.Close()
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// attackers runs that many of an attacker at the same time, again and again, until the context
// ends.
func attackers(ctx context.Context, n int, one func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			for ctx.Err() == nil {
				one(i)
			}
		})
	}
	all.Wait()
}

// connections has so many connections attack at the same time, each by a new one when it is over.
func (s *siege) connections(ctx context.Context, n int, attack func(net.Conn)) {
	attackers(ctx, n, func(int) {
		c, end := s.dial(ctx)
		if c == nil {
			return
		}
		defer end()
		attack(c)
	})
}

// drip sends the beginning at once and then a part at a time, until there is an answer.
func (s *siege) drip(ctx context.Context, c net.Conn, begin string, every time.Duration, parts iter.Seq[string]) {
	answered := make(chan struct{})
	go func() {
		s.status(ctx, bufio.NewReaderSize(c, 512))
		close(answered)
	}()
	_, _ = io.WriteString(c, begin)
	for part := range parts {
		select {
		case <-answered:
			return
		case <-time.After(every):
		}
		if _, err := io.WriteString(c, part); err != nil {
			break
		}
	}
	<-answered
}
