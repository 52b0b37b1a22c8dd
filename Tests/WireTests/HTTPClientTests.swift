import Dispatch
import Engine
import Glibc
import Testing
import Wire

@Suite struct `HTTP client` {
    let client = HTTPClient(secret: "the-secret")

    /// A port that was free a moment ago and has no listener now.
    private func deadPort() -> Int { RawListener().port }

    @Test(arguments: [Failure.Code.workerUnreachable, .driverUnreachable])
    func `a port where nobody listens is the failure that the caller chose`(code: Failure.Code) throws {
        let port = deadPort()
        let failure = #expect(throws: Failure.self) {
            try client.send("GET", "http://127.0.0.1:\(port)/x", timeoutMillis: 5000, unreachable: code)
        }
        #expect(failure?.code == code)
        #expect(failure?.what == "GET http://127.0.0.1:\(port)/x got no answer")
    }

    enum Death: CaseIterable { case closed, reset, inHeaders, inBody, garbage }

    @Test(arguments: Death.allCases)
    func `a server that dies in mid-request is unreachable`(death: Death) throws {
        let listener = RawListener()
        let port = listener.port
        let client = client
        let outcome = Outcome()
        DispatchQueue.global().async {
            outcome.set { () throws(Failure) in
                try client.send(
                    "POST", "http://127.0.0.1:\(port)/x", body: [UInt8](repeating: 1, count: 1000),
                    timeoutMillis: 10_000)
            }
        }
        do {
            let connection = listener.accept()
            _ = connection.receive(until: "\r\n\r\n")
            switch death {
            case .closed: break
            case .reset: connection.reset()
            case .inHeaders: connection.send("HTTP/1.1 200 OK\r\nContent-Le")
            case .inBody: connection.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
            case .garbage: connection.send("\u{1}\u{2}\u{3} hello\r\n\r\n")
            }
        }
        #expect(outcome.failure()?.code == .workerUnreachable)
    }

    @Test func `a server that says nothing is given up after the limit`() throws {
        let listener = RawListener()
        let began = ContinuousClock.now
        let failure = #expect(throws: Failure.self) {
            try client.send("GET", "http://127.0.0.1:\(listener.port)/x", timeoutMillis: 300)
        }
        #expect(failure?.code == .workerUnreachable)
        #expect(failure?.why.contains("300 ms") == true)
        #expect(ContinuousClock.now - began >= .milliseconds(250))
    }

    @Test func `a call can be broken off from another thread`() throws {
        let listener = RawListener()
        let port = listener.port
        let cancellation = HTTPCancellation()
        let client = client
        let outcome = Outcome()
        DispatchQueue.global().async {
            outcome.set { () throws(Failure) in
                try client.send(
                    "GET", "http://127.0.0.1:\(port)/x", timeoutMillis: 60_000, cancellation: cancellation)
            }
        }
        let connection = listener.accept()
        _ = connection.receive(until: "\r\n\r\n")
        cancellation.cancel()
        #expect(outcome.failure()?.code == .taskCancelled)
    }

    @Test func `the second call goes over the connection of the first, with the secret`() throws {
        let listener = RawListener()
        let port = listener.port
        let client = client
        let outcome = Outcome()
        DispatchQueue.global().async {
            outcome.set { () throws(Failure) in
                _ = try client.send("POST", "http://127.0.0.1:\(port)/1", body: [49], timeoutMillis: 10_000)
                return try client.send("POST", "http://127.0.0.1:\(port)/2", body: [50], timeoutMillis: 10_000)
            }
        }
        // Only one connection is ever accepted.
        let connection = listener.accept()
        for path in ["/1", "/2"] {
            let request = connection.receive(until: "\r\n\r\n")
            #expect(request.hasPrefix("POST \(path) HTTP/1.1\r\n"))
            #expect(request.contains("\r\nAuthorization: Bearer the-secret\r\n"))
            #expect(!request.contains("Expect"))
            connection.send("HTTP/1.1 204 No Content\r\n\r\n")
        }
        #expect(outcome.failure() == nil)
    }

    @Test(arguments: ["ftp://127.0.0.1/x", "http://", "nonsense://x"])
    func `an address that is none is the user's to mend`(url: String) {
        let failure = #expect(throws: Failure.self) { try client.send("GET", url, timeoutMillis: 1000) }
        #expect(failure?.code == .wrongUsage)
    }

    @Test func `a password in an address is not shown in the failure`() {
        let port = deadPort()
        let failure = #expect(throws: Failure.self) {
            try client.send("GET", "http://user:hidden@127.0.0.1:\(port)/x", timeoutMillis: 1000)
        }
        #expect(failure?.description.contains("hidden") == false)
    }

    @Test(arguments: [Failure.Code.unknownJob, .blockLost, .tooManyRejected, .internal, .kafkaTransient])
    func `the failure of a handler is thrown at the caller as it was`(code: Failure.Code) throws {
        let sent = Failure(code, "something happened", why: "for a \"reason\"", now: "do this")
        let server = try HTTPServer(port: 0, secret: "the-secret") { _ in .failure(sent) }
        let failure = #expect(throws: Failure.self) {
            try client.sendJSON(
                "POST", "http://127.0.0.1:\(server.port)/x", EmptyMessage(), as: EmptyMessage.self,
                timeoutMillis: 10_000)
        }
        #expect(failure == sent)
    }

    @Test(arguments: [(401, Failure.Code.unauthorized), (404, .wrongUsage), (413, .limitExceeded), (500, .internal)])
    func `an error without a failure in it is told by its status`(status: Int, code: Failure.Code) throws {
        let server = try HTTPServer(port: 0, secret: nil) { _ in .text("<html>", status: status) }
        let failure = #expect(throws: Failure.self) {
            try client.getJSON("http://127.0.0.1:\(server.port)/x", as: EmptyMessage.self, timeoutMillis: 10_000)
        }
        #expect(failure?.code == code)
    }

    @Test func `an answer that is not the message expected names the place and not the content`() throws {
        struct Answer: Codable { var count: Int }
        let server = try HTTPServer(port: 0, secret: nil) { _ in .text("{\"count\": \"private\"}") }
        let failure = #expect(throws: Failure.self) {
            try client.getJSON("http://127.0.0.1:\(server.port)/x", as: Answer.self, timeoutMillis: 10_000)
        }
        #expect(failure?.code == .otherBuild)
        #expect(failure?.why.contains("count") == true)
        #expect(failure?.description.contains("private") == false)
    }

    @Test func `a request body that is not the message expected is the caller's mistake`() {
        let failure = #expect(throws: Failure.self) {
            try HTTPRequest(method: "POST", path: "/x", body: Array("[".utf8)).decode([Int].self)
        }
        #expect(failure?.code == .wrongUsage)
    }

    @Test func `what a handler throws becomes its answer`() {
        struct Odd: Error {}
        let failure = Failure(.unknownJob, "a", why: "b", now: "c")
        let answers = [
            HTTPResponse.answering { .text("fine") }, .answering { throw failure }, .answering { throw Odd() },
        ]
        #expect(answers.map(\.status) == [200, 404, 500])
        let reply = HTTPReply(status: 404, contentType: answers[1].contentType, body: answers[1].body)
        #expect(client.failure(of: reply, "GET", "/x") == failure)
    }

    @Test(arguments: Failure.Code.allCases)
    func `every failure has the status of an error`(code: Failure.Code) {
        #expect((400...599).contains(httpStatus(of: Failure(code, "a", why: "b", now: "c"))))
    }

    @Test func `the sockets of a client are not inherited by child processes`() throws {
        let server = try HTTPServer(port: 0, secret: nil) { _ in HTTPResponse() }
        _ = try client.send("GET", "http://127.0.0.1:\(server.port)/x", timeoutMillis: 10_000)
        var ours = 0
        for descriptor in Int32(3)..<1024
        where port(of: descriptor, getsockname) == server.port
            || port(of: descriptor, getpeername) == server.port
        {
            ours += 1
            #expect(fcntl(descriptor, F_GETFD) & FD_CLOEXEC != 0)
        }
        // The listener, and both ends of the kept connection.
        #expect(ours == 3)
    }

    @Test(arguments: [
        ("http://127.0.0.1:7070/v1/x", "http://127.0.0.1:7070"), ("http://a:1", "http://a:1"),
        ("https://a?x=/", "https://a"), ("nonsense", "nonsense"),
    ])
    func `connections are kept by scheme, host and port`(url: String, origin: String) {
        #expect(httpOrigin(of: url) == origin)
    }
}

private func port(
    of descriptor: Int32, _ ask: (Int32, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
) -> Int? {
    var address = sockaddr_in()
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let answer = withUnsafeMutablePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { ask(descriptor, $0, &length) }
    }
    return answer == 0 && address.sin_family == UInt16(AF_INET) ? Int(UInt16(bigEndian: address.sin_port)) : nil
}

/// The result of a call on another thread.
final class Outcome: Sendable {
    private let done = DispatchSemaphore(value: 0)
    private nonisolated(unsafe) var caught: Failure?

    func set(_ call: () throws(Failure) -> HTTPReply) {
        do { _ = try call() } catch { caught = error }
        done.signal()
    }

    /// Waits for the call; nil when it succeeded.
    func failure() -> Failure? {
        done.wait()
        return caught
    }
}
