package fileio

import (
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

	"go.uber.org/goleak"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// told holds the calls of Changed in order.
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

func do(t *testing.T, errs ...error) {
	t.Helper()
	expect.NoError(t, errors.Join(errs...))
}

func write(path, content string) error { return os.WriteFile(path, []byte(content), 0o600) }

// A change is reported once it has settled.
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
				go Watch(t.Context(), []Set{{Paths: paths, Limit: 10, Changed: got.changed}})
				time.Sleep(time.Minute)
				for _, s := range test.steps {
					time.Sleep(s.after)
					set(s.what)
				}
				time.Sleep(settle + 2*poll)
				expect.Equal(t, test.want, got.list(), "the reported changes")
			})
		})
	}
}

// A change is noticed however the file is replaced.
func TestPatterns(t *testing.T) {
	patterns := []struct {
		name string
		// prepare creates the file at path with the content "old"; replace changes it to "new".
		prepare func(dir, path string) error
		replace func(dir, path string) error
	}{
		{
			"written in place", // truncated and written: cp, echo >, some editors
			func(_, path string) error { return write(path, "old") },
			func(_, path string) error { return write(path, "new") },
		},
		{
			"renamed over", // vim, sed -i, most careful programs
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
	for _, p := range patterns {
		t.Run(p.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "secrets")
			do(t, p.prepare(dir, path))
			synctest.Test(t, func(t *testing.T) {
				var got told
				go Watch(t.Context(), []Set{{Paths: []string{path}, Limit: 10, Changed: got.changed}})
				time.Sleep(time.Minute)
				do(t, p.replace(dir, path))
				time.Sleep(time.Minute)
				do(t, os.Remove(path), write(path, "newer")) // the watch still follows the path
				time.Sleep(time.Minute)
				expect.Equal(t, []string{"old", "new", "newer"}, got.list(), "the reported changes")
			})
		})
	}
}

// volume updates a directory as kubelet updates a secret's volume: each version has a directory,
// ..data links to it, and each file's name links into ..data.
func volume(dir, path, version, content string) error {
	name := filepath.Base(path)
	err := errors.Join(os.Mkdir(filepath.Join(dir, version), 0o700), write(filepath.Join(dir, version, name), content),
		os.Symlink(version, filepath.Join(dir, "..data_tmp")), os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	if _, missing := os.Lstat(path); missing != nil {
		err = errors.Join(err, os.Symlink("..data/"+name, path))
	}
	return err
}

// A directory that is removed and created again is watched as before.
func TestDirectoryMadeAgain(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "volume")
	path := filepath.Join(dir, "secrets")
	do(t, os.Mkdir(dir, 0o700), write(path, "old"))
	synctest.Test(t, func(t *testing.T) {
		var got told
		go Watch(t.Context(), []Set{{Paths: []string{path}, Limit: 10, Changed: got.changed}})
		time.Sleep(time.Minute)
		do(t, os.RemoveAll(dir))
		time.Sleep(time.Minute)
		do(t, os.Mkdir(dir, 0o700), write(path, "new"))
		time.Sleep(time.Minute)
		expect.Equal(t, []string{"old", "error: no such file or directory", "new"}, got.list(), "the reported changes")
	})
}

// Two watches of one file are both called, and a watch of another file isn't.
func TestSeveral(t *testing.T) {
	dir := t.TempDir()
	one, other := filepath.Join(dir, "one"), filepath.Join(dir, "other")
	do(t, write(one, "1"), write(other, "1"))
	synctest.Test(t, func(t *testing.T) {
		var a, b, c told
		go Watch(t.Context(), []Set{
			{Paths: []string{one}, Limit: 10, Changed: a.changed},
			{Paths: []string{one}, Limit: 10, Changed: b.changed},
			{Paths: []string{other}, Limit: 10, Changed: c.changed},
		})
		time.Sleep(time.Minute)
		do(t, write(one, "2"))
		time.Sleep(time.Minute)
		got := [][]string{a.list(), b.list(), c.list()}
		expect.Equal(t, [][]string{{"1", "2"}, {"1", "2"}, {"1"}}, got, "the reported changes")
	})
}
