package natsdtest

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

// These variables tell a test binary that it is a server, and which one.
const (
	envFile = "NATSDTEST_FILE"
	envAddr = "NATSDTEST_ADDR"
)

// Main must be called first by the TestMain of a package that calls [StartProcess]: the server is
// the test binary itself, executed once more.
func Main() {
	if os.Getenv(envFile) == "" {
		return
	}
	if err := serve(os.Getenv(envFile), os.Getenv(envAddr)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1) //nolint:forbidigo // this is a main
	}
	os.Exit(0) //nolint:forbidigo // this is a main
}

// serve runs a server until standard input ends, which it does when the test is gone.
func serve(file, addr string) error {
	o, err := options(file, addr)
	if err != nil {
		return err
	}
	s, err := run(o)
	if err != nil {
		return err
	}
	_, _ = os.Stdout.WriteString("ready\n")
	_, err = io.Copy(io.Discard, os.Stdin)
	s.Shutdown()
	return err
}

// StartProcess returns a server in a process of its own.
func StartProcess(t testing.TB, conf string) *Server {
	t.Helper()
	s := New(t, conf)
	s.child = &child{}
	s.Start()
	return s
}

// Kill ends the server's process with SIGKILL.
func (s *Server) Kill() { s.child.kill() }

// child is a running nats-server.
type child struct{ cmd *exec.Cmd }

func (p *child) start(s *Server) {
	s.t.Helper()
	cmd := exec.Command(os.Args[0]) //nolint:gosec,noctx // this very program, which ends with the test
	cmd.Env = append(os.Environ(), envFile+"="+s.file, envAddr+"="+s.addr)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = ownGroup()
	out, err := cmd.StdoutPipe()
	if err == nil {
		_, err = cmd.StdinPipe() // closed when this process ends
	}
	if err == nil {
		err = cmd.Start()
	}
	expect.NoError(s.t, err)
	p.cmd = cmd
	expect.NoErrorf(s.t, expect.Err(io.ReadFull(out, make([]byte, len("ready\n")))), "nats-server's process isn't ready")
}

func (p *child) kill() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	p.cmd = nil
}
