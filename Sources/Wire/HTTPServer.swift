// The HTTP server of a driver or a worker: one port, one handler.
//
// It decides who may come in (`AccessRule`) and how much a request may bring; everything else is the handler's. One
// thread accepts, each connection has a thread of its own, so a handler may block for minutes (a task runs inside its
// call) without holding up others. A request passes three steps, all on its connection's thread:
//
//     headers  -> refused (401, 413)? remember the answer, else make room for the body
//     body     -> append, or drop when refused; past the limit the request is refused as well
//     complete -> the handler runs; its answer is sent; the connection waits for the next request
//
// The body of a refused request is read and dropped, because a client that is still sending would see a reset
// connection in place of the answer, and try again. Without the secret only so much is read as a request may bring.
//
// Who has not shown a credential is a stranger: of those there may be few, and they may idle for short (`StrangerBudget`). So
// nobody can occupy the threads of those who belong here.
//
// Stopping: no new connection, then the reading side of every open one is closed, so that an idle one ends and a busy one
// ends behind its answer; only when none is left is the library told to stop. Its release 0.9.75 follows a null pointer
// when it is stopped at the moment in which it answers garbage with 400: there must be nobody left to answer.
//
// Idle connections are closed after `idleSeconds`, those of strangers after `strangerIdleSeconds`; the time of a handler is not idle. Garbage is answered
// with 400 by the library. Nothing here survives a crash or needs to.
//
// Checklist: the C handle lives in this file only; `context` (the `Service`) outlives the daemon; a `RequestIntake` is
// retained once, at its headers, and released once, in `requestCompleted`, which the library always calls.

import CMicroHTTPD
import Dispatch
import Engine
import Glibc
import Synchronization

/// Certificate and key as PEM texts.
package struct ServerTLS: Sendable {
    package var certificate: String
    package var key: Secret
    /// Authorities whose certificates admit a client without the secret; nil asks for none.
    package var clientAuthorities: String?

    package init(certificate: String, key: Secret, clientAuthorities: String? = nil) {
        self.certificate = certificate
        self.key = key
        self.clientAuthorities = clientAuthorities
    }
}

package struct HTTPServerLimits: Sendable {
    /// The largest body taken; 413 above it.
    package var bodyBytes = 64 << 20
    /// Each connection is a thread; the next ones wait in the accept queue.
    package var connections = 512
    package var idleSeconds = 60
    /// Beside those: connections that have not shown a credential yet. The oldest goes for the next one.
    package var strangers = 64
    package var strangerIdleSeconds = 5

    package init() {}
}

/// Listens from `init` until `stop`.
package final class HTTPServer: Sendable {
    package let port: Int
    private let service: Service
    private let daemon: Mutex<Daemon?>

    /// - Parameters:
    ///   - port: 0 takes a free one; see `port`.
    ///   - secret: without one and without `clientAuthorities` everybody may come in (tests only: protocol 13).
    ///   - handler: called on many threads at once; it may block.
    package init(
        address: String = "127.0.0.1", port: Int, secret: String?, tls: ServerTLS? = nil,
        limits: HTTPServerLimits = HTTPServerLimits(), handler: @escaping @Sendable (HTTPRequest) -> HTTPResponse
    ) throws(Failure) {
        let socket = try ListeningSocket(address: address, port: port)
        let rule = AccessRule(secret: secret.map(Secret.init), admitsCertificates: tls?.clientAuthorities != nil)
        service = Service(rule: rule, limits: limits, handler: handler)
        self.port = socket.port
        daemon = Mutex(try Daemon(socket: socket, tls: tls, service: service))
    }

    deinit { stop() }

    /// Takes no new connections, closes idle ones, and returns when every running handler has returned. A handler must
    /// not call it: it would wait for itself.
    package func stop() {
        let running = daemon.withLock { daemon in
            let running = daemon
            daemon = nil
            return running
        }
        running?.stop()
    }
}

