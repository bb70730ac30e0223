//go:build unix

package natsdtest

import (
	"errors"
	"syscall"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

// Pause stops the server's process without ending it: the kernel still takes connections and bytes
// for it, and nothing answers.
func (s *Server) Pause() {
	s.t.Helper()
	s.signal(syscall.SIGSTOP)
	var status syscall.WaitStatus
	for !status.Stopped() {
		if _, err := syscall.Wait4(s.child.cmd.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil && !errors.Is(err, syscall.EINTR) {
			s.t.Fatal(err)
		}
	}
}

// Resume lets a paused server go on.
func (s *Server) Resume() {
	s.t.Helper()
	s.signal(syscall.SIGCONT)
}

func (s *Server) signal(signal syscall.Signal) {
	s.t.Helper()
	expect.NoError(s.t, s.child.cmd.Process.Signal(signal))
}

// ownGroup puts the server into a process group of its own: the kernel continues it and hangs it up
// if the test dies while it is paused.
func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
