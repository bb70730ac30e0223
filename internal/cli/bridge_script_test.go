package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/ade15e70/webhook-bridge/test/poll"
	"github.com/ade15e70/webhook-bridge/test/process"
	"github.com/ade15e70/webhook-bridge/test/tlstest"
)

// bridgeUp starts `bridge serve` in the background on free ports, with these variables besides the
// script's, and waits until it listens. If the script has set no secrets, it sets two.
func bridgeUp(ts *testscript.TestScript, neg bool, args []string) {
	checkUsage(ts, !neg && len(args) > 0, "bridge-up NAME [VARIABLE=value...]")
	vars := []string{
		"HTTP_ADDR=127.0.0.1:0", "ADMIN_ADDR=127.0.0.1:0", "EMBEDDED_NATS_ADDR=127.0.0.1:0",
		"PUBLISH_TIMEOUT=30s", // else, if the disk stalls, an event is spooled instead of stored
	}
	if ts.Getenv("FLOCK_SECRETS")+ts.Getenv("FRIGADE_SECRETS") == "" {
		ts.Setenv("FLOCK_SECRETS", "flock-secret")
		ts.Setenv("FRIGADE_SECRETS", "frigade-secret")
	}
	launch(ts, args[0], append(vars, args[1:]...), []string{"bridge", "serve"})
	server := ts.Getenv("NATS_URL")
	for _, assignment := range args[1:] {
		if url, ok := strings.CutPrefix(assignment, "NATS_URL="); ok {
			server = url
		}
	}
	awaitListening(ts, args[0], server == "")
	if server == "" && !slices.Contains(args, "QUARANTINE=false") {
		awaitMatch(ts, args[0]+".err", quarantineReady)
	}
}

var (
	listens         = regexp.MustCompile(`(?m)^\{.*"message":"listening","public":"([^"]+)","admin":"([^"]+)"`)
	streamReady     = regexp.MustCompile(`"message":"stream is ready","stream":"WEBHOOKS"`)
	quarantineReady = regexp.MustCompile(`"message":"stream is ready","stream":"WEBHOOKS_QUARANTINE"`)
	connected       = regexp.MustCompile(`"message":"connected to NATS","server":"(?:nats://)?([^"]+)"`)
)

// listening waits until a bridge that start has started listens.
func listening(ts *testscript.TestScript, neg bool, args []string) {
	checkUsage(ts, !neg && len(args) == 1, "listening NAME")
	awaitListening(ts, args[0], ts.Getenv("NATS_URL") == "")
}

// awaitListening sets $URL, $PUBLIC and $ADMIN to the bridge's addresses, and with the embedded
// server also $NATS_URL.
func awaitListening(ts *testscript.TestScript, name string, embedded bool) {
	log := name + ".err"
	addresses := awaitMatch(ts, log, listens)
	ts.Setenv("PUBLIC", addresses[1])
	ts.Setenv("URL", "http://"+addresses[1])
	ts.Setenv("ADMIN", addresses[2])
	if embedded {
		ts.Setenv("NATS_URL", "nats://"+awaitMatch(ts, log, connected)[1])
		awaitMatch(ts, log, streamReady) // until then it spools
	}
}

// reserve sets a variable to an address where nothing listens, for a server that must come back at
// the same address.
func reserve(ts *testscript.TestScript, neg bool, args []string) {
	checkUsage(ts, !neg && len(args) == 1, "reserve VARIABLE")
	addrs, err := process.FreeAddrs(1)
	ts.Check(err)
	ts.Setenv(args[0], addrs[0])
}

// paste runs the one line of a file that contains a text, as if somebody pasted it into a terminal.
// It runs curl's lines without curl, which not every machine has. With a name, the program runs in
// the background.
func paste(ts *testscript.TestScript, neg bool, args []string) {
	checkUsage(ts, !neg && (len(args) == 2 || len(args) == 3), "paste FILE TEXT [NAME]")
	line := lineWith(ts, args[0], args[1])
	words := shellWords(line)
	for len(words) > 0 && assignment.MatchString(words[0]) {
		name, value, _ := strings.Cut(words[0], "=")
		defer ts.Setenv(name, ts.Getenv(name))
		ts.Setenv(name, value)
		words = words[1:]
	}
	switch {
	case len(words) < 2:
		ts.Fatalf("not a command: %q", line)
	case words[0] == "curl":
		curl(ts, words[1:])
	case len(args) == 3:
		launch(ts, args[2], nil, words)
	default:
		ts.Check(ts.Exec(words[0], words[1:]...))
	}
}

var assignment = regexp.MustCompile(`^[A-Z0-9_]+=`)

// fetch gets the URL in the one line of a file that contains a text.
func fetch(ts *testscript.TestScript, neg bool, args []string) {
	checkUsage(ts, !neg && len(args) == 2, "fetch FILE TEXT")
	curl(ts, []string{regexp.MustCompile(`http://\S+`).FindString(lineWith(ts, args[0], args[1]))})
}