/// What the callbacks see of a server; it does not change while the daemon runs.
private final class Service: Sendable {
    let rule: AccessRule
    let limits: HTTPServerLimits
    let handler: @Sendable (HTTPRequest) -> HTTPResponse
    let connections: Mutex<OpenConnections>
    /// Signalled once, when the server is stopping and no connection is left.
    let isEmpty = DispatchSemaphore(value: 0)

    init(rule: AccessRule, limits: HTTPServerLimits, handler: @escaping @Sendable (HTTPRequest) -> HTTPResponse) {
        self.rule = rule
        self.limits = limits
        self.handler = handler
        connections = Mutex(OpenConnections(strangers: StrangerBudget(most: limits.strangers)))
    }
}

private struct OpenConnections {
    var sockets: Set<Int32> = []
    var strangers: StrangerBudget
    var isStopping = false
}

extension Service {
    func opened(_ socket: Int32) {
        let address = Self.address(of: socket)
        connections.withLock { connections in
            connections.sockets.insert(socket)
            if connections.isStopping { shutdown(socket, Int32(SHUT_RD)) }
            // Its own thread closes it; the number cannot be another's before `closed` has taken the lock.
            if let gone = connections.strangers.opened(socket, from: address) { shutdown(gone, Int32(SHUT_RDWR)) }
        }
    }

    /// The connection's other end has shown a credential.
    func known(_ connection: OpaquePointer) {
        connections.withLock { $0.strangers.known(sluice_mhd_socket(connection)) }
        sluice_mhd_set_idle(connection, UInt32(limits.idleSeconds))
    }

    /// Without the port: one client has many.
    private static func address(of socket: Int32) -> [UInt8] {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutablePointer(to: &storage) { storage in
            let isKnown = storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(socket, $0, &length) == 0 }
            guard isKnown else { return [] }
            if storage.pointee.ss_family == sa_family_t(AF_INET6) {
                return storage.withMemoryRebound(to: sockaddr_in6.self, capacity: 1) {
                    withUnsafeBytes(of: $0.pointee.sin6_addr) { Array($0.prefix(8)) }
                }
            }
            return storage.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
                withUnsafeBytes(of: $0.pointee.sin_addr) { Array($0) }
            }
        }
    }

    func closed(_ socket: Int32) {
        let isLast = connections.withLock { connections in
            connections.sockets.remove(socket)
            connections.strangers.closed(socket)
            return connections.isStopping && connections.sockets.isEmpty
        }
        if isLast { isEmpty.signal() }
    }

    /// Returns when every connection that was open is closed. Its socket cannot become another's meanwhile: `closed`
    /// takes the lock before the library lets go of it.
    func closeAll() {
        let isNone = connections.withLock { connections in
            connections.isStopping = true
            for socket in connections.sockets { shutdown(socket, Int32(SHUT_RD)) }
            return connections.sockets.isEmpty
        }
        if !isNone { isEmpty.wait() }
    }
}

/// The C handle. `@unchecked`: it is used once after `init`, by whoever took it out of the server's lock.
private struct Daemon: @unchecked Sendable {
    private let handle: OpaquePointer
    private let service: Service
    /// Copies of the PEM texts, which the library reads for as long as it runs.
    private let texts: [UnsafeMutablePointer<CChar>]

    init(socket: ListeningSocket, tls: ServerTLS?, service: Service) throws(Failure) {
        let key = tls.map { strdup($0.key.reveal())! }
        let certificate = tls.map { strdup($0.certificate)! }
        let authorities = tls?.clientAuthorities.map { strdup($0)! }
        let texts = [key, certificate, authorities].compactMap { $0 }
        // Handlers decode JSON and read state: Swift frames need more than the library's small default stacks.
        let isTrustUsable = authorities.map { sluice_tls_authority_count($0) > 0 } ?? true
        let handle =
            !isTrustUsable
            ? nil
            : sluice_mhd_start(
                // Some that were closed for others are still on their way out.
                socket.descriptor, UInt32(service.limits.connections + 2 * service.limits.strangers),
                UInt32(min(service.limits.strangerIdleSeconds, service.limits.idleSeconds)), 64 << 10,
                2 << 20,
                key, certificate, authorities, accessRequest, requestCompleted, connectionChanged,
                Unmanaged.passUnretained(service).toOpaque())
        guard let handle else {
            texts.forEach { free($0) }
            close(socket.descriptor)
            throw tls == nil
                ? Failure(
                    .notPossible, "the HTTP server cannot start", why: "no thread or descriptor could be had",
                    now: "check the limits of this process (`ulimit -a`)")
                : Failure(
                    .fileInvalid, "the HTTP server cannot start with TLS",
                    why: "certificate, key or authorities cannot be read as PEM, or do not belong together",
                    now: "check the files of `--tls-cert`, `--tls-key` and `--tls-ca`")
        }
        self.handle = handle
        self.service = service
        self.texts = texts
    }

