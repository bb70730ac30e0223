//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/ade15e70/webhook-bridge/test/process"
)

// The clock of one process can't be stepped without that of the machine, and LD_PRELOAD doesn't
// reach a Go program. So the bridge is built again with another time.Now, which adds a number from
// a file. The monotonic clock is unchanged, as in a real step.

const steppedNow = `
// chaosStep is added to the wall clock, in seconds.
var chaosStep *int64

// ChaosStep sets the file of that number.
func ChaosStep(at *int64) { chaosStep = at }
`

const steppedMain = `package main

import (
	"os"
	"syscall"
	"time"
	"unsafe"
)

func init() {
	f, err := os.Open(os.Getenv("CHAOS_CLOCK"))
	if err != nil {
		panic(err)
	}
	page, err := syscall.Mmap(int(f.Fd()), 0, 8, syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		panic(err)
	}
	time.ChaosStep((*int64)(unsafe.Pointer(&page[0])))
}
`

// buildStepped builds the bridge with a clock that can be stepped.
func buildStepped(ctx context.Context, dir, to string) error {
	root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("asking for GOROOT: %w", err)
	}
	original := filepath.Join(strings.TrimSpace(string(root)), "src", "time", "time.go")
	text, err := os.ReadFile(original)
	if err != nil {
		return fmt.Errorf("reading the source of time.Now: %w", err)
	}
	const now = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	if !bytes.Contains(text, []byte(now)) {
		return errors.New("time.Now isn't written as in Go 1.26 any more: the replacement in clock.go must follow")
	}
	text = bytes.Replace(text, []byte(now), []byte(now+"\tif chaosStep != nil {\n\t\tsec += *chaosStep\n\t}\n"), 1)
	here, err := filepath.Abs(filepath.Join("cmd", "bridge"))
	if err != nil {
		return fmt.Errorf("finding cmd/bridge: %w", err)
	}
	replaced, added, overlay := filepath.Join(dir, "time.go"), filepath.Join(dir, "stepped.go"), filepath.Join(dir, "overlay.json")
	list, err := json.Marshal(map[string]any{"Replace": map[string]string{original: replaced, filepath.Join(here, "chaos_stepped.go"): added}})
	if err != nil {
		return fmt.Errorf("writing overlay: %w", err)
	}
	for file, content := range map[string][]byte{replaced: append(text, steppedNow...), added: []byte(steppedMain), overlay: list} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			return fmt.Errorf("writing overlay: %w", err)
		}
	}
	return process.Build(ctx, "-overlay", overlay, "-o", to, "./cmd/bridge")
}

// step sets the difference of a process' clock to the machine's.
func step(file string, by time.Duration) error {
	var seconds [8]byte
	binary.NativeEndian.PutUint64(seconds[:], uint64(int64(by/time.Second)))
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY, 0o600) // in place: it is mapped
	if err != nil {
		return fmt.Errorf("stepping clock: %w", err)
	}
	_, err = f.WriteAt(seconds[:], 0)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("stepping clock: %w", err)
	}
	return nil
}
