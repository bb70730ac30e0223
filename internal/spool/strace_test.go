//go:build strace

// These tests let system calls fail in a process that uses a spool. They need Linux and strace:
//
//	go test -tags strace ./internal/spool
package spool

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"go.uber.org/zap/zapcore"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

// traced is a run of TestWorkload under strace.
type traced struct {
	dir, printed, trace string
	damaged             bool // the file was damaged before
}

// trace runs the workload in a directory. The injections are strace's.
func trace(t *testing.T, dir string, env []string, injections ...string) traced {
	t.Helper()
	log := filepath.Join(t.TempDir(), "trace")
	args := []string{
		"-f", "-qq", "-y", "-o", log, "-e", "signal=none",
		"-e", "trace=fsync,pwrite64,ftruncate,renameat,unlinkat,openat,close", // nobody else in the process writes so
	}
	killed := strings.Contains(strings.Join(injections, " "), "SIGKILL")
	if !killed { // a signal isn't delivered from there
		args = append(args, "--seccomp-bpf")
	}
	for _, injection := range injections {
		args = append(args, "-e", "inject="+injection)
	}
	self, err := os.Executable()
	expect.NoError(t, err)
	child := exec.Command("strace", append(args, self, "-test.run", "^TestWorkload$", "-test.timeout", "60s")...)
	child.Env = append(os.Environ(), append([]string{"SPOOL_FAULTS=yes", "SPOOL_DIR=" + dir}, env...)...)
	var out, errs bytes.Buffer
	child.Stdout, child.Stderr = &out, &errs
	err = child.Run()
	if _, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatalf("strace (apt-get install strace): %v", err)
	}
	lines, readErr := os.ReadFile(log)
	if readErr != nil {
		t.Fatalf("%v; strace says: %s", readErr, errs.String())
	}
	r := traced{dir: dir, printed: out.String(), trace: string(lines)}
	if err != nil && !killed {
		t.Fatalf("the process failed: %v\n%s%s", err, r.printed, errs.String())
	}
	return r
}

// lines returns the rest of each printed line that begins with the word.
func (r traced) lines(word string) map[string]bool {
	ids := make(map[string]bool)
	for line := range strings.Lines(r.printed) {
		if id, ok := strings.CutPrefix(strings.TrimSpace(line), word+" "); ok {
			ids[id] = true
		}
	}
	return ids
}

// check opens the spool as the next process does: every record that was acknowledged and not
// settled must be there.
func (r traced) check(t *testing.T, w workload) {
	t.Helper()
	f := open(t, r.dir)
	found := make(map[string]kept)
	last := make(map[string]string)
	for _, k := range f.everything() {
		found[k.ID] = k
		writer, n, _ := strings.Cut(k.ID, "-")
		if before := last[writer]; !k.Aside && (len(before) > len(n) || len(before) == len(n) && before > n) {
			t.Errorf("%s comes after number %s", k.ID, before)
		}
		if !k.Aside {
			last[writer] = n
		}
		var from, number int
		expect.NoError(t, expect.Err(fmt.Sscanf(k.ID, "%d-%d", &from, &number)))
		want := w.record(from, number)
		if !bytes.Equal(k.Data, want.Data) || k.Subject != want.Subject || k.Kind != want.Kind || !k.Arrived.Equal(arrived) {
			t.Errorf("%s isn't as it was appended", k.ID)
		}
		if k.Aside && k.Reason != "because of "+k.ID {
			t.Errorf("%s is set aside for the reason %q", k.ID, k.Reason)
		}
	}
	settling := r.lines("settling")
	for id := range r.lines("kept") {
		if _, ok := found[id]; !ok && !settling[id] {
			t.Errorf("%s was acknowledged and is lost", id)
		}
	}
	for id := range r.lines("setting aside") {
		if _, ok := found[id]; !ok {
			t.Errorf("%s was to be set aside and is lost", id)
		}
	}
	if n := f.logs.FilterLevelExact(zapcore.ErrorLevel).Len(); n > 0 && !r.damaged {
		t.Errorf("the next start finds fault: %v", f.logs.All())
	}
	f.keeps("9-9")
	r.neverAgain(t)
	if t.Failed() {
		t.Logf("it printed:\n%s\nstrace:\n%s", r.printed, r.trace)
	}
}

var tracedCall = regexp.MustCompile(`^(\d+) +(?:<\.\.\. )?(\w+)(?:\((\d+)<| resumed)`)

// neverAgain fails the test if a descriptor was written or synced after that had failed once.
func (r traced) neverAgain(t *testing.T) {
	t.Helper()
	failed := make(map[string]string) // by descriptor
	on := make(map[string]string)     // by thread: the descriptor of its call
	for line := range strings.Lines(r.trace) {
		m := tracedCall.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		thread, name, fd := m[1], m[2], m[3]
		if fd == "" {
			fd = on[thread]
		} else {
			on[thread] = fd
			switch {
			case name == "close":
				delete(failed, fd)
			case failed[fd] != "":
				t.Errorf("after\n%sthere was\n%s", failed[fd], line)
			}
		}
		switch name {
		case "fsync", "pwrite64", "ftruncate":
			if strings.Contains(line, "= -1 ") && (name != "pwrite64" || !strings.Contains(line, "ENOSPC")) {
				failed[fd] = line
			}
		}
	}
}

