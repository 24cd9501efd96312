package server

import (
	"context"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"keyward/internal/kms"
)

// metrics has no label for a key, an actor or an address: who watches the server
// does not learn who uses it for what.
type metrics struct {
	registry        *prometheus.Registry // for anyone
	kept            *prometheus.Registry // for the local operator alone
	requests        *prometheus.CounterVec
	duration        *prometheus.HistogramVec
	refused         prometheus.Counter
	unauthenticated prometheus.Counter
}

func newMetrics(s *Server) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		kept:     prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "keyward_requests_total", Help: "Requests by what was asked, kind of failure (ok: none) and HTTP status.",
		}, []string{"what", "kind", "status"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "keyward_request_seconds", Help: "Time from the header of a request to the end of its answer.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}, []string{"what"}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keyward_connections_refused_total", Help: "Connections closed because there were too many.",
		}),
		unauthenticated: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keyward_authentication_failures_total", Help: "Tokens that proved nobody.",
		}),
	}
	m.registry.MustRegister(m.requests, m.duration, m.refused, m.unauthenticated, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &node{kms: s.kms, inFlight: prometheus.NewDesc(
			"keyward_requests_in_flight", "Requests at this moment.", nil, nil), flying: s.inFlight.Load})
	m.kept.MustRegister(kept{s.kms})
	return m
}

// seen counts one route. The counter of plain success is found once, for it is
// on the way of every request.
type seen struct {
	m        *metrics
	name     string
	ok       prometheus.Counter
	duration prometheus.Observer
}

func (m *metrics) route(name string) *seen {
	return &seen{m, name, m.requests.WithLabelValues(name, "ok", "200"), m.duration.WithLabelValues(name)}
}

func (s *seen) observe(c *Call, start time.Time) {
	s.duration.Observe(time.Since(start).Seconds())
	if c.kind == "" && c.status == 200 {
		s.ok.Inc()
		return
	}
	kind := string(c.kind)
	if kind == "" {
		kind = "ok"
	}
	s.m.requests.WithLabelValues(s.name, kind, strconv.Itoa(c.status)).Inc()
}

// node reads the state of the node when somebody asks for it.
type node struct {
	kms      *kms.KMS
	inFlight *prometheus.Desc
	flying   func() int64
}

var (
	sealedDesc = prometheus.NewDesc("keyward_sealed", "1 while sealed.", nil, nil)
	readyDesc  = prometheus.NewDesc("keyward_ready", "1 while requests can be served.", nil, nil)
	keysDesc   = prometheus.NewDesc("keyward_keys", "Keys that are kept.", nil, nil)
	logDesc    = prometheus.NewDesc("keyward_audit_records", "Committed records of the log.", nil, nil)
	treeDesc   = prometheus.NewDesc("keyward_audit_tree_records", "Records under the newest checkpoint.", nil, nil)
	lockedDesc = prometheus.NewDesc("keyward_secret_memory_bytes", "Locked memory that holds secrets.", nil, nil)
)

// Describe implements prometheus.Collector.
func (n *node) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{n.inFlight, sealedDesc, readyDesc, lockedDesc} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (n *node) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	s := n.kms.Status(ctx)
	gauge := func(d *prometheus.Desc, value float64) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value)
	}
	truth := func(d *prometheus.Desc, is bool) {
		if is {
			gauge(d, 1)
			return
		}
		gauge(d, 0)
	}
	gauge(n.inFlight, float64(n.flying()))
	truth(sealedDesc, s.Sealed)
	truth(readyDesc, s.Ready)
	gauge(lockedDesc, float64(s.Memory.LockedBytes))
}

// kept reads how much there is of what is kept, which is nothing for strangers.
type kept struct{ kms *kms.KMS }

// Describe implements prometheus.Collector.
func (k kept) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{keysDesc, logDesc, treeDesc} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (k kept) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	s := k.kms.Status(ctx)
	for d, value := range map[*prometheus.Desc]uint64{keysDesc: uint64(s.Keys), logDesc: s.AuditSize, treeDesc: s.TreeSize} {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(value))
	}
}