// lineWith returns the one line of a file that contains a text.
func lineWith(ts *testscript.TestScript, file, text string) string {
	var found []string
	for line := range strings.Lines(ts.ReadFile(file)) {
		if strings.Contains(line, text) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	if len(found) != 1 {
		ts.Fatalf("%d lines of %s have %q, want one", len(found), file, text)
	}
	ts.Logf("%s", found[0])
	return found[0]
}

// leftover expects N files that match the pattern in the directory for temporary files.
func leftover(ts *testscript.TestScript, neg bool, args []string) {
	checkUsage(ts, !neg && len(args) == 2, "leftover PATTERN N")
	files, err := filepath.Glob(filepath.Join(ts.Getenv("TMPDIR"), args[0]))
	ts.Check(err)
	if strconv.Itoa(len(files)) != args[1] {
		ts.Fatalf("there are %d: %q", len(files), files)
	}
}

// shellWords splits a line at blanks, except within single quotes, as a shell does.
func shellWords(line string) []string {
	var words []string
	var word strings.Builder
	quoted, begun := false, false
	for _, c := range line {
		switch {
		case c == '\'':
			quoted, begun = !quoted, true
		case c == ' ' && !quoted:
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteRune(c)
			begun = true
		}
	}
	if begun {
		words = append(words, word.String())
	}
	return words
}

// curl does the same as curl with -i, -H and -d.
func curl(ts *testscript.TestScript, args []string) {
	method, url, body := http.MethodGet, "", ""
	header := http.Header{"Accept": {"*/*"}, "User-Agent": {"curl/8.5.0"}}
	for i := 0; i < len(args); i++ {
		switch arg := args[i]; {
		case arg == "-i":
		case (arg == "-H" || arg == "-d") && i+1 < len(args):
			i++
			if arg == "-H" {
				name, value, _ := strings.Cut(args[i], ":")
				header.Set(name, strings.TrimSpace(value))
				continue
			}
			method, body = http.MethodPost, args[i]
			header.Set("Content-Type", "application/x-www-form-urlencoded")
		case !strings.HasPrefix(arg, "-") && url == "":
			url = arg
		default:
			ts.Fatalf("curl: can't do %q", arg)
		}
	}
	request, err := http.NewRequest(method, url, strings.NewReader(body))
	ts.Check(err)
	request.Header = header
	response, err := http.DefaultClient.Do(request)
	ts.Check(err)
	defer response.Body.Close()
	fmt.Fprintf(ts.Stdout(), "%s %s\n", response.Proto, response.Status)
	ts.Check(response.Header.Write(ts.Stdout()))
	fmt.Fprintln(ts.Stdout())
	_, err = io.Copy(ts.Stdout(), response.Body)
	ts.Check(err)
}

// occupy listens on an address until the script ends, and sets the variable to it. The address may be in
// use by another process already.
func occupy(ts *testscript.TestScript, neg bool, args []string) {
	checkUsage(ts, !neg && len(args) == 2, "occupy VARIABLE ADDRESS")
	address := args[1]
	if listener, err := net.Listen("tcp", address); err == nil {
		ts.Defer(func() { listener.Close() })
		address = listener.Addr().String()
	} else if strings.HasSuffix(address, ":0") {
		ts.Fatalf("%v", err)
	}
	ts.Setenv(args[0], address)
}

// stored writes the stream's payloads to a file, one a line, once there are at least n messages.
func stored(ts *testscript.TestScript, neg bool, args []string) {
	checkUsage(ts, !neg && (len(args) == 1 || len(args) == 2), "stored FILE [N]")
	least := 0
	if len(args) == 2 {
		var err error
		least, err = strconv.Atoi(args[1])
		ts.Check(err)
	}
	js, closeNATS := jetStream(ts)
	defer closeNATS()
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	var stream jetstream.Stream
	var err error
	if !poll.Holds(func() bool {
		stream, err = js.Stream(ctx, "WEBHOOKS")
		ts.Check(err)
		return stream.CachedInfo().State.Msgs >= uint64(least)
	}) {
		ts.Fatalf("the stream has %d messages, not %d", stream.CachedInfo().State.Msgs, least)
	}
	state := stream.CachedInfo().State
	var all bytes.Buffer
	for seq := state.FirstSeq; seq <= state.LastSeq && seq > 0; seq++ {
		message, err := stream.GetMsg(ctx, seq)
		ts.Check(err)
		fmt.Fprintf(&all, "%s\n", message.Data)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), all.Bytes(), 0o600))
}

// deleteStream deletes the stream.
func deleteStream(ts *testscript.TestScript, neg bool, args []string) {
	checkUsage(ts, !neg && len(args) == 0, "delete-stream")
	js, closeNATS := jetStream(ts)
	defer closeNATS()
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	ts.Check(js.DeleteStream(ctx, "WEBHOOKS"))
}

// jetStream connects to $NATS_URL.
func jetStream(ts *testscript.TestScript) (js jetstream.JetStream, closeNATS func()) {
	nc, err := nats.Connect(ts.Getenv("NATS_URL"), nats.Timeout(bound))
	ts.Check(err)
	js, err = jetstream.New(nc)
	ts.Check(err)
	return js, nc.Close
}

