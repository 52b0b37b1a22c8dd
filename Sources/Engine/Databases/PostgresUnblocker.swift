// Ends the transaction of a process that stands still in the midst of a COPY, while somebody waits for its locks.
//
// The server knows two limits: one for a transaction that is idle and one for a statement that runs. A process that was stopped while
// it sends rows is neither: the server waits for its bytes, and looks at no limit until they come. So whoever waits for a lock asks
// who holds it, and ends the backends that have waited for their client for longer than the limit of an idle transaction. Their
// transactions are rolled back, as they would be if their process had died.
//
// Only backends of our own user that stand in the way of the one that waits are looked at. When the process wakes up, its
// connection is gone: it computes nothing anew under an epoch that is not its own any more.

import Foundation

enum PostgresUnblocker {
    private static let standing = """
        SELECT a.pid, pg_terminate_backend(a.pid) FROM unnest(pg_blocking_pids($1::int)) AS p(pid)
        JOIN pg_stat_activity a ON a.pid = p.pid
        WHERE a.usename = current_user AND a.state = 'active' AND a.wait_event = 'ClientRead'
            AND a.state_change < clock_timestamp() - interval '15 seconds'
        """

    /// Does `body`, in which the backend `pid` may wait for locks; looks each second, over a connection of its own.
    static func whileWaiting<Answer>(_ pid: Int64, at url: String, _ body: () throws -> Answer) rethrows -> Answer {
        let ends = SteadySignal()
        let isOver = SteadySignal()
        let thread = Thread {
            while !ends.take(withinMillis: 1000) { look(pid, url) }
            isOver.give()
        }
        thread.name = "locks of the sink"
        thread.start()
        defer {
            ends.give()
            isOver.take()
        }
        return try body()
    }

    private static func look(_ pid: Int64, _ url: String) {
        do {
            let database = try PostgresDatabase(url: url)
            defer { database.close() }
            for row in try database.execute(standing, [.int(pid)]) {
                guard case .int(let holder) = row[0] else { continue }
                Log.notice("a transaction was ended that held the sink", [("backend", "\(holder)"), ("why", "its process has sent nothing for 15 s")])
            }
        } catch {
            // Whoever waits goes on waiting, and says in the end for what.
            Log.debug("locks not looked at", [("why", failure(error).why)])
        }
    }
}
