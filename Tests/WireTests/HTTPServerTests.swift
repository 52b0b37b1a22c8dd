import Dispatch
import Engine
import Synchronization
import Testing
import Wire

/// Answers with what it was asked, so that a test can see both ways at once.
private struct Echo: Codable, Equatable {
    var method: String
    var path: String
    var query: [String: String]
    var kind: String?
    var body: String
}

private func echo(_ request: HTTPRequest) -> HTTPResponse {
    .json(
        Echo(
            method: request.method, path: request.path, query: request.query, kind: request.headers["content-type"],
            body: String(decoding: request.body, as: UTF8.self)))
}

private func limits(bodyBytes: Int = 64 << 20, idleSeconds: Int = 60) -> HTTPServerLimits {
    var limits = HTTPServerLimits()
    limits.bodyBytes = bodyBytes
    limits.idleSeconds = idleSeconds
    return limits
}

@Suite struct `HTTP server` {
    let client = HTTPClient(secret: nil)

    @Test(arguments: ["GET", "POST", "PUT", "DELETE", "PATCH"])
    func `a handler sees method, path, query and body as they were sent`(method: String) throws {
        let server = try HTTPServer(port: 0, secret: nil, handler: echo)
        let body = method == "GET" ? "" : "some text"
        let reply = try client.send(
            method, "http://127.0.0.1:\(server.port)/v1/jobs/a%20b?last=5&json&name=x%26y", body: Array(body.utf8),
            contentType: "text/x-test", timeoutMillis: 10_000)
        #expect(reply.status == 200)
        #expect(reply.contentType == "application/json")
        let seen = try HTTPRequest(method: "", path: "", body: reply.body).decode(Echo.self)
        #expect(
            seen
                == Echo(
                    method: method, path: "/v1/jobs/a b", query: ["last": "5", "json": "", "name": "x&y"],
                    kind: body.isEmpty ? nil : "text/x-test", body: body))
    }

    @Test func `fifty clients at once each get their own answers over and over`() throws {
        let server = try HTTPServer(port: 0, secret: "s", handler: echo)
        let client = HTTPClient(secret: "s")
        let wrong = Mutex<[String]>([])
        DispatchQueue.concurrentPerform(iterations: 50) { index in
            for round in 0..<20 {
                do {
                    let seen = try client.sendJSON(
                        "POST", "http://127.0.0.1:\(server.port)/v1/echo", [index, round], as: Echo.self,
                        timeoutMillis: 30_000)
                    if seen.body != "[\(index),\(round)]" { wrong.withLock { $0.append(seen.body) } }
                } catch {
                    wrong.withLock { $0.append("\(error)") }
                }
            }
        }
        #expect(wrong.withLock { $0 } == [])
    }

    @Test(arguments: [0, 1, 64 << 10, (64 << 10) + 1, 20 << 20])
    func `a body of any size comes back byte for byte`(count: Int) throws {
        let server = try HTTPServer(port: 0, secret: nil) { HTTPResponse(body: $0.body) }
        var state: UInt64 = 7
        let body = (0..<count).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1
            return UInt8(truncatingIfNeeded: state >> 56)
        }
        let reply = try client.send("POST", "http://127.0.0.1:\(server.port)/x", body: body, timeoutMillis: 60_000)
        #expect(reply.status == 200)
        #expect(reply.body == body)
    }

    @Test(arguments: [
        ("Content-Length: 1500", 1500), ("Content-Length: 300000", 300_000), ("Transfer-Encoding: chunked", 0),
    ])
    func `a body above the limit is answered with 413 and never reaches the handler`(header: String, count: Int) throws {
        let calls = Atomic(0)
        let server = try HTTPServer(port: 0, secret: nil, limits: limits(bodyBytes: 1024)) { request in
            calls.wrappingAdd(1, ordering: .relaxed)
            return echo(request)
        }
        let connection = RawConnection(port: server.port)
        connection.send("POST /x HTTP/1.1\r\nHost: a\r\n\(header)\r\n\r\n")
        if count > 0 {
            connection.send([UInt8](repeating: 120, count: count))
        } else {
            for _ in 0..<20 { connection.send("64\r\n" + String(repeating: "x", count: 100) + "\r\n") }
            connection.send("0\r\n\r\n")
        }
        let answer = connection.receive(until: "limitExceeded")
        #expect(answer.hasPrefix("HTTP/1.1 413"))
        #expect(answer.contains("limitExceeded"))
        let reached = calls.load(ordering: .relaxed)
        #expect(reached == 0)
    }

    @Test func `a body of exactly the limit is taken`() throws {
        let server = try HTTPServer(port: 0, secret: nil, limits: limits(bodyBytes: 1024), handler: echo)
        let reply = try client.send(
            "POST", "http://127.0.0.1:\(server.port)/x", body: [UInt8](repeating: 120, count: 1024),
            timeoutMillis: 10_000)
        #expect(reply.status == 200)
    }

    @Test(arguments: ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"])
    func `without the secret every method on every route is refused before the handler`(method: String) throws {
        let calls = Atomic(0)
        let server = try HTTPServer(port: 0, secret: "right") { request in
            calls.wrappingAdd(1, ordering: .relaxed)
            return echo(request)
        }
        for path in [
            "/", "/v1/jobs", "/v1/blocks/1/2", "/metrics", "/v1/health/", "/v1/healthy", "/v1//health", "/nowhere",
        ] {
            for secret in [nil, "", "wrong", "righ", "rightt", "RIGHT"] {
                let reply = try HTTPClient(secret: secret).send(
                    method, "http://127.0.0.1:\(server.port)\(path)", body: method == "POST" ? [1, 2] : [],
                    timeoutMillis: 10_000)
                #expect(reply.status == 401, "\(method) \(path) \(secret ?? "none")")
                if method != "HEAD" {
                    let failure = client.failure(of: reply, method, path)
                    #expect(failure?.code == .unauthorized)
                }
            }
        }
        let reached = calls.load(ordering: .relaxed)
        #expect(reached == 0)
    }

    @Test(arguments: ["/v1/health", "/v1/ready"])
    func `health and readiness are open to everybody`(path: String) throws {
        let server = try HTTPServer(port: 0, secret: "right", handler: echo)
        let reply = try client.send("GET", "http://127.0.0.1:\(server.port)\(path)", timeoutMillis: 10_000)
        #expect(reply.status == 200)
    }

    @Test func `a port that is taken is said so`() throws {
        let server = try HTTPServer(port: 0, secret: nil, handler: echo)
        let failure = #expect(throws: Failure.self) {
            _ = try HTTPServer(port: server.port, secret: nil, handler: echo)
        }
        #expect(failure?.code == .portTaken)
        #expect(failure?.what == "cannot listen on 127.0.0.1:\(server.port)")
    }

    @Test(arguments: [
        ("192.0.2.1", 0, Failure.Code.invalidSetting), ("no such host", 0, .invalidSetting),
        ("127.0.0.1", 70_000, .invalidSetting),
    ])
    func `an address that cannot be had is said so`(address: String, port: Int, code: Failure.Code) throws {
        let failure = #expect(throws: Failure.self) {
            _ = try HTTPServer(address: address, port: port, secret: nil, handler: echo)
        }
        #expect(failure?.code == code)
    }

    /// What clients send that are none, or that mean harm.
    static let garbage = [
        "\u{0}\u{1}\u{2}\u{3}", "GET\r\n\r\n", "GET / HTTP/9.9\r\n\r\n", "\r\n\r\n\r\n\r\n", ": : :\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "GET / HTTP/1.1\r\nX: " + String(repeating: "y", count: 200_000) + "\r\n\r\n",
        "GET /%ff%00%fe?%ff=%fe HTTP/1.1\r\nHost: \u{7f}\r\n\r\n",
    ]

    @Test(arguments: garbage.indices)
    func `garbage leaves the server alive`(index: Int) throws {
        let server = try HTTPServer(port: 0, secret: "s", handler: echo)
        for _ in 0..<3 {
            let connection = RawConnection(port: server.port)
            connection.send(Self.garbage[index])
        }
        let reply = try HTTPClient(secret: "s").send("GET", "http://127.0.0.1:\(server.port)/x", timeoutMillis: 10_000)
        #expect(reply.status == 200)
    }

    /// libmicrohttpd 0.9.75 follows a null pointer when it is stopped while it answers garbage.
    @Test func `a server may be stopped while garbage arrives`() throws {
        for round in 0..<1000 {
            let server = try HTTPServer(port: 0, secret: nil, handler: echo)
            DispatchQueue.concurrentPerform(iterations: 5) { index in
                guard index < 4 else { return server.stop() }
                guard let connection = RawConnection(trying: server.port) else { return }
                connection.send(Self.garbage[(round + index) % Self.garbage.count])
            }
        }
    }

    @Test func `two requests go over one connection`() throws {
        let server = try HTTPServer(port: 0, secret: nil, handler: echo)
        let connection = RawConnection(port: server.port)
        for path in ["/first", "/second"] {
            connection.send("GET \(path) HTTP/1.1\r\nHost: a\r\n\r\n")
            // JSON escapes the slash.
            #expect(connection.receive(until: "}").contains("\\\(path)\""))
        }
    }

    @Test func `a client that never finishes its request is dropped`() throws {
        let server = try HTTPServer(port: 0, secret: nil, limits: limits(idleSeconds: 1), handler: echo)
        let connection = RawConnection(port: server.port)
        connection.send("POST /x HTTP/1.1\r\nContent-Length: 10\r\n\r\nabc")
        // Nothing, or an answer that says why; then the end.
        let last = connection.receive(until: "no such text")
        #expect(last.isEmpty || last.hasPrefix("HTTP/1.1 408"))
    }

    @Test func `an announcement of a body without end makes no room for it`() throws {
        let server = try HTTPServer(port: 0, secret: nil, handler: echo)
        let connection = RawConnection(port: server.port)
        connection.send(
            "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4611686018427387904\r\nExpect: 100-continue\r\n\r\n")
        // This comes after the headers were read, and so after the room was made, if it was.
        #expect(connection.receive(until: "\r\n\r\n").hasPrefix("HTTP/1.1 100"))
        #expect(try client.send("GET", "http://127.0.0.1:\(server.port)/x", timeoutMillis: 10_000).status == 200)
    }

    @Test func `a handler may work longer than a connection may idle`() throws {
        let never = DispatchSemaphore(value: 0)
        let server = try HTTPServer(port: 0, secret: nil, limits: limits(idleSeconds: 1)) { request in
            // The case itself, not a synchronisation: nobody signals, so the handler is busy for two and a half seconds.
            _ = never.wait(timeout: .now() + 2.5)
            return echo(request)
        }
        let reply = try client.send("GET", "http://127.0.0.1:\(server.port)/slow", timeoutMillis: 20_000)
        #expect(reply.status == 200)
    }

    @Test func `600 sockets that say nothing, or say it slowly, occupied every thread of the server`() throws {
        let server = try HTTPServer(port: 0, secret: "s", handler: echo)
        let client = HTTPClient(secret: "s")
        func ask() throws -> Duration {
            let start = ContinuousClock.now
            _ = try client.send("GET", "http://127.0.0.1:\(server.port)/v1/jobs", timeoutMillis: 10_000)
            return ContinuousClock.now - start
        }
        // One that came first and stays.
        let early = RawConnection(port: server.port)
        early.send("GET /early HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer s\r\n\r\n")
        #expect(early.receive(until: "}").contains("200 OK"))
        let strangers = Strangers(port: server.port, count: 600)
        for _ in 0..<5 {
            strangers.drip()
            let took = try ask()
            #expect(took < .seconds(1), "\(took)")
            // A client that was not there before.
            let late = RawConnection(port: server.port)
            late.send("GET /late HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer s\r\n\r\n")
            #expect(late.receive(until: "}").contains("200 OK"))
        }
        early.send("GET /again HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer s\r\n\r\n")
        #expect(early.receive(until: "}").contains("200 OK"))
        // The right of a stranger is a short one.
        #expect(strangers.openCount <= HTTPServerLimits().strangers)
    }

    @Test func `a stranger that says nothing is closed long before one that is known`() {
        var limits = limits(idleSeconds: 30)
        limits.strangerIdleSeconds = 1
        guard let server = try? HTTPServer(port: 0, secret: "s", limits: limits, handler: echo) else { return }
        let known = RawConnection(port: server.port)
        known.send("GET /known HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer s\r\n\r\n")
        #expect(known.receive(until: "}").contains("200 OK"))
        let stranger = RawConnection(port: server.port)
        #expect(stranger.receive() == nil)
        known.send("GET /still HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer s\r\n\r\n")
        #expect(known.receive(until: "}").contains("200 OK"))
    }

    @Test func `stopping waits for running handlers and closes idle connections`() throws {
        let started = DispatchSemaphore(value: 0)
        let release = DispatchSemaphore(value: 0)
        let finished = DispatchSemaphore(value: 0)
        let handled = Atomic(false)
        let server = try HTTPServer(port: 0, secret: nil) { request in
            if request.path == "/block" {
                started.signal()
                release.wait()
                handled.store(true, ordering: .sequentiallyConsistent)
            }
            return echo(request)
        }
        let url = "http://127.0.0.1:\(server.port)"
        let idle = RawConnection(port: server.port)
        idle.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        _ = idle.receive(until: "}")
        let client = client
        DispatchQueue.global().async {
            // Whether the answer still gets through is open: the server is being stopped.
            _ = try? client.send("GET", url + "/block", timeoutMillis: 20_000)
            finished.signal()
        }
        started.wait()
        DispatchQueue.global().async { release.signal() }
        server.stop()
        let wasHandled = handled.load(ordering: .sequentiallyConsistent)
        #expect(wasHandled)
        #expect(idle.receive() == nil)
        finished.wait()
        #expect(throws: Failure.self) { try client.send("GET", url + "/x", timeoutMillis: 2000) }
    }

    @Test func `a stopped server gives its port back at once`() throws {
        let first = try HTTPServer(port: 0, secret: nil, handler: echo)
        _ = try client.send("GET", "http://127.0.0.1:\(first.port)/x", timeoutMillis: 10_000)
        first.stop()
        let second = try HTTPServer(port: first.port, secret: nil, handler: echo)
        #expect(try client.send("GET", "http://127.0.0.1:\(second.port)/x", timeoutMillis: 10_000).status == 200)
    }
}
