package ingest

import (
	"encoding/json"
	"testing"

	"github.com/ade15e70/webhook-bridge/internal/publish"
	"github.com/ade15e70/webhook-bridge/test/expect"
)

// Answers are written without encoding/json: each must be equal to its output.
func TestAnswersAreJSON(t *testing.T) {
	t.Parallel()
	for _, r := range Refusals {
		want, err := json.Marshal(struct {
			Title  string `json:"title"`
			Status int    `json:"status"`
			Code   string `json:"code"`
		}{r.Title, r.Status, r.Code})
		expect.NoError(t, err)
		expect.Equal(t, string(want), string(appendProblem(nil, r)), "%s", r.Code)
	}
	for _, status := range []publish.Status{publish.Stored, publish.Duplicate, publish.Spooled, publish.Kept} {
		const id = "5e0c3f1f0d6f4c1fb7c9a1f0e2d3c4b5"
		want, err := json.Marshal(struct {
			ID     string         `json:"id"`
			Status publish.Status `json:"status"`
		}{id, status})
		expect.NoError(t, err)
		expect.Equal(t, string(want), string(appendAccepted(nil, id, status)), "%s", status)
	}
}