// TestEachCallFails makes each call of each kind fail in turn, once or from then on, until the
// workload makes no more.
func TestEachCallFails(t *testing.T) {
	w := workload{size: 300}
	for _, fault := range []string{
		"fsync:error=EIO:when=%d",
		"fsync:error=EIO:when=%d+",
		"pwrite64:error=EIO:when=%d",
		"pwrite64:error=EIO:when=%d+",
		"pwrite64:error=ENOSPC:when=%d",
		"pwrite64:error=ENOSPC:when=%d+",
		"unlinkat:error=EIO:when=%d",
		"fsync:signal=SIGKILL:when=%d",
		"pwrite64:signal=SIGKILL:when=%d",
	} {
		t.Run(strings.ReplaceAll(fault, "%d", "N"), func(t *testing.T) {
			t.Parallel()
			untilUnreached(t, w, func(n int) []string { return []string{fmt.Sprintf(fault, n)} })
		})
	}
}

// writtenAgain matches a write to the file that the first process has begun.
var writtenAgain = regexp.MustCompile(`pwrite64\(\d+<[^>]*-0000000000000001-`)

// TestNextStartFails kills a process. The next one makes its records durable, and each of the first calls
// fails in turn.
func TestNextStartFails(t *testing.T) {
	w := workload{size: 300}
	for _, fault := range []string{"fsync:error=EIO:when=%d", "pwrite64:error=EIO:when=%d", "pwrite64:error=ENOSPC:when=%d+", "fsync:signal=SIGKILL:when=%d", "pwrite64:signal=SIGKILL:when=%d"} {
		t.Run(strings.ReplaceAll(fault, "%d", "N"), func(t *testing.T) {
			t.Parallel()
			isWritten := false
			for n := 1; n <= 6; n++ {
				dir := filepath.Join(t.TempDir(), "spool")
				first := trace(t, dir, []string{"SPOOL_DELIVER=no"}, "fsync:signal=SIGKILL:when=6") // without a mark
				second := trace(t, dir, []string{"SPOOL_FIRST=2000", "SPOOL_WAIT=yes"}, fmt.Sprintf(fault, n))
				second.printed = first.printed + second.printed
				second.check(t, w)
				isWritten = isWritten || writtenAgain.MatchString(second.trace)
			}
			if !isWritten {
				t.Error("nothing was written again")
			}
		})
	}
}

// untilUnreached makes the nth call fail, for each n. strace counts each thread separately, so an n
// may be missed by chance: three in a row are the end.
func untilUnreached(t *testing.T, w workload, injections func(n int) []string) {
	reached, missed := 0, 0
	for n := 1; missed < 3; n++ {
		faults := injections(n)
		r := trace(t, filepath.Join(t.TempDir(), "spool"), nil, faults...)
		r.check(t, w)
		if t.Failed() {
			t.Fatalf("with %v", faults)
		}
		if r.reached(faults[len(faults)-1]) {
			reached, missed = reached+1, 0
		} else {
			missed++
		}
	}
	t.Logf("%d processes in which a call failed", reached)
	if reached == 0 {
		t.Error("the workload makes no such call")
	}
}

// reached reports whether the process made the call that was to fail.
func (r traced) reached(fault string) bool {
	if strings.Contains(fault, "SIGKILL") {
		return !strings.Contains(r.printed, "end\n")
	}
	name, _, _ := strings.Cut(fault, ":")
	return regexp.MustCompile(`(?m)^\d+ +(?:<\.\.\. )?` + name + `[( ].*\(INJECTED\)`).MatchString(r.trace)
}

// TestSyncs counts the syncs for each record: at most 1.1 with one writer, and 0.1 with 64.
func TestSyncs(t *testing.T) {
	for _, test := range []struct {
		writers, records int
		most             float64
	}{{1, 400, 1.1}, {64, 6400, 0.1}} {
		t.Run(fmt.Sprint(test.writers), func(t *testing.T) {
			env := []string{"SPOOL_DELIVER=no", "SPOOL_SEGMENT=8000000", fmt.Sprint("SPOOL_WRITERS=", test.writers), fmt.Sprint("SPOOL_RECORDS=", test.records)}
			r := trace(t, filepath.Join(t.TempDir(), "spool"), env)
			if kept := len(r.lines("kept")); kept != test.records {
				t.Fatalf("%d of %d were kept", kept, test.records)
			}
			syncs := len(regexp.MustCompile(`(?m)^\d+ +fsync\(`).FindAllString(r.trace, -1))
			each := float64(syncs) / float64(test.records)
			t.Logf("%d syncs for %d records, %.3f a record, opening the spool among them", syncs, test.records, each)
			if each > test.most || syncs < 10 {
				t.Errorf("%.3f a record, at most %.1f", each, test.most)
			}
		})
	}
}

// A record is durable only if the names of all directories that were made for it are.
func TestNewDirectories(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "data", "spool")
	r := trace(t, dir, []string{"SPOOL_DELIVER=no"})
	for _, made := range []string{parent, filepath.Dir(dir), dir} {
		if synced := regexp.MustCompile(`fsync\(\d+<` + regexp.QuoteMeta(made) + `>\) += 0`); !synced.MatchString(r.trace) {
			t.Errorf("%s isn't synced", made)
		}
	}
}
