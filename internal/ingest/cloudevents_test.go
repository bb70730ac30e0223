package ingest_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"

	"github.com/ade15e70/webhook-bridge/test/expect"
)

// CloudEvents' own SDK reads every message as valid, with the values that we wrote.
func TestCloudEventsSDK(t *testing.T) {
	r := newPipeline(t)
	for _, w := range webhooks(t) {
		m := r.send(w)
		var e cloudevents.Event
		if err := json.Unmarshal([]byte(m.Payload), &e); err != nil {
			t.Errorf("the SDK can't read %s: %v", w.name, err)
			continue
		}
		if err := e.Validate(); err != nil {
			t.Errorf("to the SDK %s is invalid: %v", w.name, err)
		}
		got := map[string]string{
			"specversion": e.SpecVersion(), "id": e.ID(), "source": e.Source(), "type": e.Type(), "datacontenttype": e.DataContentType(),
		}
		if e.Subject() != "" {
			got["subject"] = e.Subject()
		}
		for name, value := range e.Extensions() {
			got[name] = fmt.Sprint(value)
		}
		_, want := envelope(t, m)
		occurred, err := time.Parse(time.RFC3339, want["time"])
		if want["time"] != "" && err != nil || !occurred.Equal(e.Time()) {
			t.Errorf("%s: the time %s was read as %s, %v", w.name, want["time"], e.Time(), err)
		}
		delete(want, "time")
		expect.Equal(t, want, got, "%s as the SDK reads it", w.name)
		if _, data, _ := strings.Cut(m.Payload, `,"data":`); data != string(e.Data())+"}" {
			t.Errorf("%s: the data %s was read as %s", w.name, data, e.Data())
		}
	}
}
