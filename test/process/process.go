// Package process builds programs and runs them beside a test program, whose end ends them.
package process

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// Process is a running program. The methods of a nil one find that it has ended.
type Process struct {
	Name   string
	Exited chan struct{} // closed when it has ended
	Err    error         // of its end; valid once Exited is closed
	cmd    *exec.Cmd
	output string
}

// Start starts a program whose output is appended to a file. Of this program's environment it has
// PATH and HOME alone.
func Start(name, output string, env []string, command ...string) (*Process, error) {
	out, err := os.OpenFile(output, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	defer func() { _ = out.Close() }()
	cmd := exec.Command(command[0], command[1:]...) //nolint:gosec,noctx // it ends with this program
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}, env...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = Attributes()
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", name, err)
	}
	p := &Process{Name: name, cmd: cmd, output: output, Exited: make(chan struct{})}
	go func() {
		p.Err = cmd.Wait()
		close(p.Exited)
	}()
	return p, nil
}

// Runs reports whether it hasn't ended.
func (p *Process) Runs() bool {
	if p == nil {
		return false
	}
	select {
	case <-p.Exited:
		return false
	default:
		return true
	}
}

// PID returns its process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Output returns what it has written, for an error.
func (p *Process) Output() string {
	text, err := os.ReadFile(p.output)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Signal sends it a signal, if it runs.
func (p *Process) Signal(s os.Signal) {
	if p.Runs() {
		_ = p.cmd.Process.Signal(s) // it may just have ended
	}
}

// Kill ends it with SIGKILL, paused or not.
func (p *Process) Kill() {
	if p == nil {
		return
	}
	p.Signal(os.Kill)
	<-p.Exited
}

// Stop ends it with SIGTERM, and returns an error unless its exit status is 0.
func (p *Process) Stop(within time.Duration) error {
	p.Signal(syscall.SIGTERM)
	select {
	case <-p.Exited:
	case <-time.After(within):
		p.Signal(syscall.SIGQUIT) // its goroutines go to its output
		select {
		case <-p.Exited:
		case <-time.After(time.Second):
			p.Kill()
		}
		return fmt.Errorf("%s still ran %s after SIGTERM", p.Name, within)
	}
	if p.Err != nil {
		return fmt.Errorf("%s after SIGTERM: %w", p.Name, p.Err)
	}
	return nil
}

// Build runs go build.
func Build(ctx context.Context, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", append([]string{"build"}, args...)...) //nolint:gosec // the caller's own
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("building %s: %w", args[len(args)-1], err)
	}
	return nil
}
