package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// process is a process that is measured.
type process struct {
	name  string
	cmd   *exec.Cmd
	out   bytes.Buffer
	addr  string // of its public listener
	admin string // of its admin listener; "" for others
	done  chan struct{}
}

func start(name, addr, path string, env []string, args ...string) (*process, error) {
	p := &process{name: name, addr: addr, done: make(chan struct{})}
	p.cmd = exec.Command(path, args...) //nolint:gosec,noctx // what was built here; stop ends it
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// stop ends the process.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(os.Interrupt)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

const startBound = 20 * time.Second

// await waits until ok, or says what the process has said.
func (p *process) await(ok func() bool) error {
	for end := time.Now().Add(startBound); !ok(); time.Sleep(time.Millisecond) {
		select {
		case <-p.done:
			return fmt.Errorf("%s ended: %s", p.name, p.out.Bytes())
		default:
			if time.Now().After(end) {
				return fmt.Errorf("%s isn't ready", p.name)
			}
		}
	}
	return nil
}

func listens(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, time.Second) //nolint:noctx // it has a bound
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}

// answers reports whether a GET is answered 200.
func answers(url string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, response.Body)
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// tick is Linux' clock tick for user space, on every architecture that Go runs on.
const tick = 10 * time.Millisecond

// cpu is the processor time that the process has used, in user space and kernel (proc_pid_stat(5)).
func (p *process) cpu() (time.Duration, error) {
	stat, err := os.ReadFile(p.proc("stat"))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(stat), ") ") // the name before may have spaces
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, errors.New("reading processor time: too few fields")
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	kernel, err2 := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+kernel) * tick, errors.Join(err, err2)
}

// peak is the most memory that the process has had, in bytes (VmHWM).
func (p *process) peak() (int64, error) {
	status, err := os.ReadFile(p.proc("status"))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	text, _, _ := strings.Cut(rest, "kB")
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	return n << 10, err
}

func (p *process) proc(file string) string {
	return filepath.Join("/proc", strconv.Itoa(p.cmd.Process.Pid), file)
}

// freeAddr is a loopback address that nobody listens on.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // it doesn't wait
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
