package event_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"testing"

	"github.com/ade15e70/webhook-bridge/event"
)

func ExampleEvent_Flock() {
	e := event.Event{Data: json.RawMessage(`{"name":"invitee.accepted","entity":"invitee","entityId":"customer_67890","data":{"campaignId":"campaign_12345",` +
		`"referrer":{"id":"customer_12345"},"invitee":{"id":"customer_67890"},"inviteeReward":{"id":"c_reward_12345"},"referrerReward":null},"timestamp":1641234567}`)}
	f, err := e.Flock()
	fmt.Println(f.Data.Referrer.ID, f.Data.InviteeReward.ID, f.Data.ReferrerReward, err)
	// Output: customer_12345 c_reward_12345 <nil> <nil>
}

func ExampleEvent_Frigade() {
	e := event.Event{Data: json.RawMessage(`{"type":"flowResponse.completedStep","time":"2025-11-22T00:02:00.207Z","data":{"profile":{"tags":["a"]},` +
		`"userId":53526,"foreignUserId":"user_1","flowSlug":"flow_1","stepId":"profile","actionType":"COMPLETED_STEP","createdAt":"2025-11-22T00:02:00.187Z","hidden":0}}`)}
	f, err := e.Frigade()
	fmt.Println(f.Data.ForeignUserID, f.Data.UserID, string(f.Data.Rest["profile"]))
	fmt.Println(err)
	// Output:
	// user_1 53526 {"tags":["a"]}
	// event: data.hidden is a number, not a boolean
}

// Ids keep every digit, names are case-sensitive, and undocumented members are kept.
func TestPayloadIsExact(t *testing.T) {
	e := event.Event{Data: json.RawMessage(`{"name":"invitee.accepted","entity":"invitee","entityId":12345678901234567890,"timestamp":1.5e9,"NAME":"x",` +
		`"data":{"campaignId":9007199254740993,"invitee":{"id":12345678901234567890,"ID":1,"email":"a@b"},"later":[1]}}`)}
	got, err := e.Flock()
	if err != nil {
		t.Fatal(err)
	}
	want := event.Flock{
		Name: "invitee.accepted", Entity: "invitee", EntityID: "12345678901234567890", Timestamp: "1.5e9", Rest: event.Rest{"NAME": json.RawMessage(`"x"`)},
		Data: event.FlockData{
			CampaignID: "9007199254740993", Rest: event.Rest{"later": json.RawMessage("[1]")},
			Invitee: &event.FlockID{ID: "12345678901234567890", Rest: event.Rest{"ID": json.RawMessage("1"), "email": json.RawMessage(`"a@b"`)}},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	for data, want := range map[string]string{
		``: "event: name is missing, not text", `[]`: "event: name is missing, not text", `{"name":1}`: "event: name is a number, not text",
	} {
		e := event.Event{Data: json.RawMessage(data)}
		if _, err := e.Flock(); err == nil || err.Error() != want {
			t.Errorf("%s: got the error %v, want %s", data, err, want)
		}
	}
}
