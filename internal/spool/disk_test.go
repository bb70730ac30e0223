//go:build strace

package spool

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/zap/zapcore"
	"golang.org/x/sys/unix"

	"github.com/ade15e70/webhook-bridge/internal/durable"
)

// inNamespace runs the test again in a process that may mount, and whose mounts end with it. It returns false
// there.
func inNamespace(t *testing.T) bool {
	t.Helper()
	if os.Getenv("SPOOL_MOUNTS") != "" {
		return false
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(self, "-test.run", "^"+t.Name()+"$", "-test.v")
	child.Env = append(os.Environ(), "SPOOL_MOUNTS=yes")
	child.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	out, err := child.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Errorf("%v\n%s", err, out)
	}
	return true
}

func mount(t *testing.T, dir, options string, flags uintptr) {
	t.Helper()
	if err := unix.Mount("tmpfs", dir, "tmpfs", flags, options); err != nil {
		t.Fatal(err)
	}
}

// TestFullDisk fills a disk of 16 MB under an open spool.
func TestFullDisk(t *testing.T) {
	if inNamespace(t) {
		return
	}
	disk := t.TempDir()
	mount(t, disk, "size=16m", 0)
	defer func() { _ = unix.Unmount(disk, unix.MNT_DETACH) }()
	f := open(t, filepath.Join(disk, "spool"))
	f.keeps("a", "b", "c")
	ballast := filepath.Join(disk, "ballast")
	full := os.WriteFile(ballast, make([]byte, 32<<20), 0o600)
	if !errors.Is(full, unix.ENOSPC) {
		t.Fatalf("the disk isn't full: %v", full)
	}
	big := long("big", make([]byte, 1<<20))
	for range 5 {
		err := f.Append(t.Context(), big, arrived, attempted)
		if !errors.Is(err, unix.ENOSPC) && !errors.Is(err, ErrNoDisk) {
			t.Fatalf("got %v", err)
		}
	}
	if err := f.Room(1); err == nil {
		t.Error("there is room on a full disk")
	}
	eventually(t, "it is measured", func() bool { return f.Stats().FreeBytes == 0 })
	if err := f.Append(t.Context(), message("small"), arrived, attempted); !errors.Is(err, ErrNoDisk) {
		t.Errorf("got %v", err)
	}
	f.holds("a", "b", "c")
	f.Settle(durable.Event, 2, nil)
	if rest, err := f.Next(durable.Event, 2, 10); err != nil || len(rest) != 1 {
		t.Errorf("delivery goes on: %v, %v", rest, err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it heals by itself", func() bool { return f.Append(t.Context(), big, arrived, attempted) == nil })
	eventually(t, "it is settled", func() bool { return f.Len(durable.Event) == 2 })
	f.holds("c", "big")
	if n := f.logs.FilterLevelExact(zapcore.ErrorLevel).Len(); n > 1 {
		t.Errorf("%d errors in the log: %v", n, f.logs.All())
	}
	if damaged, err := filepath.Glob(filepath.Join(disk, "spool", damagedName+"*")); err != nil || len(damaged) > 0 {
		t.Errorf("set aside: %v, %v", damaged, err)
	}
}

// TestReadOnly opens a spool on a disk that can't be written, and then it can.
func TestReadOnly(t *testing.T) {
	if inNamespace(t) {
		return
	}
	disk := t.TempDir()
	mount(t, disk, "size=64m", 0)
	defer func() { _ = unix.Unmount(disk, unix.MNT_DETACH) }()
	f := open(t, filepath.Join(disk, "spool"))
	f.keeps("a")
	f.close()
	mount(t, disk, "", unix.MS_REMOUNT|unix.MS_RDONLY)
	f = open(t, filepath.Join(disk, "spool"))
	if err := f.Append(t.Context(), message("b"), arrived, attempted); !errors.Is(err, unix.EROFS) {
		t.Errorf("got %v", err)
	}
	if err := f.Room(1); !errors.Is(err, unix.EROFS) {
		t.Errorf("got %v", err)
	}
	mount(t, disk, "", unix.MS_REMOUNT)
	eventually(t, "it heals by itself", func() bool { return f.Append(t.Context(), message("b"), arrived, attempted) == nil })
	f.holds("a", "b")
	if n := f.logs.FilterLevelExact(zapcore.ErrorLevel).Len(); n != 1 {
		t.Errorf("%d errors in the log: %v", n, f.logs.All())
	}
}
