package frigade

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/ade15e70/webhook-bridge/internal/stringify"
	"github.com/ade15e70/webhook-bridge/internal/verify"
)

func compose(event, id string, data stringify.Text) verify.Object {
	if data == nil {
		made := verify.Object{
			{Name: "id", Value: verify.Quoted("flowResponse_" + id)},
			{Name: "flowSlug", Value: verify.Quoted("flow_12345")},
			{Name: "stepId", Value: verify.Quoted("welcome")},
			{Name: "data", Value: verify.Quoted("{}")},
			{Name: "createdAt", Value: verify.Quoted("")},
			{Name: "foreignUserId", Value: verify.Quoted("user_12345")},
		}
		if first, action, _ := strings.Cut(event, "."); first == actions {
			made = slices.Insert(made, 3, verify.Member{Name: "actionType", Value: verify.Quoted(upperSnake(action))})
		}
		data = made.Text()
	}
	return verify.Object{
		{Name: "timeout", Value: []byte("1000")},
		{Name: "type", Value: verify.Quoted(event)},
		{Name: "data", Value: data},
		{Name: "time", Value: verify.Quoted("")},
	}
}

func date(body verify.Object, t time.Time) (verify.Object, error) {
	written := verify.Quoted(t.UTC().Format("2006-01-02T15:04:05.000Z"))
	body = body.Set("time", written)
	data, err := verify.ParseObject(body.Get("data"))
	if err != nil {
		return nil, errors.New("the body has no data that is a JSON object, as Frigade's has")
	}
	if data.Get("createdAt") != nil {
		body = body.Set("data", data.Set("createdAt", written).Text())
	}
	return body, nil
}

// upperSnake turns completedStep into COMPLETED_STEP.
func upperSnake(camel string) string {
	var b strings.Builder
	for _, c := range camel {
		if 'A' <= c && c <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteRune(c)
	}
	return strings.ToUpper(b.String())
}
