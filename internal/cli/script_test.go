package cli

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ade15e70/webhook-bridge/test/poll"
)

// These are the scripts' commands besides testscript's own. None sleeps; each waits for a
// condition, for [poll.Bound] at most.

const bound = poll.Bound

// processes has a script's background processes by name.
type processes map[string]*background

type processesKey struct{}

func running(ts *testscript.TestScript) processes { return ts.Value(processesKey{}).(processes) }

type background struct {
	cmd     *exec.Cmd
	outputs []string      // files: standard output, standard error
	done    chan struct{} // closed when it has ended
}

// checkUsage fails the script if the command is used wrongly.
func checkUsage(ts *testscript.TestScript, isRight bool, usage string) {
	if !isRight {
		ts.Fatalf("usage: %s", usage)
	}
}

// status runs a program and expects that exit status. If it is 2, which means wrong use, it expects nothing
// on standard output.
func status(ts *testscript.TestScript, neg bool, args []string) {
	checkUsage(ts, !neg && len(args) > 1, "status N program [args...]")
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = endOf(exit.ProcessState)
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if got != args[0] {
		ts.Fatalf("exit status %s, want %s", got, args[0])
	}
	if out := ts.ReadFile("stdout"); got == "2" && out != "" {
		ts.Fatalf("exit status 2 with something on standard output: %s", out)
	}
}

// endOf returns how a process ended: its exit status, or the signal that killed it.
func endOf(state *os.ProcessState) string {
	if wait, ok := state.Sys().(syscall.WaitStatus); ok && wait.Signaled() {
		return wait.Signal().String()
	}
	return strconv.Itoa(state.ExitCode())
}

// start starts a program in the background. Its outputs go to the files NAME.out and NAME.err.
func start(ts *testscript.TestScript, neg bool, args []string) {
	checkUsage(ts, !neg && len(args) > 1, "start NAME program [args...]")
	launch(ts, args[0], nil, args[1:])
}

// launch starts a program with variables besides the script's.
func launch(ts *testscript.TestScript, name string, vars, command []string) {
	all := running(ts)
	if old := all[name]; old != nil {
		select {
		case <-old.done:
		default:
			ts.Fatalf("%s runs already", name)
		}
	}
	environment := append(environOf(ts), vars...)
	program, err := exec.LookPath(command[0])
	ts.Check(err)
	p := &background{cmd: exec.Command(program, command[1:]...), done: make(chan struct{})}
	p.cmd.Args[0] = command[0]
	p.cmd.Dir = ts.MkAbs(".")
	p.cmd.Env = environment
	for _, output := range []struct {
		suffix string
		set    func(*os.File)
	}{
		{".out", func(f *os.File) { p.cmd.Stdout = f }},
		{".err", func(f *os.File) { p.cmd.Stderr = f }},
	} {
		file, err := os.Create(ts.MkAbs(name + output.suffix))
		ts.Check(err)
		defer file.Close() // the process has its own
		output.set(file)
		p.outputs = append(p.outputs, file.Name())
	}
	ts.Check(p.cmd.Start())
	go func() {
		defer close(p.done)
		_ = p.cmd.Wait() // ended looks at how
	}()
	all[name] = p
	ts.Defer(func() {
		_ = p.cmd.Process.Kill()
		<-p.done
	})
}

// environOf returns the script's environment. testscript gives it only to programs, such as environ.
func environOf(ts *testscript.TestScript) []string {
	file := filepath.Join(ts.Getenv("TMPDIR"), "environ")
	ts.Check(ts.Exec("environ", file))
	return strings.Split(ts.ReadFile(file), "\x00")
}

// environ is a program that writes its environment to a file.
func environ() {
	if err := os.WriteFile(os.Args[1], []byte(strings.Join(os.Environ(), "\x00")), 0o600); err != nil {
		panic(err)
	}
}

// await waits until a file matches a pattern, or fails when the process that writes it ends before.
func await(ts *testscript.TestScript, neg bool, args []string) {
	checkUsage(ts, !neg && len(args) == 2, "await FILE PATTERN")
	pattern, err := regexp.Compile("(?m)" + args[1])
	ts.Check(err)
	awaitMatch(ts, args[0], pattern)
}

func awaitMatch(ts *testscript.TestScript, file string, pattern *regexp.Regexp) []string {
	name, _, _ := strings.Cut(file, ".")
	writer := running(ts)[name]
	if writer == nil {
		ts.Fatalf("no process %s was started", name)
	}
	var found []string
	over := false
	poll.Holds(func() bool {
		select {
		case <-writer.done:
			over = true // and has written all
		default:
		}
		found = pattern.FindStringSubmatch(ts.ReadFile(file))
		return found != nil || over
	})
	if found == nil {
		state := "runs on"
		if over {
			state = "has ended with " + endOf(writer.cmd.ProcessState)
		}
		writer.fail(ts, fmt.Sprintf("%s does not match %#q, and %s %s", file, pattern, name, state))
	}
	return found
}

// captureVariable sets a variable to what the pattern's group matches in a file.
func captureVariable(ts *testscript.TestScript, neg bool, args []string) {
	checkUsage(ts, !neg && len(args) == 3, "capture VARIABLE FILE PATTERN")
	pattern, err := regexp.Compile("(?m)" + args[2])
	ts.Check(err)
	found := pattern.FindStringSubmatch(ts.ReadFile(args[1]))
	if len(found) != 2 {
		ts.Fatalf("%s does not match %#q with one group", args[1], pattern)
	}
	ts.Setenv(args[0], found[1])
}

// fail fails the script and shows what the process printed.
func (p *background) fail(ts *testscript.TestScript, why string) {
	for _, output := range p.outputs {
		ts.Logf("[%s]\n%s", output, ts.ReadFile(output))
	}
	ts.Fatalf("%s", why)
}

// signalProcess sends a signal to a background process. With a status, it waits until the process has ended
// with it.
func signalProcess(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]os.Signal{"TERM": syscall.SIGTERM, "INT": os.Interrupt, "KILL": os.Kill, "HUP": syscall.SIGHUP}
	checkUsage(ts, !neg && (len(args) == 2 || len(args) == 3) && signals[args[1]] != nil, "signal NAME TERM|INT|KILL|HUP [STATUS]")
	p := running(ts)[args[0]]
	if p == nil {
		ts.Fatalf("no process %s was started", args[0])
	}
	ts.Check(p.cmd.Process.Signal(signals[args[1]]))
	if len(args) == 3 {
		ended(ts, false, []string{args[0], args[2]})
	}
}

// ended waits until a background process has ended, and expects that exit status, or the name of
// the signal that killed it.
func ended(ts *testscript.TestScript, neg bool, args []string) {
	checkUsage(ts, !neg && len(args) == 2, "ended NAME STATUS")
	p := running(ts)[args[0]]
	if p == nil {
		ts.Fatalf("no process %s was started", args[0])
	}
	select {
	case <-p.done:
	case <-time.After(bound):
		p.fail(ts, args[0]+" does not end")
	}
	if got := endOf(p.cmd.ProcessState); got != args[1] {
		p.fail(ts, fmt.Sprintf("%s ended with %s, want %s", args[0], got, args[1]))
	}
}