// logs expects every line of a file to be a JSON object with level, time and message.
func logs(ts *testscript.TestScript, neg bool, args []string) {
	checkUsage(ts, !neg && len(args) == 1, "logs FILE")
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		var entry struct{ Level, Time, Message string }
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Level == "" || entry.Time == "" || entry.Message == "" {
			ts.Fatalf("not a line of the log: %s", line)
		}
	}
}

// certificate makes NAME.crt and NAME.key, a self-signed certificate for that host.
func certificate(ts *testscript.TestScript, neg bool, args []string) {
	checkUsage(ts, !neg && len(args) == 2, "certificate NAME HOST")
	cert, key, err := tlstest.PEM(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".crt"), cert, 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".key"), key, 0o600))
}

// explain runs `bridge verify` on a delivery, received at 03:04:10 unless --at is given. It expects
// that exit status, the output that NAME.want describes, unless NAME is -, and none of the secrets.
//
// The delivery is NAME.txt where there is such a file, else right.txt with the given parts instead of
// its own: the request line, headers, the body. A header without a value is left out.
func explain(ts *testscript.TestScript, neg bool, args []string) {
	checkUsage(ts, !neg && len(args) > 1, "explain STATUS NAME [ENDPOINT] [--at=TIME] [VARIABLE=value...] [PART...]")
	name := args[1]
	vars := map[string]string{
		"FLOCK_SECRETS": "flock-secret-0123456789abcdef", "FRIGADE_SECRETS": "frigade-secret-0123456789abcdef",
	}
	verify := []string{"bridge", "verify", "--at=2026-01-02T03:04:10Z"}
	var parts []string
	for _, arg := range args[2:] {
		switch {
		case arg == "--at=": // no time
			verify = slices.DeleteFunc(verify, func(arg string) bool { return strings.HasPrefix(arg, "--at=") })
		case option.MatchString(arg):
			verify = append(verify, arg)
		case assignment.MatchString(arg):
			variable, value, _ := strings.Cut(arg, "=")
			vars[variable] = value
		default:
			parts = append(parts, arg)
		}
	}
	file := name + ".txt"
	if _, err := os.Stat(ts.MkAbs(file)); err != nil || len(parts) > 0 {
		file = "delivery.txt"
		ts.Check(os.WriteFile(ts.MkAbs(file), []byte(withParts(ts.ReadFile("right.txt"), parts)), 0o600))
	}
	command := []string{args[0], "env"}
	for variable, value := range vars {
		command = append(command, variable+"="+value)
	}
	status(ts, false, append(append(command, verify...), file))
	got := ts.ReadFile("stdout")
	if name != "-" {
		want := likeRight(ts.ReadFile(name+".want"), ts.ReadFile("right.want"))
		if diff := cmp.Diff(want, got); diff != "" {
			ts.Fatalf("%s (-want +got):\n%s", name, diff)
		}
	}
	for variable, value := range vars {
		if strings.HasSuffix(variable, "_SECRETS") && strings.Contains(got, value) {
			ts.Fatalf("%s is shown in the output", variable)
		}
	}
}

var (
	option      = regexp.MustCompile(`^(--.*|[a-z-]+)$`)
	requestLine = regexp.MustCompile(`^[A-Z]+ \S+ HTTP/`)
	headerLine  = regexp.MustCompile(`^[A-Za-z_ -]+:`)
)

// withParts returns a delivery with these parts instead of its own.
func withParts(delivery string, parts []string) string {
	head, body, _ := strings.Cut(delivery, "\n\n")
	lines := strings.Split(head, "\n")
	for _, part := range parts {
		switch name := headerLine.FindString(part); {
		case requestLine.MatchString(part):
			lines[0] = part
		case name != "":
			own := func(line string) bool { return strings.HasPrefix(line, name) && strings.Contains(head, line) }
			lines = slices.DeleteFunc(lines, own)
			if part != name {
				lines = append(lines, part)
			}
		default:
			body = part + "\n"
		}
	}
	return strings.Join(lines, "\n") + "\n\n" + body
}

// likeRight completes a wanted output, which lists only the lines that differ from the output for the
// right delivery. Each label that is missing above the answer gets the lines from there, and the label
// signed only if the body is the right one, too.
func likeRight(output, right string) string {
	own, rest := beforeAnswer(output)
	usual, _ := beforeAnswer(right)
	if own["body"] == "" && own["signed"] == "" {
		own["signed"] = usual["signed"]
	}
	var all strings.Builder
	for _, label := range []string{"request", "note", "endpoint", "body", "signature", "signed"} {
		text := own[label]
		if text == "" && label != "signed" {
			text = usual[label]
		}
		all.WriteString(text)
	}
	return all.String() + rest
}

// beforeAnswer returns the lines before the answer by their label, and the rest.
func beforeAnswer(output string) (lines map[string]string, rest string) {
	head, rest, _ := strings.Cut(output, "answer ")
	lines = make(map[string]string)
	for line := range strings.Lines(head) {
		label, _, _ := strings.Cut(line, " ")
		lines[label] += line
	}
	return lines, "answer " + rest
}
