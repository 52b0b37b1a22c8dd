// The driver's API: what workers ask, what people and programs ask, on one port.
//
//   GET  /v1/health  /v1/ready                open to everybody: this process answers; its jobs do not wait for the outside
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
    static func answer(_ request: HTTPRequest, runs: JobRuns) -> HTTPResponse {
        do {
            return try route(request, runs: runs)
        } catch {
            return .failure(failure(error))
        }
    }

    private static func route(_ request: HTTPRequest, runs: JobRuns) throws -> HTTPResponse {
        let pieces = request.path.split(separator: "/").map(String.init)
        switch (request.method, pieces.count, pieces.first) {
        case ("GET", 1, "metrics"): return .text(DriverMetrics.page(runs))
        default: break
        }
        guard pieces.first == "v1", pieces.count >= 2 else { return .notFound(request) }
        switch (request.method, pieces[1], pieces.count) {
        case ("GET", "health", 2): return .text("ok\n")
        case ("GET", "ready", 2): return ready(runs.statuses.map(\.status), catalogAnswers: runs.catalogAnswers)
        case ("POST", "workers", 2): return .json(try runs.pool.register(request.decode()))
        case ("GET", "workers", 2):
            return .json(
                runs.pool.members.map {
                    WorkerView(
                        id: $0.id, url: $0.url, slots: $0.slots, pid: $0.pid, host: $0.host, leaving: $0.leaving)
                })
        case ("POST", "workers", 4) where pieces[3] == "heartbeat":
            let beat: Heartbeat = try request.decode()
            return .json(HeartbeatReply(known: runs.pool.heartbeat(pieces[2], leaving: beat.leaving), jobs: runs.claims))
        case ("GET", "lookups", 3):
            guard let bytes = try runs.catalog.lookup(pieces[2]) else { return .notFound(request) }
            return .bytes(bytes)
        case ("GET", "state", 4):
            guard let bytes = try runs.catalog.inlineState(JobID(text: pieces[2]), name: pieces[3]) else {
                return .notFound(request)
            }
            return .bytes(bytes)
        case ("GET", "jobs", 2): return .json(try JobView.all(of: runs))
        case ("POST", "jobs", 2):
            let record = try runs.submit(request.decode())
            return .json(JobView(record, status: runs.run(named: record.name)?.control.status))
        case ("GET", "jobs", 3):
            return .json(try JobView.one(pieces[2], of: runs))
        case ("GET", "jobs", 4) where pieces[3] == "batches":
            let record = try JobView.record(pieces[2], runs.catalog)
            let last = Int(request.query["last"] ?? "") ?? 20
            return .json(try runs.catalog.batches(record.jobID, last: min(max(last, 1), 10_000)).map(BatchView.init))
        case ("POST", "jobs", 4):
            guard let action = JobAction(rawValue: pieces[3]) else { return .notFound(request) }
            try runs.act(action, on: pieces[2])
            return .json(try JobView.one(pieces[2], of: runs))
        default: return .notFound(request)
        }
    }

    /// Before there is a catalog.
    static func answerAtStart(_ request: HTTPRequest) -> HTTPResponse {
        switch request.path {
        case "/v1/health": .text("ok\n")
        case "/v1/ready": .text("the catalog is not open yet\n", status: 503)
        default:
            .failure(
                Failure(
                    .driverUnreachable, "the driver is starting", why: "its catalog is not open yet", now: "try again; /v1/ready tells when"))
        }
    }

    /// Whether this driver does its work: not while a job of it waits for the outside. Says how many, to whoever asks, and no names.
    static func ready(_ statuses: [JobStatus], catalogAnswers: Bool) -> HTTPResponse {
        guard catalogAnswers else { return .text("the catalog does not answer\n", status: 503) }
        let waiting = statuses.count { $0.waitsFor != nil }
        if waiting == 0 { return .text("ready\n") }
        return .text("\(waiting) of \(statuses.count) jobs wait for the outside\n", status: 503)
    }
}
