// One libcurl easy handle: performs one call at a time and keeps its connection for the next.
//
// Options are set anew for every call (`curl_easy_reset` leaves connections alone), so no call inherits anything from
// the one before. Everything handed to C by address (body, header list, reply) lives inside `perform`.
//
// Checklist: no signals (`NOSIGNAL`: the resolver's alarm would hit any thread, and SIGPIPE is blocked around TLS
// writes, where libcurl relies on it being ignored); no `Expect: 100-continue` (it costs a second against servers that
// do not answer it); no proxy on the way to this machine itself.

import CCurl
import Engine
import Glibc

/// Everything that one call is made of.
struct HTTPCall {
    var method: String
    var url: String
    var body: [UInt8]
    var contentType: String
    var secret: Secret?
    var tls: ClientTLS
    var timeoutMillis: Int
    var connectTimeoutMillis: Int
    var replyLimitBytes: Int
    var cancellation: HTTPCancellation?
}

/// Why there is no reply.
enum CallProblem { case unreachable, timeout, cancelled, notTrusted, wrongAddress, replyTooLarge, defect }

enum CallOutcome {
    case replied(HTTPReply)
    case broken(CallProblem, detail: String)
}

/// `@unchecked`: the pool lends a handle to one caller at a time.
final class CurlHandle: @unchecked Sendable {
    private let handle: UnsafeMutableRawPointer

    init() {
        precondition(Self.isReady, "libcurl cannot be initialised")
        guard let handle = curl_easy_init() else { preconditionFailure("libcurl gives no handle: out of memory") }
        self.handle = handle
    }

    deinit { curl_easy_cleanup(handle) }

    private static let isReady = sluice_curl_global_init() == CURLE_OK

    func perform(_ call: HTTPCall) -> CallOutcome {
        curl_easy_reset(handle)
        let incoming = IncomingReply(handle: handle, limitBytes: call.replyLimitBytes, cancellation: call.cancellation)
        var headers: UnsafeMutablePointer<curl_slist>?
        defer { curl_slist_free_all(headers) }
        var lines = ["Expect:"]
        if let secret = call.secret { lines.append("Authorization: Bearer \(secret.reveal())") }
        if !call.body.isEmpty || call.method == "POST" { lines.append("Content-Type: \(call.contentType)") }
        for line in lines { headers = curl_slist_append(headers, line) }

        setConnection(call)
        sluice_curl_set_pointer(handle, CURLOPT_HTTPHEADER, headers)
        let context = Unmanaged.passUnretained(incoming).toOpaque()
        sluice_curl_on_write(handle, receive, context)
        sluice_curl_on_header(handle, receiveHeader, context)
        if call.cancellation != nil { sluice_curl_on_progress(handle, checkCancelled, context) }
        let code = withExtendedLifetime(incoming) {
            call.body.withUnsafeBytes { body in
                setMethod(call.method, body)
                return call.url.hasPrefix("https:")
                    ? withoutBrokenPipe { curl_easy_perform(handle) } : curl_easy_perform(handle)
            }
        }
        guard code == CURLE_OK else {
            return .broken(
                incoming.problem ?? problem(of: code, call.url), detail: String(cString: curl_easy_strerror(code)))
        }
        // A peer that died inside its headers is a success with an empty body to libcurl.
        guard incoming.hasAllHeaders else { return .broken(.unreachable, detail: "the connection ended in mid-answer") }
        var status = 0
        sluice_curl_get_long(handle, CURLINFO_RESPONSE_CODE, &status)
        var type: UnsafeMutablePointer<CChar>?
        sluice_curl_get_text(handle, CURLINFO_CONTENT_TYPE, &type)
        return .replied(
            HTTPReply(status: status, contentType: type.map { String(cString: $0) } ?? "", body: incoming.body))
    }

