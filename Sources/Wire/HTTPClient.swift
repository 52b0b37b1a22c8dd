// The HTTP client: one call is one blocking function, from any thread.
//
// It keeps handles with open connections by origin (`http://host:port`), so that a call to a known worker costs one
// round trip. It decides nothing about retries: whoever calls knows whether a repeat is harmless. One repeat happens
// below it, though: when a *kept* connection turns out closed before a byte of the answer came, libcurl sends the
// request again on a new one. A request can therefore arrive twice, and every message of ours carries the attempt or
// epoch by which its receiver knows a repeat.
//
// Kept connections are dropped after 45 s, before the server's 60 s of idleness, so that this is rare.
//
// What a caller gets: a reply of any status from `send`; a reply below 400 or the transported `Failure` from
// `sendJSON`; and for a peer that cannot be reached, falls silent or breaks off, a `Failure` with the code that the
// caller chose (`workerUnreachable`, `driverUnreachable`).

import Engine
import FoundationEssentials
import Synchronization

/// What a client goes by over `https`: whom it believes, and how it proves itself.
package struct ClientTLS: Sendable {
    /// The PEM file of authorities to trust; nil takes the system's.
    package var authoritiesFile: String?
    /// PEM files of the certificate that a server may ask for, and of its key.
    package var certificateFile: String?
    package var keyFile: String?

    package init(authoritiesFile: String? = nil, certificateFile: String? = nil, keyFile: String? = nil) {
        self.authoritiesFile = authoritiesFile
        self.certificateFile = certificateFile
        self.keyFile = keyFile
    }
}

package struct HTTPReply: Sendable {
    package var status: Int
    package var contentType: String
    package var body: [UInt8]

    package init(status: Int, contentType: String, body: [UInt8]) {
        self.status = status
        self.contentType = contentType
        self.body = body
    }
}

/// Breaks off calls from another thread; libcurl looks at it at least once a second.
package final class HTTPCancellation: Sendable {
    private let cancelled = Atomic(false)

    package init() {}
    package func cancel() { cancelled.store(true, ordering: .relaxed) }
    package var isCancelled: Bool { cancelled.load(ordering: .relaxed) }
}

