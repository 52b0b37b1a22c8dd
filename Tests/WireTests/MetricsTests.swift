import Dispatch
import Engine
import Testing

@Suite struct `Metrics registry` {
    @Test func `the registry prints as Prometheus reads it`() {
        let registry = MetricsRegistry()
        registry.counter("sluice_rows_total", "Rows read.", labels: [("topic", "b"), ("job", "j")]).add(3)
        registry.counter("sluice_rows_total", "Rows read.", labels: [("topic", "a\"\\\n"), ("job", "j")]).add()
        registry.gauge("sluice_lag", "Offsets not yet read,\nby \\ partition.").set(2.5)
        let times = registry.histogram(
            "sluice_batch_seconds", "Batch times.", buckets: [0.1, 1], labels: [("job", "j")])
        for value in [0.05, 0.1, 0.5, 7] { times.observe(value) }
        #expect(
            registry.render() == """
                # HELP sluice_batch_seconds Batch times.
                # TYPE sluice_batch_seconds histogram
                sluice_batch_seconds_bucket{job="j",le="0.1"} 2
                sluice_batch_seconds_bucket{job="j",le="1"} 3
                sluice_batch_seconds_bucket{job="j",le="+Inf"} 4
                sluice_batch_seconds_sum{job="j"} 7.65
                sluice_batch_seconds_count{job="j"} 4
                # HELP sluice_lag Offsets not yet read,\\nby \\\\ partition.
                # TYPE sluice_lag gauge
                sluice_lag 2.5
                # HELP sluice_rows_total Rows read.
                # TYPE sluice_rows_total counter
                sluice_rows_total{job="j",topic="a\\"\\\\\\n"} 1
                sluice_rows_total{job="j",topic="b"} 3

                """)
    }

    @Test(arguments: [
        (0.0, "0"), (-3, "-3"), (1e15, "1000000000000000"), (.infinity, "+Inf"), (-.infinity, "-Inf"), (.nan, "NaN"),
        (0.25, "0.25"),
    ])
    func `a gauge prints any number`(value: Double, text: String) {
        let registry = MetricsRegistry()
        registry.gauge("g", "G.").set(value)
        #expect(registry.render().hasSuffix("\ng \(text)\n"))
    }

    @Test func `the same name and labels in any order are the same metric`() {
        let registry = MetricsRegistry()
        let first = registry.counter("c", "C.", labels: [("a", "1"), ("b", "2")])
        let second = registry.counter("c", "C.", labels: [("b", "2"), ("a", "1")])
        #expect(first === second)
        #expect(first !== registry.counter("c", "C.", labels: [("a", "2"), ("b", "1")]))
    }

    @Test func `no update of many threads is lost`() {
        let registry = MetricsRegistry()
        let counter = registry.counter("c", "C.")
        let gauge = registry.gauge("g", "G.")
        let histogram = registry.histogram("h", "H.")
        DispatchQueue.concurrentPerform(iterations: 8) { _ in
            for _ in 0..<5000 {
                counter.add(2)
                gauge.add(1)
                histogram.observe(0.5)
            }
        }
        #expect(counter.value == 80_000)
        #expect(gauge.value == 40_000)
        #expect(histogram.snapshot().sum == 20_000)
    }

    @Test func `a job that is gone has no series any more`() {
        let registry = MetricsRegistry()
        registry.gauge("lag", "Lag.", labels: [("job", "a"), ("partition", "0")]).set(Int64(1))
        registry.gauge("lag", "Lag.", labels: [("job", "b"), ("partition", "0")]).set(Int64(2))
        registry.gauge("other", "Other.", labels: [("job", "a")]).set(Int64(3))
        registry.remove(label: "job", "a")
        #expect(registry.render() == "# HELP lag Lag.\n# TYPE lag gauge\nlag{job=\"b\",partition=\"0\"} 2\n")
    }
}
