//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// memoryLimit is the limit of the bridge's container in deploy/.
const memoryLimit = 512 << 20

// container limits the bridge's memory, with a kill, and its open files: by a memory cgroup, which
// needs root, or else by RLIMIT_DATA, which counts what Go maps and is stricter.
type container struct {
	dir     string // of the cgroup; "" without one
	limited bool   // in memory
	files   int    // that may be open; 0 for no limit
}

// newContainer returns one with a limit of memory.
func newContainer(name string, files int) container {
	for _, at := range []struct{ hierarchy, limit, swap string }{
		{"/sys/fs/cgroup", "memory.max", "memory.swap.max"},
		{"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"},
	} {
		dir := filepath.Join(at.hierarchy, name)
		if os.Mkdir(dir, 0o755) != nil {
			continue
		}
		size := []byte(strconv.Itoa(memoryLimit))
		if _, err := os.Stat(filepath.Join(dir, at.limit)); err == nil && os.WriteFile(filepath.Join(dir, at.limit), size, 0) == nil {
			if at.swap == "memory.swap.max" {
				size = []byte("0")
			}
			_ = os.WriteFile(filepath.Join(dir, at.swap), size, 0) // there may be no swap to account for
			return container{dir, true, files}
		}
		_ = os.Remove(dir)
	}
	return container{limited: true, files: files}
}

// String returns how memory is limited.
func (c container) String() string {
	if c.dir == "" {
		return "RLIMIT_DATA, since no memory cgroup can be made"
	}
	return "a memory cgroup"
}

// command returns the command that runs another one inside.
func (c container) command(command ...string) []string {
	var first []string
	if c.dir != "" {
		first = append(first, fmt.Sprintf("echo $$ > %s/cgroup.procs", c.dir))
	} else if c.limited {
		first = append(first, fmt.Sprintf("ulimit -d %d", memoryLimit>>10))
	}
	if c.files > 0 {
		first = append(first, fmt.Sprintf("ulimit -n %d", c.files))
	}
	return append([]string{"/bin/sh", "-c", strings.Join(append(first, `exec "$0" "$@"`), " && ")}, command...)
}

// close removes the cgroup, whose process has ended.
func (c container) close() error {
	if c.dir == "" {
		return nil
	}
	if err := os.Remove(c.dir); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
