package filewatch

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/ade15e70/webhook-bridge/test/poll"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// told is what Changed was told, one after the other.
type told struct {
	mu  sync.Mutex
	all []string
}

func (l *told) changed(contents [][]byte, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		var cause *fs.PathError
		errors.As(err, &cause)
		l.all = append(l.all, "error: "+cause.Err.Error())
		return
	}
	texts := make([]string, len(contents))
	for i, content := range contents {
		texts[i] = string(content)
	}
	l.all = append(l.all, strings.Join(texts, "|"))
}

func (l *told) list() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.all)
}

func (l *told) last() string {
	if all := l.list(); len(all) > 0 {
		return all[len(all)-1]
	}
	return ""
}

func do(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func write(path, content string) error { return os.WriteFile(path, []byte(content), 0o600) }

// By polling alone, in a time of the test's own: what is told, and when.
func TestSettling(t *testing.T) {
	type step struct {
		after time.Duration
		what  string // the files a and b, "-" for one that isn't there
	}
	for _, test := range []struct {
		name  string
		steps []step
		want  []string
	}{
		{"nothing happens", nil, []string{"old|b"}},
		{"a change", []step{{0, "new|b"}}, []string{"old|b", "new|b"}},
		{"truncated, then written", []step{{0, "|b"}, {900 * time.Millisecond, "new|b"}}, []string{"old|b", "new|b"}},
		{
			"written in pieces, for longer than it takes to settle",
			[]step{{0, "|b"}, {700 * time.Millisecond, "n|b"}, {700 * time.Millisecond, "ne|b"}, {700 * time.Millisecond, "new|b"}},
			[]string{"old|b", "new|b"},
		},
		{"removed, then made again", []step{{0, "-|b"}, {900 * time.Millisecond, "new|b"}}, []string{"old|b", "new|b"}},
		{"both of a pair, one after the other", []step{{0, "new|b"}, {900 * time.Millisecond, "new|new"}}, []string{"old|b", "new|new"}},
		{"something else and back", []step{{0, "new|b"}, {500 * time.Millisecond, "old|b"}}, []string{"old|b"}},
		{
			"a pause that is too long shows a half", // it can't be told from a whole
			[]step{{0, "ne|b"}, {3 * time.Second, "new|b"}},
			[]string{"old|b", "ne|b", "new|b"},
		},
		{"gone for long, and the same again", []step{{0, "-|b"}, {time.Minute, "old|b"}}, []string{"old|b", "error: no such file or directory", "old|b"}},
		{"too large", []step{{0, "larger than it may be|b"}}, []string{"old|b", "error: larger than 10 bytes"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			paths := []string{filepath.Join(dir, "a"), filepath.Join(dir, "b")}
			set := func(what string) {
				for i, content := range strings.Split(what, "|") {
					if content == "-" {
						do(t, os.Remove(paths[i]))
					} else {
						do(t, write(paths[i], content))
					}
				}
			}
			synctest.Test(t, func(t *testing.T) {
				set("old|b")
				var got told
				l := newLoop([]Files{{Paths: paths, Limit: 10, Changed: got.changed}}, Poll)
				ctx, cancel := context.WithCancel(t.Context())
				var done sync.WaitGroup
				done.Go(func() { l.run(ctx) })
				time.Sleep(time.Minute)
				for _, s := range test.steps {
					time.Sleep(s.after)
					set(s.what)
					l.signal <- struct{}{} // as an event would
				}
				time.Sleep(2 * Settle)
				if diff := cmp.Diff(test.want, got.list()); diff != "" {
					t.Error(diff)
				}
				set("last|b")
				time.Sleep(Poll + 2*Settle)
				if got.last() != "last|b" {
					t.Errorf("by polling: %q", got.last())
				}
				cancel()
				done.Wait()
			})
		})
	}
}

// Everything by which files are replaced, on a real file system, noticed by its events alone.
func TestPatterns(t *testing.T) {
	patterns := []struct {
		name string
		// prepare makes the file that path is, holding "old"; replace makes it hold "new".
		prepare func(dir, path string) error
		replace func(dir, path string) error
	}{
		{
			"written in place", // truncated and written: cp, echo >, some editors
			func(_, path string) error { return write(path, "old") },
			func(_, path string) error { return write(path, "new") },
		},
		{
			"renamed over", // vim, sed -i, most programs that mean it well
			func(_, path string) error { return write(path, "old") },
			func(_, path string) error {
				return errors.Join(write(path+".tmp", "new"), os.Rename(path+".tmp", path))
			},
		},
		{
			"removed and made again",
			func(_, path string) error { return write(path, "old") },
			func(_, path string) error { return errors.Join(os.Remove(path), write(path, "new")) },
		},
		{
			"moved away, and made again", // editors that keep a copy
			func(_, path string) error { return write(path, "old") },
			func(_, path string) error { return errors.Join(os.Rename(path, path+"~"), write(path, "new")) },
		},
		{
			"a Kubernetes volume's swap",
			func(dir, path string) error { return volume(dir, path, "..2026_1", "old") },
			func(dir, path string) error {
				return errors.Join(volume(dir, path, "..2026_2", "new"), os.RemoveAll(filepath.Join(dir, "..2026_1")))
			},
		},
		{
			"a link to another file",
			func(dir, path string) error {
				return errors.Join(write(path+".1", "old"), write(path+".2", "new"), os.Symlink(path+".1", path))
			},
			func(dir, path string) error {
				return errors.Join(os.Symlink(path+".2", path+".tmp"), os.Rename(path+".tmp", path))
			},
		},
		{
			"written in place, behind a link",
			func(dir, path string) error {
				elsewhere := filepath.Join(dir, "elsewhere")
				return errors.Join(os.Mkdir(elsewhere, 0o700), write(filepath.Join(elsewhere, "real"), "old"), os.Symlink("elsewhere/real", path))
			},
			func(dir, _ string) error { return write(filepath.Join(dir, "elsewhere", "real"), "new") },
		},
	}
	// All at the same time, since each waits for what it shows to settle; every one has a loop of its own,
	// so that none is woken by another's events.
	all := make([]*started, len(patterns))
	dirs := make([]string, len(patterns))
	each := func(what string, do func(i int, dir, path string) error) {
		t.Helper()
		for i, p := range patterns {
			if err := do(i, dirs[i], filepath.Join(dirs[i], "secrets")); err != nil {
				t.Fatalf("%s: %v", p.name, err)
			}
		}
		for i, p := range patterns {
			if !poll.Holds(func() bool { return all[i].last() == what }) {
				t.Fatalf("%s: told %q, want %q", p.name, all[i].list(), what)
			}
		}
	}
	each("old", func(i int, _, _ string) error {
		dirs[i] = t.TempDir()
		path := filepath.Join(dirs[i], "secrets")
		err := patterns[i].prepare(dirs[i], path)
		all[i] = startLoop(t, path)
		return err
	})
	each("new", func(i int, dir, path string) error { return patterns[i].replace(dir, path) })
	for i, p := range patterns {
		if diff := cmp.Diff([]string{"old", "new"}, all[i].list()); diff != "" {
			t.Errorf("%s: something between was shown: %s", p.name, diff)
		}
	}
	// And once more: nothing has lost sight of its file.
	each("newer", func(_ int, _, path string) error { return errors.Join(os.Remove(path), write(path, "newer")) })
}

// volume does to a directory what kubelet does to a secret's volume: the files of a version are in a
// directory of their own, ..data leads to it, and each file's name leads into ..data.
func volume(dir, path, version, content string) error {
	name := filepath.Base(path)
	err := errors.Join(os.Mkdir(filepath.Join(dir, version), 0o700), write(filepath.Join(dir, version, name), content),
		os.Symlink(version, filepath.Join(dir, "..data_tmp")), os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	if _, missing := os.Lstat(path); missing != nil {
		err = errors.Join(err, os.Symlink("..data/"+name, path))
	}
	return err
}

// A directory that is removed and made again is watched anew at the next look.
func TestDirectoryMadeAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "volume")
	path := filepath.Join(dir, "secrets")
	do(t, os.Mkdir(dir, 0o700), write(path, "old"))
	got := startLoop(t, path)
	got.await(t, "old")
	do(t, os.RemoveAll(dir))
	got.await(t, "error: no such file or directory")
	do(t, os.Mkdir(dir, 0o700), write(path, "new"))
	got.ring <- struct{}{}
	got.await(t, "new")
	do(t, write(path, "newer"))
	got.await(t, "newer")
}

