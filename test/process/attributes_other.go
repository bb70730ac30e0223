//go:build !linux

package process

import "syscall"

// Attributes is empty: only Linux ends a program with another.
func Attributes() *syscall.SysProcAttr { return nil }
