package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ade15e70/webhook-bridge/internal/verify/providers"
)

// TestMain lets this binary run as the program: a script that calls bridge starts a process of its
// own with the same main as the released one.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"bridge": func() {
			// A process that should have ended fails its script, and is killed with it.
			time.AfterFunc(5*bound, func() { panic("bridge is still running; the test's time is up") })
			os.Exit(Main())
		},
		"environ": environ,
	})
}

// TestScripts runs testdata/*.txtar. Scripts have only the variables that they set, and the right
// delivery of testdata/verify with its diagnosis.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			var secrets []string
			for _, p := range providers.All {
				secrets = append(secrets, p.Variable("SECRETS"))
			}
			env.Setenv("SECRETS", strings.Join(secrets, " or "))
			accounts, err := filepath.Abs("../../deploy/nats/accounts.conf")
			if err != nil {
				return err
			}
			env.Setenv("ACCOUNTS", accounts)
			env.Values[processesKey{}] = processes{}
			if err := os.CopyFS(env.WorkDir, os.DirFS("testdata/verify")); err != nil {
				return err
			}
			if os.Getenv("GORACE") == "" { // under -race every process would wait a second before it ends
				env.Setenv("GORACE", "atexit_sleep_ms=10")
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status":        status,
			"start":         start,
			"await":         await,
			"capture":       captureVariable,
			"signal":        signalProcess,
			"ended":         ended,
			"bridge-up":     bridgeUp,
			"listening":     listening,
			"reserve":       reserve,
			"paste":         paste,
			"fetch":         fetch,
			"leftover":      leftover,
			"occupy":        occupy,
			"stored":        stored,
			"settled":       settled,
			"delete-stream": deleteStream,
			"logs":          logs,
			"certificate":   certificate,
			"hook":          hook,
			"explain":       explain,
		},
	})
}
