package inspect

import (
	"encoding/json"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// state is what the page shows of NATS. Trouble and the problems are sentences for people; "":
// none.
type state struct {
	Connected         bool         `json:"connected"`
	Server            string       `json:"server"` // the connected one
	Trouble           string       `json:"trouble"`
	Stream            *streamView  `json:"stream"`
	Consumers         []consumer   `json:"consumers"`
	More              int          `json:"moreConsumers"`
	ConsumersProblem  string       `json:"consumersProblem"` // why they can't be listed
	Dead              *deadLetters `json:"dead"`             // nil: none
	Quarantine        *streamView  `json:"quarantine"`
	Deliveries        []delivery   `json:"deliveries"`
	QuarantineProblem string       `json:"quarantineProblem"`
}

type streamView struct {
	Name       string   `json:"name"`
	Subjects   []string `json:"subjects"`
	Messages   uint64   `json:"messages"`
	Bytes      uint64   `json:"bytes"`
	FirstSeq   uint64   `json:"first"`
	LastSeq    uint64   `json:"last"`
	FirstTime  string   `json:"firstTime,omitempty"`
	LastTime   string   `json:"lastTime,omitempty"`
	Made       string   `json:"made"`
	Storage    string   `json:"storage"`
	Replicas   int      `json:"replicas"`
	Leader     string   `json:"leader,omitempty"`
	Lagging    []string `json:"lagging"`    // replicas that aren't current
	MaxAge     float64  `json:"maxAge"`     // seconds; 0: no limit
	MaxBytes   int64    `json:"maxBytes"`   // -1: no limit
	Duplicates float64  `json:"duplicates"` // seconds
	Discard    string   `json:"discard"`
	Retention  string   `json:"retention"`
}

type consumer struct {
	Name        string   `json:"name"`
	Durable     bool     `json:"durable"`
	Push        bool     `json:"push"`
	Bound       bool     `json:"bound"` // a client receives what is pushed
	Paused      bool     `json:"paused"`
	Waiting     int      `json:"waiting"` // pull requests
	Subjects    []string `json:"subjects"`
	Pending     uint64   `json:"pending"` // not yet delivered
	AckPending  int      `json:"ackPending"`
	MaxPending  int      `json:"maxAckPending"`
	Redelivered int      `json:"redelivered"`
	Delivered   uint64   `json:"delivered"` // messages, redelivered ones each time
	Growth      float64  `json:"growth"`    // by how many messages a second it falls behind
	LastActive  string   `json:"lastActive,omitempty"`
}

const (
	noStream     = "Start a bridge, which creates it, or set STREAM_NAME."
	noQuarantine = "Start a bridge with QUARANTINE=true, which creates it."
)

// describe returns the state as JSON.
func (s *Server) describe() []byte {
	conn, v := s.config.Conn, s.snapshot.Load()
	d := state{Connected: conn.IsConnected(), Deliveries: v.deliveries, Consumers: []consumer{}, More: v.more, Dead: v.dead}
	switch reading := s.reading.Load(); {
	case !d.Connected:
		d.Trouble = s.disconnected()
	case reading != nil:
		d.Trouble = s.explain(*reading, s.config.Stream, noStream, "STREAM.INFO", "CONSUMER.CREATE", "CONSUMER.MSG.NEXT")
	}
	if d.Connected {
		d.Server = conn.ConnectedAddr()
	}
	d.Stream, d.Quarantine = viewOf(v.stream), viewOf(v.quarantine)
	d.ConsumersProblem = s.explain(v.consumersErr, s.config.Stream, noStream, "CONSUMER.LIST", "STREAM.INFO")
	d.QuarantineProblem = s.explain(v.quarantineErr, s.config.Quarantine, noQuarantine, "STREAM.INFO")
	if d.QuarantineProblem == "" {
		d.QuarantineProblem = s.explain(v.deliveriesErr, s.config.Quarantine, noQuarantine, "CONSUMER.CREATE", "CONSUMER.MSG.NEXT", "STREAM.INFO")
	}
	for _, info := range v.consumers {
		d.Consumers = append(d.Consumers, consumerOf(info, v.lags.growth(info)))
	}
	text, _ := json.Marshal(d) // strings and numbers only
	return text
}

func viewOf(info *jetstream.StreamInfo) *streamView {
	if info == nil {
		return nil
	}
	c, st := info.Config, info.State
	v := &streamView{
		Name: c.Name, Subjects: c.Subjects, Messages: st.Msgs, Bytes: st.Bytes, FirstSeq: st.FirstSeq, LastSeq: st.LastSeq,
		Made: info.Created.Format(time.RFC3339), Storage: strings.ToLower(c.Storage.String()), Replicas: c.Replicas,
		MaxAge: c.MaxAge.Seconds(), MaxBytes: c.MaxBytes, Duplicates: c.Duplicates.Seconds(),
		Discard: c.Discard.String(), Retention: strings.ToLower(c.Retention.String()), Lagging: []string{},
	}
	if st.Msgs > 0 {
		v.FirstTime, v.LastTime = st.FirstTime.Format(time.RFC3339Nano), st.LastTime.Format(time.RFC3339Nano)
	}
	if info.Cluster != nil {
		v.Leader = info.Cluster.Leader
		for _, peer := range info.Cluster.Replicas {
			if !peer.Current || peer.Offline {
				v.Lagging = append(v.Lagging, peer.Name)
			}
		}
	}
	return v
}

func consumerOf(info *jetstream.ConsumerInfo, growth float64) consumer {
	c := consumer{
		Name: info.Name, Durable: info.Config.Durable != "", Push: info.Config.DeliverSubject != "", Bound: info.PushBound, Paused: info.Paused,
		Waiting: info.NumWaiting, Subjects: info.Config.FilterSubjects, Pending: info.NumPending, AckPending: info.NumAckPending,
		MaxPending: info.Config.MaxAckPending, Redelivered: info.NumRedelivered, Delivered: info.Delivered.Consumer,
		Growth: growth,
	}
	if info.Config.FilterSubject != "" {
		c.Subjects = []string{info.Config.FilterSubject}
	}
	if info.Delivered.Last != nil {
		c.LastActive = info.Delivered.Last.Format(time.RFC3339Nano)
	}
	return c
}