    func stop() {
        let listening = MHD_quiesce_daemon(handle)
        shutdown(listening, Int32(SHUT_RDWR))
        service.closeAll()
        MHD_stop_daemon(handle)
        close(listening)
        for text in texts {
            memset(text, 0, strlen(text))
            free(text)
        }
    }
}

/// One request while it arrives; used by its connection's thread only.
private final class RequestIntake {
    var request: HTTPRequest
    /// Set when the request must not reach the handler.
    var refusal: HTTPResponse?
    var isAuthorised = true
    var receivedBytes = 0

    init(_ request: HTTPRequest) { self.request = request }
}

extension Service {
    /// The headers are here.
    func begin(_ connection: OpaquePointer, path: String, method: String) -> RequestIntake {
        let headers = values(connection, .HEADER_KIND, lowerCase: true)
        let intake = RequestIntake(
            HTTPRequest(
                method: method, path: path, query: values(connection, .GET_ARGUMENT_KIND, lowerCase: false),
                headers: headers))
        let announcedBytes = headers["content-length"].flatMap { Int($0) } ?? 0
        if !rule.allows(
            path: path, authorization: headers["authorization"],
            isPeerVerified: sluice_mhd_peer_is_verified(connection))
        {
            var refusal = HTTPResponse.failure(rule.refusal)
            refusal.headers.append(("WWW-Authenticate", "Bearer"))
            intake.refusal = refusal
            intake.isAuthorised = false
            return intake
        }
        if !AccessRule.openPaths.contains(path) { known(connection) }
        if announcedBytes > limits.bodyBytes {
            intake.refusal = tooLarge()
        } else {
            intake.request.body.reserveCapacity(announcedBytes)
        }
        return intake
    }

    /// - Returns: false when the connection must be closed without an answer.
    func append(_ bytes: UnsafeRawBufferPointer, to intake: RequestIntake) -> Bool {
        intake.receivedBytes += bytes.count
        if intake.receivedBytes > limits.bodyBytes, intake.refusal == nil {
            intake.refusal = tooLarge()
            intake.request.body = []
        }
        if intake.refusal == nil { intake.request.body.append(contentsOf: bytes) }
        return intake.isAuthorised || intake.receivedBytes <= limits.bodyBytes
    }

    /// The request is complete.
    func answer(_ connection: OpaquePointer, _ intake: RequestIntake) -> MHD_Result {
        queue(intake.refusal ?? handler(intake.request), on: connection)
    }

    private func tooLarge() -> HTTPResponse {
        .failure(
            Failure(
                .limitExceeded, "the request body is too large",
                why: "this server takes up to \(limits.bodyBytes) bytes",
                now: "send less in one request"))
    }
}

/// Up to here a body is copied into the library's buffer, which saves a callback; above, it is read piecewise.
private let copiedBytes = 64 << 10

private func queue(_ response: HTTPResponse, on connection: OpaquePointer) -> MHD_Result {
    let made: OpaquePointer?
    if response.body.count <= copiedBytes {
        made = response.body.withUnsafeBytes {
            MHD_create_response_from_buffer(
                $0.count, UnsafeMutableRawPointer(mutating: $0.baseAddress), .RESPMEM_MUST_COPY)
        }
    } else {
        made = MHD_create_response_from_callback(
            UInt64(response.body.count), copiedBytes, readBody,
            Unmanaged.passRetained(SentBody(response.body)).toOpaque(), releaseBody)
    }
    guard let made else { return .NO }
    defer { MHD_destroy_response(made) }
    MHD_add_response_header(made, "Content-Type", response.contentType)
    for (name, value) in response.headers { MHD_add_response_header(made, name, value) }
    return MHD_queue_response(connection, UInt32(response.status), made)
}