    private func setConnection(_ call: HTTPCall) {
        sluice_curl_set_text(handle, CURLOPT_URL, call.url)
        sluice_curl_set_text(handle, CURLOPT_PROTOCOLS_STR, "http,https")
        sluice_curl_set_long(handle, CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
        sluice_curl_set_long(handle, CURLOPT_NOSIGNAL, 1)
        sluice_curl_set_long(handle, CURLOPT_TCP_NODELAY, 1)
        // A task call is silent for minutes; a peer whose machine vanished is noticed by unanswered probes.
        sluice_curl_set_long(handle, CURLOPT_TCP_KEEPALIVE, 1)
        sluice_curl_set_long(handle, CURLOPT_TCP_KEEPIDLE, 10)
        sluice_curl_set_long(handle, CURLOPT_TCP_KEEPINTVL, 5)
        // Child processes must not hold a connection open whose owner has died.
        sluice_curl_on_socket(handle) { _, descriptor, _ in
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
            return CURL_SOCKOPT_OK
        }
        sluice_curl_set_long(handle, CURLOPT_MAXAGE_CONN, 45)
        sluice_curl_set_long(handle, CURLOPT_MAXCONNECTS, 1)
        sluice_curl_set_long(handle, CURLOPT_BUFFERSIZE, 64 << 10)
        sluice_curl_set_long(handle, CURLOPT_TIMEOUT_MS, call.timeoutMillis)
        sluice_curl_set_long(handle, CURLOPT_CONNECTTIMEOUT_MS, call.connectTimeoutMillis)
        if isLoopback(call.url) { sluice_curl_set_text(handle, CURLOPT_PROXY, "") }
        guard call.url.hasPrefix("https:") else { return }
        sluice_curl_set_long(handle, CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
        if let file = call.tls.authoritiesFile { sluice_curl_set_text(handle, CURLOPT_CAINFO, file) }
        if let file = call.tls.certificateFile { sluice_curl_set_text(handle, CURLOPT_SSLCERT, file) }
        if let file = call.tls.keyFile { sluice_curl_set_text(handle, CURLOPT_SSLKEY, file) }
    }

    private func setMethod(_ method: String, _ body: UnsafeRawBufferPointer) {
        if method == "HEAD" {
            sluice_curl_set_long(handle, CURLOPT_NOBODY, 1)
        } else if method == "POST" || !body.isEmpty {
            // The size first, or libcurl would look for a terminating zero.
            sluice_curl_set_long(handle, CURLOPT_POST, 1)
            sluice_curl_set_offset(handle, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(body.count))
            if body.isEmpty {
                sluice_curl_set_text(handle, CURLOPT_POSTFIELDS, "")
            } else {
                sluice_curl_set_pointer(handle, CURLOPT_POSTFIELDS, body.baseAddress)
            }
            if method != "POST" { sluice_curl_set_text(handle, CURLOPT_CUSTOMREQUEST, method) }
        } else {
            sluice_curl_set_long(handle, CURLOPT_HTTPGET, 1)
            if method != "GET" { sluice_curl_set_text(handle, CURLOPT_CUSTOMREQUEST, method) }
        }
    }
}

/// The reply as it comes in; seen by the callbacks of one `perform` only.
private final class IncomingReply {
    let handle: UnsafeMutableRawPointer
    let limitBytes: Int
    let cancellation: HTTPCancellation?
    var body: [UInt8] = []
    var hasAllHeaders = false
    /// Why a callback broke the call off.
    var problem: CallProblem?

    init(handle: UnsafeMutableRawPointer, limitBytes: Int, cancellation: HTTPCancellation?) {
        self.handle = handle
        self.limitBytes = limitBytes
        self.cancellation = cancellation
    }

    func append(_ bytes: UnsafeRawBufferPointer) -> Int {
        if body.isEmpty {
            var announcedBytes: curl_off_t = -1
            sluice_curl_get_offset(handle, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &announcedBytes)
            if announcedBytes > 0, announcedBytes <= limitBytes { body.reserveCapacity(Int(announcedBytes)) }
        }
        guard body.count + bytes.count <= limitBytes else {
            problem = .replyTooLarge
            return 0
        }
        body.append(contentsOf: bytes)
        return bytes.count
    }
}

private func receive(
    _ data: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    let incoming = Unmanaged<IncomingReply>.fromOpaque(context!).takeUnretainedValue()
    return incoming.append(UnsafeRawBufferPointer(start: data, count: size * count))
}

private func receiveHeader(
    _ line: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    let incoming = Unmanaged<IncomingReply>.fromOpaque(context!).takeUnretainedValue()
    // Also after an interim answer (100), which new headers follow.
    incoming.hasAllHeaders = size * count <= 2
    return size * count
}

private func checkCancelled(
    _ context: UnsafeMutableRawPointer?, _: curl_off_t, _: curl_off_t, _: curl_off_t, _: curl_off_t
) -> Int32 {
    let incoming = Unmanaged<IncomingReply>.fromOpaque(context!).takeUnretainedValue()
    guard incoming.cancellation?.isCancelled == true else { return 0 }
    incoming.problem = .cancelled
    return 1
}

private func problem(of code: CURLcode, _ url: String) -> CallProblem {
    switch code {
    case CURLE_OPERATION_TIMEDOUT: .timeout
    case CURLE_COULDNT_CONNECT, CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY, CURLE_GOT_NOTHING,
        CURLE_SEND_ERROR, CURLE_RECV_ERROR, CURLE_PARTIAL_FILE, CURLE_WEIRD_SERVER_REPLY:
        .unreachable
    case CURLE_SSL_CONNECT_ERROR, CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_ISSUER_ERROR,
        CURLE_SSL_CERTPROBLEM, CURLE_SSL_CIPHER, CURLE_SSL_INVALIDCERTSTATUS, CURLE_SSL_PINNEDPUBKEYNOTMATCH:
        .notTrusted
    // Also said of an answer that is no HTTP.
    case CURLE_UNSUPPORTED_PROTOCOL where url.hasPrefix("http:") || url.hasPrefix("https:"): .unreachable
    case CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL: .wrongAddress
    default: .defect
    }
}

private func isLoopback(_ url: String) -> Bool {
    guard let scheme = url.firstRange(of: "://") else { return false }
    let host = url[scheme.upperBound...]
    return host.hasPrefix("127.") || host.hasPrefix("localhost") || host.hasPrefix("[::1]")
}

/// TLS writes go through the TLS library, which raises SIGPIPE when the peer is gone: keep it off this thread, and take
/// back one that came meanwhile.
private func withoutBrokenPipe<Result>(_ body: () -> Result) -> Result {
    var pipe = sigset_t()
    sigemptyset(&pipe)
    sigaddset(&pipe, SIGPIPE)
    var before = sigset_t()
    pthread_sigmask(SIG_BLOCK, &pipe, &before)
    defer {
        if sigismember(&before, SIGPIPE) == 0 {
            var now = timespec(tv_sec: 0, tv_nsec: 0)
            while sigtimedwait(&pipe, nil, &now) == SIGPIPE {}
            pthread_sigmask(SIG_SETMASK, &before, nil)
        }
    }
    return body()
}
