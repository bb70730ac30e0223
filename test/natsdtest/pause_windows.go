package natsdtest

import (
	"syscall"

	"golang.org/x/sys/windows"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

var (
	ntdll            = windows.NewLazySystemDLL("ntdll.dll")
	ntSuspendProcess = ntdll.NewProc("NtSuspendProcess")
	ntResumeProcess  = ntdll.NewProc("NtResumeProcess")
)

// Pause suspends the server's process: the system still takes connections and bytes for it, and
// nothing answers.
func (s *Server) Pause() {
	s.t.Helper()
	s.call(ntSuspendProcess)
}

// Resume lets a paused server go on.
func (s *Server) Resume() {
	s.t.Helper()
	s.call(ntResumeProcess)
}

// call calls a function of ntdll that takes the process and returns 0.
func (s *Server) call(f *windows.LazyProc) {
	s.t.Helper()
	pid := uint32(s.child.cmd.Process.Pid) //nolint:gosec // Windows' are of 32 bits
	process, err := windows.OpenProcess(windows.PROCESS_SUSPEND_RESUME, false, pid)
	expect.NoError(s.t, err)
	defer func() { _ = windows.CloseHandle(process) }()
	if status, _, _ := f.Call(uintptr(process)); status != 0 {
		s.t.Fatalf("%s: status %#x", f.Name, status)
	}
}

func ownGroup() *syscall.SysProcAttr { return nil }