/// A large body on its way out: shares the array's storage until the library lets go of it.
private final class SentBody {
    let bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }
}

private func readBody(
    _ context: UnsafeMutableRawPointer?, _ position: UInt64, _ buffer: UnsafeMutablePointer<CChar>?, _ room: Int
) -> Int {
    let body = Unmanaged<SentBody>.fromOpaque(context!).takeUnretainedValue()
    return body.bytes.withUnsafeBytes { bytes in
        let count = min(room, bytes.count - Int(position))
        memcpy(buffer!, bytes.baseAddress! + Int(position), count)
        return count
    }
}

private func releaseBody(_ context: UnsafeMutableRawPointer?) {
    Unmanaged<SentBody>.fromOpaque(context!).release()
}

private func accessRequest(
    _ context: UnsafeMutableRawPointer?, _ connection: OpaquePointer?, _ path: UnsafePointer<CChar>?,
    _ method: UnsafePointer<CChar>?, _ version: UnsafePointer<CChar>?, _ data: UnsafePointer<CChar>?,
    _ dataBytes: UnsafeMutablePointer<Int>?, _ state: UnsafeMutablePointer<UnsafeMutableRawPointer?>?
) -> MHD_Result {
    let service = Unmanaged<Service>.fromOpaque(context!).takeUnretainedValue()
    guard let known = state!.pointee else {
        let intake = service.begin(connection!, path: String(cString: path!), method: String(cString: method!))
        state!.pointee = Unmanaged.passRetained(intake).toOpaque()
        return .YES
    }
    let intake = Unmanaged<RequestIntake>.fromOpaque(known).takeUnretainedValue()
    guard dataBytes!.pointee > 0 else { return service.answer(connection!, intake) }
    let isTaken = service.append(UnsafeRawBufferPointer(start: data, count: dataBytes!.pointee), to: intake)
    dataBytes!.pointee = 0
    return isTaken ? .YES : .NO
}

private func requestCompleted(
    _ context: UnsafeMutableRawPointer?, _ connection: OpaquePointer?,
    _ state: UnsafeMutablePointer<UnsafeMutableRawPointer?>?, _ reason: MHD_RequestTerminationCode
) {
    guard let intake = state!.pointee else { return }
    Unmanaged<RequestIntake>.fromOpaque(intake).release()
    state!.pointee = nil
}

private func connectionChanged(
    _ context: UnsafeMutableRawPointer?, _ connection: OpaquePointer?,
    _ ofConnection: UnsafeMutablePointer<UnsafeMutableRawPointer?>?, _ change: MHD_ConnectionNotificationCode
) {
    let service = Unmanaged<Service>.fromOpaque(context!).takeUnretainedValue()
    let socket = sluice_mhd_socket(connection)
    switch change {
    case .CONNECTION_NOTIFY_STARTED: service.opened(socket)
    default: service.closed(socket)
    }
}

/// The library's list of headers or query arguments, copied.
private func values(_ connection: OpaquePointer, _ kind: MHD_ValueKind, lowerCase: Bool) -> [String: String] {
    var pairs: [(String, String)] = []
    withUnsafeMutablePointer(to: &pairs) { pairs in
        _ = MHD_get_connection_values(
            connection, kind,
            { context, _, name, value in
                let pairs = context!.assumingMemoryBound(to: [(String, String)].self)
                pairs.pointee.append((String(cString: name!), value.map { String(cString: $0) } ?? ""))
                return .YES
            }, pairs)
    }
    return Dictionary(pairs.map { (lowerCase ? $0.0.lowercased() : $0.0, $0.1) }, uniquingKeysWith: { _, last in last })
}
