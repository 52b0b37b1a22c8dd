// The driver's API: what workers ask, what people and programs ask, on one port.
//
//   GET  /v1/health  /v1/ready                open to everybody, say nothing else
//   GET  /metrics                             Prometheus text
//   GET  /v1/jobs    POST /v1/jobs            list, submit
//   GET  /v1/jobs/NAME                        one job
//   GET  /v1/jobs/NAME/batches?last=N         its batches
//   POST /v1/jobs/NAME/pause|resume|stop|kill
//   GET  /v1/workers                          who is there
//   (and the worker routes of Wire/Messages.swift)
//
// Every answer but health and readiness needs the secret; `HTTPServer` checks it before anything here runs.

import Engine
import Foundation
import Wire

package enum JobAction: String, Sendable, CaseIterable { case pause, resume, stop, kill }

package struct SubmitJob: Codable, Sendable {
    package var definition: String
    /// Only what the submitter set; the driver adds defaults and its own environment.
    package var settings: [String: String]
    package var replace: Bool
    package var adopt: Bool
    package var offsets: OffsetsFlag?
    package var acceptLoss: Bool
    package var acceptTopic: Bool?
    package var resetTime: Bool?

    package init(
        definition: String, settings: [String: String], replace: Bool = false, adopt: Bool = false,
        offsets: OffsetsFlag? = nil, acceptLoss: Bool = false, acceptTopic: Bool? = nil,
        resetTime: Bool? = nil
    ) {
        self.definition = definition
        self.settings = settings
        self.replace = replace
        self.adopt = adopt
        self.offsets = offsets
        self.acceptLoss = acceptLoss
        self.acceptTopic = acceptTopic
        self.resetTime = resetTime
    }
}

/// A worker as the API lists it.
package struct WorkerView: Codable, Sendable {
    package var id: String
    package var url: String
    package var slots: Int
    package var pid: Int32
    package var host: String
    package var leaving: Bool
}

enum DriverRoutes {
    static func answer(_ request: HTTPRequest, driver: DriverProcess) -> HTTPResponse {
        do {
            return try route(request, driver: driver)
        } catch {
            return .failure(failure(error))
        }
    }

    private static func route(_ request: HTTPRequest, driver: DriverProcess) throws -> HTTPResponse {
        let pieces = request.path.split(separator: "/").map(String.init)
        switch (request.method, pieces.count, pieces.first) {
        case ("GET", 1, "metrics"): return .text(DriverMetrics.page(driver))
        default: break
        }
        guard pieces.first == "v1", pieces.count >= 2 else { return .notFound(request) }
        switch (request.method, pieces[1], pieces.count) {
        case ("GET", "health", 2): return .text("ok\n")
        case ("GET", "ready", 2): return .text("ready\n")
        case ("POST", "workers", 2): return .json(try driver.pool.register(request.decode()))
        case ("GET", "workers", 2):
            return .json(
                driver.pool.members.map {
                    WorkerView(
                        id: $0.id, url: $0.url, slots: $0.slots, pid: $0.pid, host: $0.host, leaving: $0.leaving)
                })
        case ("POST", "workers", 4) where pieces[3] == "heartbeat":
            let beat: Heartbeat = try request.decode()
            return .json(HeartbeatReply(known: driver.pool.heartbeat(pieces[2], leaving: beat.leaving), jobs: driver.claims))
        case ("GET", "lookups", 3):
            guard let bytes = try driver.catalog.lookup(pieces[2]) else { return .notFound(request) }
            return .bytes(bytes)
        case ("GET", "state", 4):
            guard let bytes = try driver.catalog.inlineState(JobID(text: pieces[2]), name: pieces[3]) else {
                return .notFound(request)
            }
            return .bytes(bytes)
        case ("GET", "jobs", 2): return .json(try JobView.all(of: driver))
        case ("POST", "jobs", 2):
            let record = try driver.submit(request.decode())
            return .json(JobView(record, status: driver.run(named: record.name)?.control.status))
        case ("GET", "jobs", 3):
            return .json(try JobView.one(pieces[2], of: driver))
        case ("GET", "jobs", 4) where pieces[3] == "batches":
            let record = try JobView.record(pieces[2], driver.catalog)
            let last = Int(request.query["last"] ?? "") ?? 20
            return .json(try driver.catalog.batches(record.jobID, last: min(max(last, 1), 10_000)).map(BatchView.init))
        case ("POST", "jobs", 4):
            guard let action = JobAction(rawValue: pieces[3]) else { return .notFound(request) }
            try driver.act(action, on: pieces[2])
            return .json(try JobView.one(pieces[2], of: driver))
        default: return .notFound(request)
        }
    }
}
