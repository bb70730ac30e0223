package docs_test

import (
	"bufio"
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// placement says how it is known that a command does what its document says.
type placement struct {
	how, where string // as in docs/commands.txt
	commands   []string
}

// readPlacements reads docs/commands.txt, which says itself how it is written.
func readPlacements(t *testing.T) map[string][]placement {
	t.Helper()
	file, err := os.Open("commands.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	all, document := map[string][]placement{}, ""
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		line := lines.Text()
		last := len(all[document]) - 1
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "["):
			document = strings.Trim(line, "[]")
			all[document] = nil
		case !strings.HasPrefix(line, "    "):
			how, where, _ := strings.Cut(line, " ")
			all[document] = append(all[document], placement{how: how, where: where})
		case last < 0:
			t.Fatalf("commands.txt: %q comes before how it is known", line)
		default:
			all[document][last].commands = append(all[document][last].commands, strings.TrimSpace(line))
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// In an indented block a line is a command if it begins with $, or where no line of the block does,
// with one of these. In a block fenced as sh every line is one.
var (
	program = regexp.MustCompile(`^([A-Z_]+=\S* )*(bridge|\./bridge|go|git|nats|make|npm|npx|node|curl|kubectl|docker|helm|kustomize|promtool|prometheus|export|for|cd|sqlite3|psql|apt-get|sudo|systemctl|jq|kill|\.ci/\w+)( |$)`)
	comment = regexp.MustCompile(`(^|\s+)# .*$`)
)

// commandsIn returns the commands that a document shows.
func commandsIn(markdown string) (commands []string) {
	var block []string
	fenced, shell := false, false
	end := func() {
		prompts := slices.ContainsFunc(block, func(line string) bool { return strings.HasPrefix(line, "$ ") })
		continued := ""
		for _, line := range block {
			line, prompted := strings.CutPrefix(line, "$ ")
			if continued == "" && !prompted && (prompts || !shell && !program.MatchString(line)) {
				continue
			}
			line = continued + strings.TrimSpace(comment.ReplaceAllString(line, ""))
			if before, more := strings.CutSuffix(line, `\`); more {
				continued = before
				continue
			}
			continued = ""
			if line != "" && !slices.Contains(commands, line) {
				commands = append(commands, line)
			}
		}
		block = nil
	}
	for line := range strings.Lines(markdown) {
		line = strings.TrimRight(line, "\r\n")
		text, indented := strings.CutPrefix(line, "    ")
		fence, isFence := strings.CutPrefix(strings.TrimSpace(line), "```")
		switch {
		case isFence && fenced:
			if shell {
				end()
			}
			fenced, shell, block = false, false, nil
		case isFence:
			end()
			fenced, shell = true, slices.Contains([]string{"sh", "bash", "shell", "console"}, fence)
		case fenced:
			block = append(block, strings.TrimSpace(line))
		case indented:
			block = append(block, strings.TrimSpace(text))
		case line == "":
		default:
			end()
		}
	}
	end()
	return commands
}

// Every command that a document shows is placed in commands.txt, and nothing is that isn't shown.
func TestEveryCommandIsPlaced(t *testing.T) {
	for document, placements := range readPlacements(t) {
		t.Run(document, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("..", document))
			if err != nil {
				t.Fatal(err)
			}
			var placed []string
			for _, p := range placements {
				placed = append(placed, p.commands...)
				if err := p.check(); err != nil {
					t.Errorf("commands.txt: %s %s: %v", p.how, p.where, err)
				}
			}
			shown := commandsIn(string(text))
			slices.Sort(shown)
			slices.Sort(placed)
			if diff := cmp.Diff(placed, shown); diff != "" {
				t.Errorf("docs/commands.txt must say how it is known that these work (-placed +shown):\n%s", diff)
			}
		})
	}
}

// check looks whether a placement is what it can be.
func (p placement) check() error {
	switch p.how {
	case "run":
		if p.where != "" && p.where != "1" && p.where != "2" {
			return fmt.Errorf("an exit status is 1 or 2")
		}
	case "hand":
		day, err := time.Parse(time.DateOnly, p.where)
		if err == nil && day.After(time.Now().Add(24*time.Hour)) {
			err = fmt.Errorf("that day is still to come")
		}
		return err
	case "test":
		name, text, _ := strings.Cut(p.where, ": ")
		file, err := os.ReadFile(filepath.Join("..", name))
		if err == nil && !bytes.Contains(file, []byte(text)) {
			err = fmt.Errorf("%s doesn't have %q", name, text)
		}
		return err
	case "elsewhere":
		if p.where == "" {
			return fmt.Errorf("it must say what it needs")
		}
	default:
		return fmt.Errorf("it is one of run, test, hand and elsewhere")
	}
	return nil
}

// The commands that are to be run are, document by document, by one shell, beside a bridge.
func TestRunCommands(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("go", "build", "-C", "..", "-o", filepath.Join(dir, "bridge"), "./cmd/bridge").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	environ := append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "HTTP_ADDR="+serveIn(t, dir), "FLOCK_SECRETS=whsec-flock")
	placements := readPlacements(t)
	for _, document := range slices.Sorted(maps.Keys(placements)) {
		t.Run(document, func(t *testing.T) {
			var script strings.Builder
			for _, p := range placements[document] {
				if p.how != "run" {
					continue
				}
				status := p.where
				if status == "" {
					status = "0"
				}
				for _, command := range p.commands {
					fmt.Fprintf(&script, "%s\nstatus=$?; [ $status = %s ] || { echo \"exit status $status\" >&2; exit 9; }\n", command, status)
				}
			}
			shell := exec.Command("bash", "-xc", script.String())
			shell.Dir, shell.Env = dir, environ
			if out, err := shell.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
		})
	}
}

// serveIn runs a bridge until the test ends, and returns where it listens. It has the secrets that
// the documents show, the … that stands for one among them.
func serveIn(t *testing.T, dir string) string {
	t.Helper()
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close() // the process has its own
	cmd := exec.Command(filepath.Join(dir, "bridge"), "serve")
	cmd.Env = append(os.Environ(), "FLOCK_SECRETS=whsec-flock,…", "FRIGADE_SECRETS=whsec-frigade,…", "NATS_URL=",
		"HTTP_ADDR=127.0.0.1:0", "ADMIN_ADDR=127.0.0.1:0", "EMBEDDED_NATS_ADDR=127.0.0.1:0", "DATA_DIR="+filepath.Join(dir, "data"))
	cmd.Stderr = log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	listens := regexp.MustCompile(`"message":"listening","public":"([^"]+)"`)
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		text, err := os.ReadFile(log.Name())
		if err != nil {
			t.Fatal(err)
		}
		if found := listens.FindSubmatch(text); found != nil {
			return string(found[1])
		}
	}
	t.Fatal("the bridge doesn't listen")
	return ""
}
