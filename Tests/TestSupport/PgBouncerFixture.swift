// The distribution's PgBouncer before a PostgreSQL server of `PostgresFixture`, in one of its modes.
//
// Few server connections, so that transactions of different clients really share them. As root it runs under the server's
// user, because it refuses root; it ends with the object.

import Engine
import Foundation

package final class PgBouncerFixture {
    package static let missingReason: String? =
        PostgresFixture.missingReason
        ?? (FileManager.default.isExecutableFile(atPath: program) ? nil : "no PgBouncer is installed (Debian: pgbouncer)")

    package enum Mode: String, CaseIterable, Sendable { case transaction, session, statement }

    private static let program = "/usr/sbin/pgbouncer"
    private let directory: TemporaryDirectory
    private let port: UInt16
    private var pid: pid_t = 0

    /// - Parameter database: an address of the server, as `PostgresFixture` gives it.
    package init(before database: String, _ mode: Mode) throws {
        directory = try TemporaryDirectory("pgbouncer")
        port = try PostgresFixture.freePort()
        let server = database.split(separator: ":").last?.split(separator: "/").first.map(String.init) ?? ""
        let settings = """
            [databases]
            * = host=127.0.0.1 port=\(server) user=sluice
            [pgbouncer]
            listen_addr = 127.0.0.1
            listen_port = \(port)
            unix_socket_dir =
            auth_type = any
            pool_mode = \(mode.rawValue)
            default_pool_size = \(mode == .session ? 20 : 2)
            query_wait_timeout = 20
            server_login_retry = 0.2
            """
        try settings.write(toFile: directory.file("pgbouncer.ini"), atomically: true, encoding: .utf8)
        chmod(directory.path, 0o755)
        try start()
    }

    deinit { stop() }

    package func start() throws {
        let command = [Self.program, "-q", directory.file("pgbouncer.ini")]
        pid = try PostgresFixture.spawn(getuid() == 0 ? ["/usr/bin/setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"] + command : command)
    }

    /// Kills it, with every connection that it holds.
    package func stop() {
        guard pid > 0 else { return }
        kill(pid, SIGKILL)
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0 && errno == EINTR {}
        pid = 0
    }

    /// The address of `database` through the pooler.
    package func url(of database: String) -> String {
        "postgres://sluice@127.0.0.1:\(port)/\(database.split(separator: "/").last!)"
    }
}
