// The links of `Transport.swift` over HTTP.
//
// A task call stays open until the tasks are done, however long that is: a worker that dies breaks it at once, one that
// falls silent is found by its heartbeats and `abandon`ed, which ends every call to it, and a late answer is ignored by
// attempt. So `taskTimeoutMillis` is only the last resort that frees the thread.

import Engine

private let taskTimeoutMillis = 6 * 3_600_000
private let shortTimeoutMillis = 10_000

package struct HTTPWorkerLink: WorkerLink {
    private let client: HTTPClient
    private let url: String
    private let abandoned = HTTPCancellation()

    package init(client: HTTPClient, url: String) {
        self.client = client
        self.url = url
    }

    package func run(_ request: RunTasks) throws -> RunTasksReply {
        let reply: RunTasksReply = try lost {
            try client.sendBody(
                "POST", url + "/v1/tasks/run", try JobLine.body(request), timeoutMillis: taskTimeoutMillis,
                cancellation: abandoned)
        }
        guard reply.of == request.asked else {
            throw Failure(
                .workerUnreachable, "the worker at \(url) answered another question",
                why: "its answer names batch \(reply.of.batch), epoch \(reply.of.epoch), stage \(reply.of.stage)",
                now: "nothing; the tasks run again")
        }
        return reply
    }
    package func probe(_ request: RunTasks) throws -> ProbeReply {
        try lost {
            try client.sendBody(
                "POST", url + "/v1/tasks/probe", try JobLine.body(request), timeoutMillis: taskTimeoutMillis,
                cancellation: abandoned)
        }
    }
    package func seal(_ request: SealTasks) throws -> SealTasksReply {
        try lost {
            try client.sendBody(
                "POST", url + "/v1/tasks/seal", try JobLine.body(request), timeoutMillis: taskTimeoutMillis,
                cancellation: abandoned)
        }
    }
    package func arrived(_ request: AwaitRecords) throws -> ArrivedRecords {
        // The driver's loop waits for this: a worker that has fallen silent is found by its heartbeats, not here.
        try client.sendJSON("POST", url + "/v1/tasks/arrived", request, timeoutMillis: request.patienceMillis + 1000)
    }
    package func release(_ request: ReleaseBatch) throws {
        let _: EmptyMessage = try client.sendJSON(
            "POST", url + "/v1/tasks/release", request, timeoutMillis: shortTimeoutMillis)
    }
    package func cancel(_ request: CancelJob) throws {
        let _: EmptyMessage = try client.sendJSON(
            "POST", url + "/v1/tasks/cancel", request, timeoutMillis: shortTimeoutMillis)
    }
    package func checkState(_ request: CheckState) throws {
        let _: EmptyMessage = try client.sendJSON(
            "POST", url + "/v1/state/check", request, timeoutMillis: shortTimeoutMillis)
    }
    package func ping() throws {
        _ = try client.bytes(url + "/v1/health", timeoutMillis: 3000, unreachable: .workerUnreachable)
    }
    package func abandon() { abandoned.cancel() }

    /// A call that was broken off from this side is one to a worker that is lost.
    private func lost<Reply>(_ call: () throws -> Reply) throws -> Reply {
        do { return try call() } catch let reason as Failure where reason.code == .taskCancelled && abandoned.isCancelled {
            throw Failure(
                .workerUnreachable, "the worker at \(url) fell silent", why: "no heartbeat",
                now: "nothing; its tasks run elsewhere")
        }
    }
}

package struct HTTPDriverLink: DriverLink {
    private let client: HTTPClient
    private let url: String

    package init(client: HTTPClient, url: String) {
        self.client = client
        self.url = url
    }

    package func register(_ request: RegisterWorker) throws -> Registered {
        try client.sendJSON(
            "POST", url + "/v1/workers", request, timeoutMillis: shortTimeoutMillis, unreachable: .driverUnreachable)
    }
    package func heartbeat(_ id: String, _ request: Heartbeat) throws -> HeartbeatReply {
        try client.sendJSON(
            "POST", url + "/v1/workers/\(id)/heartbeat", request, timeoutMillis: shortTimeoutMillis,
            unreachable: .driverUnreachable)
    }
    package func lookup(digest: String) throws -> [UInt8] {
        try client.bytes(url + "/v1/lookups/\(digest)", timeoutMillis: 60_000, unreachable: .driverUnreachable)
    }
    package func inlineState(jobID: JobID, name: String) throws -> [UInt8] {
        try client.bytes(url + "/v1/state/\(jobID)/\(name)", timeoutMillis: 60_000, unreachable: .driverUnreachable)
    }
}

package struct HTTPBlockLink: BlockLink {
    private let client: HTTPClient

    package init(client: HTTPClient) { self.client = client }

    package func block(_ id: BlockID, at workerURL: String) throws -> [UInt8] {
        try client.bytes(workerURL + id.path, timeoutMillis: 60_000, unreachable: .workerUnreachable)
    }
}

extension HTTPClient {
    /// `GET` with an answer of bytes; an answer of 400 or more is thrown as the `Failure` it carries.
    package func bytes(_ url: String, timeoutMillis: Int, unreachable: Failure.Code) throws(Failure) -> [UInt8] {
        let reply = try send("GET", url, timeoutMillis: timeoutMillis, unreachable: unreachable)
        if let failure = failure(of: reply, "GET", url) { throw failure }
        return reply.body
    }
}

extension HTTPResponse {
    package static func bytes(_ bytes: [UInt8]) -> HTTPResponse { HTTPResponse(body: bytes) }

    package static func notFound(_ request: HTTPRequest) -> HTTPResponse {
        .failure(
            Failure(
                .notPossible, "there is nothing at \(request.method) \(request.path)",
                why: "no such route, or what it named is gone", now: "see the list of routes in ARCHITECTURE.md"),
            status: 404)
    }
}
