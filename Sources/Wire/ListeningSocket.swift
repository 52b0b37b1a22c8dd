// Opens the socket that a server listens on, with an error a person can act on.
//
// The HTTP library could open it itself, but then says only that it did not work. Here each cause has its words. The
// descriptor is closed on exec, so that child processes do not keep the port of a driver that died.

import CMicroHTTPD
import Engine
import Glibc

/// A socket that listens, not yet handed to a server.
struct ListeningSocket {
    let descriptor: Int32
    let port: Int

    init(address: String, port: Int) throws(Failure) {
        guard (0...65_535).contains(port) else {
            throw Failure(
                .invalidSetting, "cannot listen on port \(port)", why: "a port is a number from 0 to 65535",
                now: "give another port in `--listen`, or 0 for a free one")
        }
        var hints = addrinfo()
        hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV
        hints.ai_family = AF_UNSPEC
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        let answer = getaddrinfo(address, String(port), &hints, &found)
        guard answer == 0, let found else {
            throw Failure(
                .invalidSetting, "cannot listen on \(address)", why: String(cString: gai_strerror(answer)),
                now: "give an address of this machine in `--listen`, for example 127.0.0.1:7070")
        }
        defer { freeaddrinfo(found) }

        let kind = found.pointee.ai_socktype | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        let descriptor = socket(found.pointee.ai_family, kind, found.pointee.ai_protocol)
        guard descriptor >= 0 else { throw Self.failure(address, port, errno) }
        var yes: Int32 = 1
        let size = socklen_t(MemoryLayout<Int32>.size)
        // Reuse: a restarted driver takes its port back at once although old connections are still in TIME_WAIT.
        // No delay: accepted sockets inherit it; a small answer must not wait for an acknowledgement.
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, size)
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &yes, size)
        guard bind(descriptor, found.pointee.ai_addr, found.pointee.ai_addrlen) == 0, listen(descriptor, 511) == 0
        else {
            let cause = errno
            close(descriptor)
            throw Self.failure(address, port, cause)
        }
        self.descriptor = descriptor
        self.port = Self.boundPort(descriptor)
    }

    private static func boundPort(_ descriptor: Int32) -> Int {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutablePointer(to: &storage) { storage in
            storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                precondition(getsockname(descriptor, address, &length) == 0, "a bound socket has a name")
            }
            // The port lies at the same place in `sockaddr_in` and `sockaddr_in6`.
            return storage.withMemoryRebound(to: sockaddr_in.self, capacity: 1) {
                Int(UInt16(bigEndian: $0.pointee.sin_port))
            }
        }
    }

    private static func failure(_ address: String, _ port: Int, _ cause: Int32) -> Failure {
        let what = "cannot listen on \(address):\(port)"
        switch cause {
        case EADDRINUSE:
            return Failure(
                .portTaken, what, why: "another process already listens on this port",
                now: "stop that process (`ss -ltnp` names it), or give another port in `--listen`")
        case EACCES:
            return Failure(
                .notAllowed, what, why: "this user may not open that port",
                now: "give a port above 1023 in `--listen`")
        case EADDRNOTAVAIL:
            return Failure(
                .invalidSetting, what, why: "this machine has no such address",
                now: "give an address of this machine in `--listen`, for example 127.0.0.1:\(port)")
        default:
            return Failure(
                .notPossible, what, why: String(cString: strerror(cause)),
                now: "check the limits of this process (`ulimit -n`) and the address")
        }
    }
}
