//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// process is a program that runs beside this one, and ends with it.
type process struct {
	name   string
	cmd    *exec.Cmd
	exited chan struct{}
	err    error // of its end
}

// spawn starts a program whose output is appended to a file.
func spawn(name, output string, env []string, command ...string) (*process, error) {
	out, err := os.OpenFile(output, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	defer func() { _ = out.Close() }()
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, env...)
	cmd.Stdout, cmd.Stderr = out, out
	// A group of its own, so that Ctrl-C reaches it through us only.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	p := &process{name: name, cmd: cmd, exited: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.exited)
	}()
	return p, nil
}

// runs reports whether it hasn't ended.
func (p *process) runs() bool {
	if p == nil {
		return false
	}
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

func (p *process) signal(s syscall.Signal) {
	if p.runs() {
		_ = p.cmd.Process.Signal(s) // it may just have ended
	}
}

// kill ends it with SIGKILL, paused or not.
func (p *process) kill() {
	if p == nil {
		return
	}
	p.signal(syscall.SIGKILL)
	<-p.exited
}

// stop ends it with SIGTERM, and says how it ended.
func (p *process) stop(within time.Duration) error {
	p.signal(syscall.SIGTERM)
	select {
	case <-p.exited:
	case <-time.After(within):
		p.signal(syscall.SIGQUIT) // its goroutines go to its log
		time.Sleep(time.Second)
		p.kill()
		return fmt.Errorf("%s still ran %s after SIGTERM", p.name, within)
	}
	if p.err != nil {
		return fmt.Errorf("%s after SIGTERM: %w", p.name, p.err)
	}
	return nil
}
