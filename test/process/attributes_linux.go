package process

import "syscall"

// Attributes puts a program into a group of its own, so that Ctrl-C reaches it through this program
// only, and ends it with this program, however that ends.
func Attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
