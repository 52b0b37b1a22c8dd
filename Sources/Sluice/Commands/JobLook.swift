// What is known of jobs beside their rows in the catalog: lag, what a topic hides, what Kafka is about to delete, what a job waits
// for. Whoever runs a job knows; of a job that nobody runs, its topic is asked here.
//
// The lease names the driver's address. A driver on another host that listens on its loopback alone is not asked: the same address
// here is somebody else. Nothing of it is needed: what does not answer within its time is said, and the rows stand.
//
// When changing it: a listing must not hang on anybody; each driver and each cluster that is away costs its time once.

import Driver
import Engine
import Foundation

struct JobLook {
    private static let driverMillis = 2000
    private static let kafkaMillis: Int32 = 1500

    private let catalog: Catalog
    private let settings: Settings
    /// The jobs of the drivers that were asked, by address.
    private var asked: [String: Result<[JobView], Failure>] = [:]
    /// Clusters that did not answer.
    private var away: [String: Failure] = [:]
    /// What could not be learned, a line each.
    private(set) var notes: [String] = []

    init(_ catalog: Catalog, _ settings: Settings) {
        self.catalog = catalog
        self.settings = settings
    }

    /// The job as its row, its driver and its topic tell it.
    mutating func view(_ record: JobRecord) throws -> JobView {
        var view = JobView(record, status: nil, last: try catalog.lastDone(record.jobID))
        if let holder = try catalog.liveHolder(of: record.name) {
            if let live = ask(holder)?.first(where: { $0.jobId == view.jobId }) { view.takeLive(live) }
        } else if record.kind == .live {
            lookAtTopic(record, &view)
        }
        return view
    }

    private mutating func ask(_ holder: LeaseHolder) -> [JobView]? {
        let address = holder.address
        if asked[address] == nil {
            asked[address] = Result {
                guard holder.host == ProcessInfo.processInfo.hostName || !Self.isLoopback(address) else {
                    throw Failure(
                        .driverUnreachable, "the driver on \(holder.host) listens on its own host alone", why: "its address is \(address)",
                        now: "ask there, or let it listen where this host reaches it")
                }
                let client = try DriverClient(settings, url: address)
                return try client.get("/v1/jobs", timeoutMillis: Self.driverMillis)
            }.mapError(failure)
            if case .failure(let reason)? = asked[address] { notes.append("the driver at \(address) was not asked: \(reason.why)") }
        }
        return try? asked[address]?.get()
    }

    private static func isLoopback(_ address: String) -> Bool {
        guard let host = URLComponents(string: address)?.host else { return false }
        return host == "localhost" || host.hasPrefix("127.") || host == "::1" || host == "[::1]"
    }

    private mutating func lookAtTopic(_ record: JobRecord, _ view: inout JobView) {
        let cluster = record.settings["bootstrap"] ?? ""
        guard away[cluster] == nil else { return }
        do {
            let positions = try catalog.positions(record.jobID).map { (TopicPartition(topic: $0.topic, partition: $0.partition), $0.position) }
            guard let topic = record.settings["topic"], !positions.isEmpty else { return }
            let queries = try OffsetQueries(try JobKafka.configuration(of: record, settings), timeoutMillis: Self.kafkaMillis)
            let health = try SourceHealth.look(
                queries, topic: topic, positions: Dictionary(positions) { $1 },
                bytesPerOffset: try catalog.batches(record.jobID, last: 20).bytesPerOffset, nowMillis: wallMillis())
            view.take(health)
        } catch {
            let reason = failure(error)
            away[cluster] = reason
            notes.append("Kafka at \(cluster) was not asked: \(reason.why)")
        }
    }
}
