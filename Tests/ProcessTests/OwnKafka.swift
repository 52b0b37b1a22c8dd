// A Kafka of their own for process tests that take it away, make topics anew behind a job's back, or come in by its secure
// listener: one broker for all of them, started by the first, so they run one after the other.

import Engine
import Foundation
import TestSupport
import Testing

@Suite(.waits, .serialized, TestBroker.needsReal) enum OwnKafkaTests {
    static let kafka = Result { try KafkaFixture.own(isSecure: true) }

    /// A job's world on this broker.
    static func harness(partitions: Int = 2, environment: [String: String] = [:]) throws -> JobHarness {
        let kafka = try kafka.get()
        return try JobHarness(
            partitions: partitions, topic: kafka.topic(partitions: partitions), bootstrap: kafka.bootstrap, environment: environment)
    }
}

extension JobHarness {
    /// The sink holds the rows of these answers, or does within a minute.
    func waitForRows(_ files: String...) throws -> Bool {
        // All keys may be there before all records are read.
        let wanted = try files.flatMap { try expected($0) }.sorted()
        return SluiceProcess.eventually(timeoutMillis: 60_000) { (try? campaignViews()) == wanted }
    }

    /// SIGTERM, and the job ends as asked.
    func drain(_ job: SluiceProcess, sourceLocation: SourceLocation = #_sourceLocation) {
        job.terminate()
        let ended = job.wait()
        #expect(ended.status == 0, "\(ended.errors)", sourceLocation: sourceLocation)
    }
}
