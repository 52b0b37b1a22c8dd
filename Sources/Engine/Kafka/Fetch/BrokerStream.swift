// Bytes to and from one broker: a socket, plainly. `TLSStream` is the same with TLS around it.
//
// Both never block by themselves: they say that nothing went, and whoever waits asks `wait` or polls the descriptor. Every address of
// a name is tried in turn. A stream belongs to one thread at a time and closes with its last reference.

import Foundation
import Glibc

/// A connection failed: why, in words for a person.
package struct StreamError: Error, Hashable {
    package var why: String

    package init(_ why: String) { self.why = why }

    static func system(_ doing: String, _ code: Int32 = errno) -> StreamError {
        StreamError("\(doing): \(String(cString: strerror(code)))")
    }
}

package protocol BrokerStream: AnyObject {
    var descriptor: Int32 { get }
    /// What the descriptor must be able to do before another try, as poll's events.
    var awaited: Int16 { get }
    /// - Returns: bytes that came; nil when none are there.
    /// - Throws: `StreamError`, also when the other side has closed.
    func receive(into room: UnsafeMutableRawBufferPointer) throws -> Int?
    /// - Returns: bytes that went; nil when none could.
    func send(_ bytes: UnsafeRawBufferPointer) throws -> Int?
}

extension BrokerStream {
    /// Waits until another try may succeed.
    /// - Throws: `StreamError` when the deadline is over.
    package func wait(until deadline: ContinuousClock.Instant, for events: Int16) throws {
        while true {
            let left = (deadline - .now) / .milliseconds(1)
            guard left > 0 else { throw StreamError("no answer came in time") }
            var entry = pollfd(fd: descriptor, events: events | awaited, revents: 0)
            let ready = poll(&entry, 1, Int32(clamping: Int(left) + 1))
            if ready > 0 { return }
            if ready < 0 && errno != EINTR { throw StreamError.system("poll") }
        }
    }

    package func sendAll(_ bytes: UnsafeRawBufferPointer, until deadline: ContinuousClock.Instant) throws {
        var sent = 0
        while sent < bytes.count {
            if let count = try send(UnsafeRawBufferPointer(rebasing: bytes[sent...])) {
                sent += count
            } else {
                try wait(until: deadline, for: Int16(POLLOUT))
            }
        }
    }

    package func receiveAll(_ room: UnsafeMutableRawBufferPointer, until deadline: ContinuousClock.Instant) throws {
        var received = 0
        while received < room.count {
            if let count = try receive(into: UnsafeMutableRawBufferPointer(rebasing: room[received...])) {
                received += count
            } else {
                try wait(until: deadline, for: Int16(POLLIN))
            }
        }
    }
}

package final class PlainStream: BrokerStream {
    package let descriptor: Int32
    package var awaited: Int16 { 0 }

    private init(descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// Connects to the first address of the name that answers.
    /// - Parameter family: `any`, `v4` or `v6`.
    package static func connect(
        to address: BrokerAddress, family: String, until deadline: ContinuousClock.Instant
    ) throws -> PlainStream {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        hints.ai_flags = AI_ADDRCONFIG
        hints.ai_family = family == "v4" ? AF_INET : family == "v6" ? AF_INET6 : AF_UNSPEC
        var found: UnsafeMutablePointer<addrinfo>?
        var code = getaddrinfo(address.host, String(address.port), &hints, &found)
        if code != 0 && hints.ai_flags != 0 {
            // A host whose only address is loopback has no address that counts as configured.
            hints.ai_flags = 0
            code = getaddrinfo(address.host, String(address.port), &hints, &found)
        }
        guard code == 0, let found else { throw StreamError("Failed to resolve '\(address)': \(String(cString: gai_strerror(code)))") }
        defer { freeaddrinfo(found) }
        var last = StreamError("the name has no address")
        var entry: UnsafeMutablePointer<addrinfo>? = found
        while let one = entry {
            do { return try connect(one, until: deadline) } catch let error as StreamError { last = error }
            entry = one.pointee.ai_next
        }
        throw last
    }

    private static func connect(_ entry: UnsafeMutablePointer<addrinfo>, until deadline: ContinuousClock.Instant) throws -> PlainStream {
        let descriptor = socket(entry.pointee.ai_family, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw StreamError.system("socket") }
        let stream = PlainStream(descriptor: descriptor)
        var one: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, socklen_t(MemoryLayout<Int32>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_KEEPALIVE, &one, socklen_t(MemoryLayout<Int32>.size))
        if var room = Self.receiveRoom {
            setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &room, socklen_t(MemoryLayout<Int32>.size))
        }
        if Glibc.connect(descriptor, entry.pointee.ai_addr, entry.pointee.ai_addrlen) != 0 {
            guard errno == EINPROGRESS else { throw StreamError.system("Connect failed") }
            do { try stream.wait(until: deadline, for: Int16(POLLOUT)) } catch { throw StreamError("Connect failed: no answer in time") }
            var (problem, size) = (Int32(0), socklen_t(MemoryLayout<Int32>.size))
            getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &problem, &size)
            guard problem == 0 else { throw StreamError.system("Connect failed", problem) }
        }
        return stream
    }

    /// What the kernel takes of the next answer while this one is decoded. Where the system allows less than it would come to by
    /// itself, it is left alone.
    private static let receiveRoom: Int32? = {
        let most = (try? String(contentsOfFile: "/proc/sys/net/core/rmem_max", encoding: .utf8)).flatMap {
            Int32($0.trimmingCharacters(in: .whitespacesAndNewlines))
        }
        guard let most, most >= 1 << 20 else { return nil }
        return min(most, 4 << 20)
    }()

    package func receive(into room: UnsafeMutableRawBufferPointer) throws -> Int? {
        while true {
            let count = recv(descriptor, room.baseAddress, room.count, 0)
            if count > 0 { return count }
            if count == 0 { throw StreamError("the broker closed the connection") }
            if errno == EAGAIN { return nil }
            if errno != EINTR { throw StreamError.system("Receive failed") }
        }
    }

    package func send(_ bytes: UnsafeRawBufferPointer) throws -> Int? {
        while true {
            let count = Glibc.send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
            if count >= 0 { return count }
            if errno == EAGAIN { return nil }
            if errno != EINTR { throw StreamError.system("Send failed") }
        }
    }
}
