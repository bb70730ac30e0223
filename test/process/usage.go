package process

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is Linux' clock tick for user space, on every architecture that Go runs on.
const tick = 10 * time.Millisecond

// CPU is the processor time that it has used, in user space and kernel (proc_pid_stat(5)).
func (p *Process) CPU() (time.Duration, error) {
	stat, err := p.proc("stat")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(stat, ") ") // the name before may have spaces
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0, fmt.Errorf("reading processor time of %s: too few fields: %q", p.Name, stat)
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	kernel, err2 := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+kernel) * tick, errors.Join(err, err2)
}

// Peak is the most memory that it ever had resident, in bytes (VmHWM).
func (p *Process) Peak() (int64, error) {
	status, err := p.proc("status")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(status, "VmHWM:")
	text, _, _ := strings.Cut(rest, "kB")
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("reading memory of %s: %w", p.Name, err)
	}
	return n << 10, nil
}

func (p *Process) proc(file string) (string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", p.PID(), file))
	if err != nil {
		return "", fmt.Errorf("looking at %s: %w", p.Name, err)
	}
	return string(text), nil
}
