// A plain TCP connection and a plain listener: for saying to the server and the client what no HTTP library would say.

import Glibc
import Testing

struct RawConnection: ~Copyable {
    private let descriptor: Int32

    init(descriptor: Int32) {
        self.descriptor = descriptor
        // No test may hang: a peer that says nothing for this long has failed it.
        var limit = timeval(tv_sec: 20, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    init(port: Int) {
        guard let connection = RawConnection(trying: port) else {
            preconditionFailure("cannot connect to the port under test: \(errno)")
        }
        self = connection
    }

    /// nil when the port refuses.
    init?(trying port: Int) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard withLoopback(port: port, { connect(descriptor, $0, $1) }) == 0 else {
            close(descriptor)
            return nil
        }
        self.init(descriptor: descriptor)
    }

    deinit { close(descriptor) }

    func send(_ text: String) { send(Array(text.utf8)) }

    func send(_ bytes: [UInt8]) { _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) }

    /// Up to the next bytes that arrive; nil when the peer has closed (or reset) the connection.
    func receive() -> String? {
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        let count = recv(descriptor, &buffer, buffer.count, 0)
        if count < 0, errno == EAGAIN { Issue.record("the peer says nothing and does not close") }
        return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
    }

    /// Reads until the text has come, or the peer has closed.
    func receive(until end: String) -> String {
        var text = ""
        while !text.contains(end), let more = receive() { text += more }
        return text
    }

    /// Closes so that the peer sees a reset, as when a process is killed with data unread.
    func reset() {
        var lingering = linger(l_onoff: 1, l_linger: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &lingering, socklen_t(MemoryLayout<linger>.size))
    }
}

/// Connections of somebody who shows no credential; every other one has begun a request that it never ends.
final class Strangers {
    private let descriptors: [Int32]

    init(port: Int, count: Int) {
        descriptors = (0..<count).map { number in
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            _ = withLoopback(port: port) { connect(descriptor, $0, $1) }
            if number % 2 == 0 { _ = Glibc.send(descriptor, "GET /v1/jobs HTTP/1.1\r\n", 23, Int32(MSG_NOSIGNAL)) }
            return descriptor
        }
    }

    deinit { for descriptor in descriptors { close(descriptor) } }

    /// One more byte from each.
    func drip() { for descriptor in descriptors { _ = Glibc.send(descriptor, "x", 1, Int32(MSG_NOSIGNAL)) } }

    /// Those that the server has not closed.
    var openCount: Int {
        descriptors.filter { descriptor in
            var byte: UInt8 = 0
            return recv(descriptor, &byte, 1, Int32(MSG_DONTWAIT | MSG_PEEK)) < 0 && errno == EAGAIN
        }.count
    }
}

struct RawListener: ~Copyable {
    private let descriptor: Int32
    let port: Int

    init() {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        let bound = withLoopback(port: 0) { bind(descriptor, $0, $1) }
        precondition(bound == 0 && listen(descriptor, 16) == 0, "cannot listen: \(errno)")
        var address = sockaddr_in()
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { _ = getsockname(descriptor, $0, &length) }
        }
        self.descriptor = descriptor
        port = Int(UInt16(bigEndian: address.sin_port))
    }

    deinit { close(descriptor) }

    func accept() -> RawConnection { RawConnection(descriptor: Glibc.accept(descriptor, nil, nil)) }
}

private func withLoopback<Result>(
    port: Int, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Result
) -> Result {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = UInt16(port).bigEndian
    address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
    return withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { body($0, socklen_t(MemoryLayout<sockaddr_in>.size)) }
    }
}
