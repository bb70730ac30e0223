package diagnosis

import (
	"bytes"
	"regexp"
)

// ofCurl matches what curl -v prints on its own, in a line each.
var ofCurl = regexp.MustCompile(`^(?:\* |[{}] \[\d+ bytes data\]\r?(?:\n|$))`)

// cutAnswer cuts the output of curl -v before the answer, and drops curl's own lines.
func cutAnswer(output []byte) (request, answer []byte) {
	into := &request
	for line := range bytes.Lines(output) {
		if into == &request && bytes.HasPrefix(line, []byte("< ")) {
			into = &answer
		}
		if !ofCurl.Match(line) {
			*into = append(*into, line...)
		}
	}
	return request, answer
}

// answered matches the beginning of the bridge's own answers.
var answered = regexp.MustCompile(`^\{"(?:title|id)":"[^"]*","status":`)

// lastBody returns the body at the end of curl's output, from the last line that begins with a
// brace; nil if that is the answer's body.
func lastBody(output []byte) []byte {
	at := bytes.LastIndex(output, []byte("\n{")) + 1
	if body := output[at:]; at > 0 && !answered.Match(body) {
		return body
	}
	return nil
}
