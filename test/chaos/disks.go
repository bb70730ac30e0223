//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Scenarios with disks that fill, are slow, or turn read-only.
var diskScenarios = []scenario{
	{
		name: "disk-full", about: "the spool's disk fills while NATS is away",
		nats: 1, bridges: 1, must: []string{refused, spooled, natsKills}, rules: rules{disorder: true, refuses: true},
		prepare: func(w *world) error { return w.mountTmpfs(w.bridges[0].dir, "16m") },
		faults: func(w *world) error {
			w.down(w.nats[0])
			w.passes(time.Second)
			ballast, err := fill(w.bridges[0].dir)
			if err != nil {
				return err
			}
			w.passes(1500 * time.Millisecond)
			if err := w.killBridge(w.bridges[0], 50*time.Millisecond); err != nil { // it must start there, too
				return err
			}
			w.passes(500 * time.Millisecond)
			if err := w.nats[0].start(); err != nil { // events go to NATS, past the disk
				return err
			}
			w.passes(time.Second)
			return os.Remove(ballast)
		},
	},
	{
		name: "disk-nospace", about: "the spool's disk says that it has room, and now and then has none for a write; NATS is killed",
		nats: 1, bridges: 1, must: []string{refused, spooled, natsKills}, rules: rules{disorder: true, refuses: true},
		prepare: underStrace("pwrite64", "error=ENOSPC:when=20+9"), // by a thread
		faults:  untilRefused(2 * time.Second),
	},
	{
		name: "disk-slow", about: "each sync of the spool's disk takes 50 ms, longer than some senders wait; NATS is killed and paused",
		nats: 1, bridges: 1, must: []string{spooled, natsKills},
		rules:   rules{disorder: true, atLeast: map[string]time.Duration{"spooled": 50 * time.Millisecond}},
		prepare: slowDisk(50 * time.Millisecond),
		faults: func(w *world) error {
			if err := w.killNATS(w.nats[0], 4*time.Second); err != nil {
				return err
			}
			w.passes(2 * time.Second)
			w.pauseNATS(w.nats[0], time.Second)
			w.passes(time.Second)
			return nil
		},
	},
	{
		name: "disk-stuck", about: "each sync of the spool's disk takes 1.5 s, longer than any answer may; NATS is killed",
		nats: 1, bridges: 1, must: []string{refused, natsKills},
		rules:   rules{disorder: true, refuses: true, atLeast: map[string]time.Duration{"spooled": 1500 * time.Millisecond}},
		prepare: slowDisk(1500 * time.Millisecond),
		faults:  untilRefused(2 * time.Second),
	},
	{
		name: "disk-readonly", about: "the spool's file system turns read-only, with NATS there and with NATS away, and is mended",
		nats: 1, bridges: 1, must: []string{refused, spooled, natsKills, restarts}, rules: rules{disorder: true, refuses: true},
		prepare: func(w *world) error { return w.mountExt4(w.bridges[0]) },
		faults: func(w *world) error {
			b := w.bridges[0]
			w.down(w.nats[0])
			w.passes(time.Second)
			if err := breakFileSystem(b.dir); err != nil {
				return err
			}
			w.passes(time.Second)
			if err := w.nats[0].start(); err != nil {
				return err
			}
			w.passes(1500 * time.Millisecond)
			_ = b.stop() // it can't close its spool well
			if err := w.mendExt4(b); err != nil {
				return err
			}
			return b.start(w.ctx)
		},
	},
	{
		name: "embedded-slow", about: "each sync lasts 100 ms, the spool's and those of the bridge's own server; the bridge is killed",
		nats: 0, bridges: 1, must: []string{kills, cutOff},
		rules:   rules{disorder: true, refuses: true, atLeast: map[string]time.Duration{"spooled": 100 * time.Millisecond, "stored": 100 * time.Millisecond}},
		prepare: slowDisk(100 * time.Millisecond),
		faults: func(w *world) error {
			w.passes(2 * time.Second)
			if err := w.killBridge(w.bridges[0], 100*time.Millisecond); err != nil {
				return err
			}
			w.passes(2 * time.Second)
			return nil
		},
	},
	{
		name: "nats-disk-full", about: "the disk of NATS fills; there is room again, and NATS is restarted",
		nats: 1, bridges: 2, env: []string{"QUARANTINE_MAX_BYTES=1MiB"}, must: []string{spooled, natsKills},
		prepare: func(w *world) error {
			s := w.nats[0]
			s.kill()
			if err := w.mountTmpfs(s.dir, "16m"); err != nil {
				return err
			}
			if err := s.configure(mayAll); err != nil {
				return err
			}
			return s.start()
		},
		faults: func(w *world) error {
			ballast, err := fill(w.nats[0].dir)
			if err != nil {
				return err
			}
			w.passes(2500 * time.Millisecond)
			if err := os.Remove(ballast); err != nil {
				return fmt.Errorf("making room: %w", err)
			}
			w.passes(500 * time.Millisecond)
			return w.killNATS(w.nats[0], 200*time.Millisecond)
		},
	},
	{
		name: "spool-full", about: "NATS is away until SPOOL_MAX_BYTES is reached",
		nats: 1, bridges: 1, env: []string{"SPOOL_MAX_BYTES=200KiB", "MAX_BODY_BYTES=64KiB"}, must: []string{refused, spooled, natsKills}, rules: rules{disorder: true, refuses: true},
		faults: untilRefused(2500 * time.Millisecond),
	},
}