// Two that watch one file are told both, and a file of its own that changes concerns nobody else.
func TestSeveral(t *testing.T) {
	dir := t.TempDir()
	one, other := filepath.Join(dir, "one"), filepath.Join(dir, "other")
	do(t, write(one, "1"), write(other, "1"))
	var a, b, c told
	w := Start([]Files{
		{Paths: []string{one}, Limit: 10, Changed: a.changed},
		{Paths: []string{one}, Limit: 10, Changed: b.changed},
		{Paths: []string{other}, Limit: 10, Changed: c.changed},
	}, zap.NewNop())
	defer w.Close()
	poll.Until(t, "all are told 1", func() bool { return a.last() == "1" && b.last() == "1" && c.last() == "1" })
	do(t, write(one, "2"))
	poll.Until(t, "both are told 2", func() bool { return a.last() == "2" && b.last() == "2" })
	if diff := cmp.Diff([]string{"1"}, c.list()); diff != "" {
		t.Error(diff)
	}
}

// Where the kernel gives no events the log says so, and polling goes on.
func TestNoEvents(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secrets")
	do(t, write(path, "old"))
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.DebugLevel)
		var got told
		w := start([]Files{{Paths: []string{path}, Limit: 10, Changed: got.changed}}, zap.New(core), func(chan<- struct{}) (*notifier, error) {
			return nil, errors.New("too many open files")
		})
		defer w.Close()
		time.Sleep(2 * Settle)
		do(t, write(path, "new"))
		time.Sleep(Poll + 2*Settle)
		if diff := cmp.Diff([]string{"old", "new"}, got.list()); diff != "" {
			t.Error(diff)
		}
		if logs.FilterMessageSnippet("by polling").Len() != 1 {
			t.Errorf("%v", logs.All())
		}
	})
}

// started is a loop that never polls.
type started struct {
	told
	ring chan<- struct{}
}

func startLoop(t *testing.T, path string) *started {
	t.Helper()
	got := &started{}
	l := newLoop([]Files{{Paths: []string{path}, Limit: 10, Changed: got.changed}}, never)
	notifier, err := newNotifier(l.signal)
	if err != nil {
		t.Fatal(err)
	}
	l.notifier, got.ring = notifier, l.signal
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	done.Go(func() { l.run(ctx) })
	t.Cleanup(func() {
		cancel()
		done.Wait()
	})
	return got
}

func (s *started) await(t *testing.T, content string) {
	t.Helper()
	defer func() {
		if t.Failed() {
			t.Logf("told %q, want %q", s.list(), content)
		}
	}()
	poll.Until(t, content, func() bool { return s.last() == content })
}
