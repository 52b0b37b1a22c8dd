// The distribution's PostgreSQL in a temporary directory, for the length of one bench; or a server that was named.
//
// Its settings are those of a new installation: what is compared is two ways to write to the same server. A small shell
// process waits on a pipe to us and cleans up when a bench is killed.

import Engine
import Foundation

final class BenchPostgres {
    let address: String
    private let directory: String?
    private let watchdog: ChildProcess?

    /// - Parameter address: a server's database that the bench may make tables in; nil starts a server.
    init(address: String?, directory: String) throws {
        if let address {
            self.address = address
            (self.directory, watchdog) = (nil, nil)
            return
        }
        guard let programs = Self.programs else {
            throw Failure(
                .notPossible, "no PostgreSQL could be started", why: "there is none under \(Self.root)",
                now: "install one (Debian: postgresql), or give --postgres with the address of a database")
        }
        self.directory = directory
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
        // The server refuses to be root.
        var asUser: [String] = []
        if getuid() == 0, let user = getpwnam("postgres") {
            chown(directory, user.pointee.pw_uid, user.pointee.pw_gid)
            asUser = ["/usr/sbin/runuser", "-u", "postgres", "--"]
        }
        let stop = (asUser + ["\(programs)/pg_ctl", "-D", "\(directory)/data", "-m", "immediate", "stop"])
        watchdog = try ChildProcess(
            "/bin/bash", ["-c", "exec >/dev/null 2>&1; trap '' INT TERM; cat; \"$@\"; rm -rf \"$0\"", directory] + stop,
            environment: [:])
        let port = try Self.freePort()
        self.address = "postgres://sluice@127.0.0.1:\(port)/postgres"
        try Self.run(
            asUser + [
                "\(programs)/initdb", "-D", "\(directory)/data", "-U", "sluice", "-A", "trust", "-E", "UTF8", "--no-locale",
            ])
        try Self.run(
            asUser + [
                "\(programs)/pg_ctl", "-D", "\(directory)/data", "-l", "\(directory)/log", "-w", "-o",
                "-p \(port) -k \(directory) -c listen_addresses=127.0.0.1", "start",
            ])
    }

    /// Ends the server that was started here: the watchdog does it when its pipe closes.
    func end() { watchdog?.finish() }

    private static let root = "/usr/lib/postgresql"

    private static var programs: String? {
        let versions: [String]
        do { versions = try FileManager.default.contentsOfDirectory(atPath: root) } catch { return nil }
        return versions.compactMap { Int($0) }.sorted(by: >).map { "\(root)/\($0)/bin" }
            .first { FileManager.default.isExecutableFile(atPath: $0 + "/initdb") }
    }

    private static func freePort() throws -> UInt16 {
        let listening = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(listening) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let isBound = withUnsafeMutablePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listening, $0, length) == 0 && getsockname(listening, $0, &length) == 0
            }
        }
        guard isBound else {
            throw Failure(.internal, "no free port was found", why: String(cString: strerror(errno)), now: "try again")
        }
        return UInt16(bigEndian: address.sin_port)
    }

    private static func run(_ command: [String]) throws {
        // What `pg_ctl` leaves running must not hold anything open by which its own end is noticed.
        let child = try ChildProcess(
            "/bin/bash", ["-c", "exec \"$0\" \"$@\" </dev/null >/dev/null 2>&1"] + command, environment: [:])
        guard child.wait() == 0 else {
            throw Failure(
                .notPossible, "PostgreSQL could not be started", why: "\(command.joined(separator: " ")) failed",
                now: "try it by hand, or give --postgres with the address of a database")
        }
    }
}
