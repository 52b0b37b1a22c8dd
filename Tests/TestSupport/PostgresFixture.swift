// The distribution's own PostgreSQL server in a temporary directory: real fsync, real locks, real connections to lose.
//
// One server is shared by a test process, and each test takes a database of its own; a test that stops or kills the
// server makes its own. A small shell process holds a pipe to us and, when we are gone in whatever way, stops the server
// and removes the directory: a crashed test run leaves nothing behind.

import Engine
import Foundation
import Synchronization

package final class PostgresFixture: Sendable {
    /// Why no server can be started here; nil when one can.
    package static let missingReason: String? =
        binaries == nil ? "no PostgreSQL server is installed (Debian: postgresql)" : nil

    /// The server that the tests of this process share, started by the first that asks.
    package static func shared() throws -> PostgresFixture { try sharedServer.get() }
    private static let sharedServer = Result { try PostgresFixture() }

    private static let binaries: String? = {
        let root = "/usr/lib/postgresql"
        guard let versions = try? FileManager.default.contentsOfDirectory(atPath: root) else { return nil }
        let newestFirst = versions.compactMap { Int($0) }.sorted(by: >)
        return newestFirst.map { "\(root)/\($0)/bin" }.first {
            FileManager.default.isExecutableFile(atPath: $0 + "/initdb")
        }
    }()

    private let directory: String
    private let port: UInt16
    private let databaseCount = Mutex(0)
    /// Our end of the watchdog's pipe; the system closes it when this process ends.
    private let lifeline: Int32

    package init() throws {
        guard let reason = Self.missingReason else {
            var template = (NSTemporaryDirectory() as NSString)
                .appendingPathComponent("sluice-postgres-XXXXXX").utf8CString.map(\.self)
            guard mkdtemp(&template) != nil else { throw POSIXError(.EIO) }
            directory = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
            port = try Self.freePort()
            lifeline = try Self.startWatchdog(over: directory)
            if getuid() == 0, let user = getpwnam("postgres") {
                guard chown(directory, user.pointee.pw_uid, user.pointee.pw_gid) == 0 else { throw POSIXError(.EPERM) }
            }
            try run("initdb", ["-D", directory + "/data", "-U", "sluice", "-A", "trust", "-E", "UTF8", "--no-locale", "-N"])
            try guardUser()
            try start()
            return
        }
        throw Failure(.notPossible, "cannot start PostgreSQL", why: reason, now: "install it")
    }

    deinit { Foundation.close(lifeline) }

    /// The address of the server's first database.
    package var url: String { url(database: "postgres") }

    /// The address of a new, empty database.
    package func newDatabase() throws -> String {
        let number = databaseCount.withLock { count in
            count += 1
            return count
        }
        let name = "test_\(number)"
        let server = try PostgresDatabase(url: url)
        try server.execute("CREATE DATABASE \(name)")
        return url(database: name)
    }

    /// A user of this server that needs a password, with a new database of its own. `url` names no user.
    package func newGuardedDatabase() throws -> (url: String, user: String, password: String) {
        let password = "pass-\(UInt64.random(in: 0 ... .max))"
        let url = try newDatabase()
        let server = try PostgresDatabase(url: self.url)
        let user = "guarded_\(UInt32.random(in: 0 ... .max))"
        let name = url.split(separator: "/").last.map(String.init) ?? ""
        try server.executeScript(
            "DO $$ BEGIN CREATE ROLE guarded; EXCEPTION WHEN duplicate_object THEN NULL; END $$; CREATE USER \(user) PASSWORD '\(password)'; GRANT guarded TO \(user); ALTER DATABASE \(name) OWNER TO \(user)"
        )
        return (url.replacing("sluice@", with: ""), user, password)
    }

    /// Members of the role `guarded` come in by password only.
    private func guardUser() throws {
        let path = directory + "/data/pg_hba.conf"
        let rules = try String(contentsOfFile: path, encoding: .utf8)
        // In place: the file belongs to the server's user.
        try ("host all +guarded 127.0.0.1/32 scram-sha-256\n" + rules).write(toFile: path, atomically: false, encoding: .utf8)
    }

    package func start() throws {
        let options =
            "-p \(port) -k \(directory) -c listen_addresses=127.0.0.1 -c fsync=on -c max_connections=60 "
            + "-c shared_buffers=32MB -c deadlock_timeout=200ms"
        // After a kill the old server's processes need a moment to notice, and the new one refuses until then.
        let deadline = ContinuousClock.now + .seconds(30)
        while true {
            do {
                return try run(
                    "pg_ctl", ["-D", directory + "/data", "-l", directory + "/log", "-w", "-o", options, "start"])
            } catch  where ContinuousClock.now < deadline {
                usleep(100_000)
            }
        }
    }

    /// Ends all connections and the server, in order.
    package func stop() throws { try run("pg_ctl", ["-D", directory + "/data", "-m", "fast", "-w", "stop"]) }

    /// Kills every process of the server, as a power cut would: nothing is flushed, nobody is told.
    package func kill9() throws {
        let text = try String(contentsOfFile: directory + "/data/postmaster.pid", encoding: .utf8)
        guard let server = text.split(separator: "\n").first.flatMap({ pid_t($0) }), server > 1 else {
            throw POSIXError(.ESRCH)
        }
        // Stopped first, so that it starts no process while its processes are listed.
        guard kill(server, SIGSTOP) == 0 else { throw POSIXError(.ESRCH) }
        let children = try String(contentsOfFile: "/proc/\(server)/task/\(server)/children", encoding: .utf8)
        for pid in [server] + children.split(whereSeparator: \.isWhitespace).compactMap({ pid_t($0) }) where pid > 1 {
            _ = kill(pid, SIGKILL)
        }
    }

    private func url(database: String) -> String { "postgres://sluice@127.0.0.1:\(port)/\(database)" }

    /// Runs one of the server's programs; as root under the server's own user, because they refuse root.
    private func run(_ program: String, _ arguments: [String]) throws {
        let command = [Self.binaries! + "/" + program] + arguments
        let pid = try Self.spawn(getuid() == 0 ? ["/usr/sbin/runuser", "-u", "postgres", "--"] + command : command)
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0 {
            guard errno == EINTR else { throw POSIXError(.ECHILD) }
        }
        guard status == 0 else {
            throw Failure(
                .notPossible, "\(program) failed", why: "it ended with wait status \(status)",
                now: "run it by hand in \(directory)")
        }
    }

    /// Starts a program in `/`, its output discarded, without any of our descriptors. Foundation's `Process` is of no
    /// use here: it takes a child for alive as long as any of its descendants is, and the server is meant to stay.
    static func spawn(_ command: [String], standardInput: Int32? = nil) throws -> pid_t {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        if let standardInput {
            posix_spawn_file_actions_adddup2(&actions, standardInput, 0)
        } else {
            posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        }
        for output: Int32 in [1, 2] { posix_spawn_file_actions_addopen(&actions, output, "/dev/null", O_WRONLY, 0) }
        // A server that kept a pipe of another test open would let that test wait for its end for ever.
        for descriptor: Int32 in 3..<1024 { posix_spawn_file_actions_addclose(&actions, descriptor) }
        // The server's user may not enter our directory, and its programs insist on knowing where they are.
        let shell = ["/bin/sh", "-c", "cd / && exec \"$@\"", "sh"]
        var arguments: [UnsafeMutablePointer<CChar>?] = (shell + command).map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var pid: pid_t = 0
        let code = posix_spawn(&pid, shell[0], &actions, nil, &arguments, environ)
        guard code == 0 else { throw POSIXError(POSIXErrorCode(rawValue: code) ?? .EIO) }
        return pid
    }

    private static func startWatchdog(over directory: String) throws -> Int32 {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0, ends.allSatisfy({ fcntl($0, F_SETFD, FD_CLOEXEC) == 0 }) else { throw POSIXError(.EMFILE) }
        let script = """
            trap '' INT TERM HUP
            cat >/dev/null
            server=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
            if [ -n "$server" ]; then
              kill -QUIT "$server"
              while kill -0 "$server" 2>/dev/null; do sleep 0.1; done
            fi
            rm -rf "$1"
            """
        _ = try spawn(["/bin/sh", "-c", script, "watchdog", directory], standardInput: ends[0])
        Foundation.close(ends[0])
        return ends[1]
    }

    package static func freePort() throws -> UInt16 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { Foundation.close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let bound = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, length) == 0 && getsockname(descriptor, $0, &length) == 0
            }
        }
        guard bound else { throw POSIXError(.EADDRINUSE) }
        return UInt16(bigEndian: address.sin_port)
    }
}