package final class HTTPClient: Sendable {
    /// A reply above this is refused: no peer of ours holds so much in memory.
    package static let replyLimitBytes = 512 << 20

    private struct IdleHandle: Sendable {
        var origin: String
        var handle: CurlHandle
        var since: ContinuousClock.Instant
    }
    /// Handles at rest, oldest first. More than this are not kept: each holds a socket and some buffers.
    private static let idleHandles = 64
    private static let idleLimit = Duration.seconds(45)

    private let secret: Secret?
    private let tls: ClientTLS
    private let idle = Mutex<[IdleHandle]>([])

    /// - Parameters:
    ///   - secret: sent as a bearer token with every call, so use one client per cluster.
    ///   - tls: for `https` addresses; the files are read for each new connection, so renewed ones take effect.
    package init(secret: String?, tls: ClientTLS = ClientTLS()) {
        self.secret = secret.map(Secret.init)
        self.tls = tls
    }

    /// Sends one request and waits for the whole reply, whatever its status.
    package func send(
        _ method: String, _ url: String, body: [UInt8] = [], contentType: String = "application/json",
        timeoutMillis: Int, connectTimeoutMillis: Int = 2000, unreachable: Failure.Code = .workerUnreachable,
        cancellation: HTTPCancellation? = nil
    ) throws(Failure) -> HTTPReply {
        let call = HTTPCall(
            method: method, url: url, body: body, contentType: contentType, secret: secret, tls: tls,
            timeoutMillis: timeoutMillis, connectTimeoutMillis: connectTimeoutMillis,
            replyLimitBytes: Self.replyLimitBytes, cancellation: cancellation)
        let origin = httpOrigin(of: url)
        let handle = take(origin)
        let outcome = handle.perform(call)
        keep(handle, origin)
        switch outcome {
        case .replied(let reply): return reply
        case .broken(let problem, let detail): throw failure(problem, detail, call, unreachable)
        }
    }

    /// Sends a message as JSON and reads the answer; an answer of 400 or more is thrown as the `Failure` it carries.
    package func sendJSON<Question: Encodable, Answer: Decodable>(
        _ method: String, _ url: String, _ message: Question, as answer: Answer.Type = Answer.self, timeoutMillis: Int,
        connectTimeoutMillis: Int = 2000, unreachable: Failure.Code = .workerUnreachable,
        cancellation: HTTPCancellation? = nil
    ) throws(Failure) -> Answer {
        let body: [UInt8]
        do {
            body = [UInt8](try JSONEncoder().encode(message))
        } catch {
            throw Failure(
                .internal, "a message could not be written as JSON", why: "\(Question.self): \(place(of: error))",
                now: "report this with the log of this process")
        }
        return try read(
            try send(
                method, url, body: body, timeoutMillis: timeoutMillis, connectTimeoutMillis: connectTimeoutMillis,
                unreachable: unreachable, cancellation: cancellation), method, url, as: answer)
    }

    /// Sends a body that is JSON already and reads the answer as `sendJSON` does.
    package func sendBody<Answer: Decodable>(
        _ method: String, _ url: String, _ body: [UInt8], as answer: Answer.Type = Answer.self, timeoutMillis: Int,
        cancellation: HTTPCancellation? = nil
    ) throws(Failure) -> Answer {
        try read(
            try send(
                method, url, body: body, timeoutMillis: timeoutMillis, unreachable: .workerUnreachable,
                cancellation: cancellation), method, url, as: answer)
    }

    /// `GET` with an answer as JSON.
    package func getJSON<Answer: Decodable>(
        _ url: String, as answer: Answer.Type = Answer.self, timeoutMillis: Int, connectTimeoutMillis: Int = 2000,
        unreachable: Failure.Code = .workerUnreachable
    ) throws(Failure) -> Answer {
        try read(
            try send(
                "GET", url, timeoutMillis: timeoutMillis, connectTimeoutMillis: connectTimeoutMillis,
                unreachable: unreachable), "GET", url, as: answer)
    }

    /// The failure that a reply of 400 or more carries, or one made of its status; nil below 400.
    package func failure(of reply: HTTPReply, _ method: String, _ url: String) -> Failure? {
        guard reply.status >= 400 else { return nil }
        if let body = try? JSONDecoder().decode(FailureBody.self, from: Data(reply.body)) { return body.error }
        let code: Failure.Code =
            switch reply.status {
            case 401: .unauthorized
            case 403: .notAllowed
            case 413: .limitExceeded
            case 400..<500: .wrongUsage
            default: .internal
            }
        return Failure(
            code, "\(method) \(maskSecrets(url)) was answered with \(reply.status)",
            why: "the answer does not say more, so it is perhaps not from sluice",
            now: "check the address, and the log of the process that listens there")
    }

    private func read<Answer: Decodable>(
        _ reply: HTTPReply, _ method: String, _ url: String, as answer: Answer.Type
    ) throws(Failure) -> Answer {
        if let failure = failure(of: reply, method, url) { throw failure }
        do {
            return try JSONDecoder().decode(answer, from: Data(reply.body))
        } catch {
            throw Failure(
                .otherBuild, "the answer to \(method) \(maskSecrets(url)) cannot be read",
                why: "expected \(answer) as JSON: \(place(of: error))",
                now: "check the address; driver and workers must be of the same build")
        }
    }

    private func take(_ origin: String) -> CurlHandle {
        let kept = idle.withLock { idle in
            idle.lastIndex { $0.origin == origin }.map { idle.remove(at: $0).handle }
        }
        return kept ?? CurlHandle()
    }

    private func keep(_ handle: CurlHandle, _ origin: String) {
        let now = ContinuousClock.now
        // Closing a handle closes sockets: that happens when `dropped` goes, outside the lock.
        let dropped = idle.withLock { idle in
            idle.append(IdleHandle(origin: origin, handle: handle, since: now))
            var count = idle.prefix { now - $0.since > Self.idleLimit }.count
            count = max(count, idle.count - Self.idleHandles)
            let dropped = Array(idle.prefix(count))
            idle.removeFirst(count)
            return dropped
        }
        withExtendedLifetime(dropped) {}
    }

    private func failure(
        _ problem: CallProblem, _ detail: String, _ call: HTTPCall, _ unreachable: Failure.Code
    ) -> Failure {
        let what = "\(call.method) \(maskSecrets(call.url)) got no answer"
        let why = maskSecrets(detail)
        switch problem {
        case .unreachable:
            return Failure(
                unreachable, what, why: why, now: "check that the process runs and listens at this address")
        case .timeout:
            return Failure(
                unreachable, what,
                why: "\(why) (limit \(call.timeoutMillis) ms, \(call.connectTimeoutMillis) ms to connect)",
                now: "check that the process at this address is not stopped or overloaded, and the network between")
        case .cancelled:
            return Failure(
                .taskCancelled, what, why: "the call was broken off from this side",
                now: "nothing; it may be sent again")
        case .notTrusted:
            return Failure(
                .notAllowed, what, why: why,
                now: "check that the server's certificate names this address and is of the authorities in `--tls-ca`, and that "
                    + "`--tls-cert` and `--tls-key` belong together")
        case .wrongAddress:
            return Failure(
                .wrongUsage, what, why: why, now: "give an address like http://127.0.0.1:7070")
        case .replyTooLarge:
            return Failure(
                .limitExceeded, what, why: "the answer is larger than \(call.replyLimitBytes) bytes",
                now: "check what listens at this address")
        case .defect:
            return Failure(.internal, what, why: why, now: "report this with the log of this process")
        }
    }
}

/// `scheme://host:port` of a URL: what a connection belongs to.
package func httpOrigin(of url: String) -> String {
    guard let scheme = url.firstRange(of: "://") else { return url }
    return String(url[..<(url[scheme.upperBound...].firstIndex { $0 == "/" || $0 == "?" } ?? url.endIndex)])
}