// untilRefused has NATS away for that long, and until a bridge has refused something.
func untilRefused(d time.Duration) func(*world) error {
	return func(w *world) error {
		w.down(w.nats[0])
		w.meets(refused, d)
		return w.nats[0].start()
	}
}

// slowDisk makes each sync of a bridge slower.
func slowDisk(by time.Duration) func(*world) error {
	return underStrace("fsync", fmt.Sprintf("delay_exit=%d", by.Microseconds()))
}

// underStrace runs a bridge under strace, which makes some system calls fail or slow.
func underStrace(calls, injected string) func(*world) error {
	return func(w *world) error {
		b := w.bridges[0]
		b.command = append([]string{
			"strace", "-D", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "signal=none", "-e", "trace=" + calls, "-e", "inject=" + calls + ":" + injected,
		}, b.command...)
		return nil
	}
}

// system runs a program of the operating system.
func system(ctx context.Context, name string, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out)), nil
}

// mountTmpfs mounts a file system in memory.
func mountTmpfs(ctx context.Context, dir, size string) error {
	_, err := system(ctx, "mount", "-t", "tmpfs", "-o", "size="+size, "chaos", dir)
	return err
}

// unmount unmounts it, even if it is in use or the context has ended.
func unmount(ctx context.Context, dir string) error {
	_, err := system(context.WithoutCancel(ctx), "umount", "-l", dir)
	return err
}

// mountTmpfs mounts a small disk.
func (w *world) mountTmpfs(dir, size string) error {
	err := mountTmpfs(w.ctx, dir, size)
	if err == nil {
		w.unmountsInTheEnd(dir)
	}
	return err
}

func (w *world) unmountsInTheEnd(dir string) {
	w.lift = append(w.lift, func() { _ = unmount(w.ctx, dir) })
}

// fill fills a file system, and returns the file to remove for some room.
func fill(dir string) (ballast string, err error) {
	ballast = filepath.Join(dir, "ballast")
	f, err := os.Create(ballast)
	if err != nil {
		return "", fmt.Errorf("filling disk: %w", err)
	}
	for block := make([]byte, 4<<10); err == nil; {
		_, err = f.Write(block)
	}
	_ = f.Close()
	return ballast, nil
}

// mountExt4 mounts a disk that turns read-only at an error, as disks do.
func (w *world) mountExt4(b *bridge) error {
	image := b.dir + ".img"
	f, err := os.Create(image)
	if err == nil {
		err = errors.Join(f.Truncate(64<<20), f.Close())
	}
	if err != nil {
		return fmt.Errorf("making disk: %w", err)
	}
	if _, err := system(w.ctx, "mkfs.ext4", "-q", "-F", image); err != nil {
		return err
	}
	return w.mountImage(b)
}

func (w *world) mountImage(b *bridge) error {
	if _, err := system(w.ctx, "mount", "-o", "loop,errors=remount-ro", b.dir+".img", b.dir); err != nil {
		return err
	}
	w.unmountsInTheEnd(b.dir)
	return nil
}

// breakFileSystem makes the kernel find an error on it.
func breakFileSystem(dir string) error {
	mounts, err := os.ReadFile("/proc/mounts")
	if err != nil {
		return fmt.Errorf("breaking file system: %w", err)
	}
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); f[1] == dir {
			return os.WriteFile(filepath.Join("/sys/fs/ext4", filepath.Base(f[0]), "trigger_fs_error"), []byte("chaos\n"), 0o200)
		}
	}
	return fmt.Errorf("breaking file system: %s isn't mounted", dir)
}

// mendExt4 repairs it as an operator does.
func (w *world) mendExt4(b *bridge) error {
	if _, err := system(w.ctx, "umount", b.dir); err != nil {
		return err
	}
	_, _ = system(w.ctx, "e2fsck", "-f", "-y", b.dir+".img") // its status is 1 where it has mended something
	return w.mountImage(b)
}
