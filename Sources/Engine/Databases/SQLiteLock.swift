// Who keeps a SQLite file locked, as the kernel tells it: for the sentence that a person reads when waiting was in vain.
//
// The writer of a database in WAL mode holds a lock on one byte of its `-shm` file, and Linux lists all such locks with
// their processes. A process that was stopped inside a transaction (SIGSTOP, a debugger, a frozen container) keeps the
// lock for as long as it stands; no time limit of anybody's frees it. Nothing is opened here: closing a file drops all of
// the own process's locks on it.

import Foundation

package struct SQLiteLock: Sendable, Equatable {
    package var pid: Int32
    /// Stopped by a signal or a debugger: it will not let go by itself.
    package var isStopped: Bool

    package init(pid: Int32, isStopped: Bool) {
        self.pid = pid
        self.isStopped = isStopped
    }

    /// The first byte of the locks in the shared memory file: the one for writing.
    private static let writeByte = "120"

    /// The process that writes to the database in `path`; nil when nobody does or it cannot be seen from here.
    package static func holder(of path: String) -> SQLiteLock? {
        var status = stat()
        guard stat(path + "-shm", &status) == 0,
            let data = FileManager.default.contents(atPath: "/proc/locks"),
            let pid = writer(in: String(decoding: data, as: UTF8.self), inode: UInt64(status.st_ino))
        else { return nil }
        return SQLiteLock(pid: pid, isStopped: isStopped(pid))
    }

    /// The process in a line such as `7: POSIX  ADVISORY  WRITE 4242 fe:01:131074 120 120`.
    package static func writer(in locks: String, inode: UInt64) -> Int32? {
        for line in locks.split(separator: "\n") {
            let words = line.split(separator: " ")
            // Lines of waiting processes have an arrow behind the number.
            guard words.count == 8, words[3] == "WRITE", words[6] == writeByte, words[7] == writeByte,
                words[5].split(separator: ":").last.flatMap({ UInt64($0) }) == inode, let pid = Int32(words[4]), pid > 0
            else { continue }
            return pid
        }
        return nil
    }

    private static func isStopped(_ pid: Int32) -> Bool {
        guard let data = FileManager.default.contents(atPath: "/proc/\(pid)/stat") else { return false }
        let text = String(decoding: data, as: UTF8.self)
        // The state follows the program's name, which may itself hold brackets.
        guard let bracket = text.lastIndex(of: ")") else { return false }
        return ["T", "t"].contains(text[bracket...].dropFirst(2).first)
    }

    /// Why a wait for this lock was in vain, and what to do.
    package var why: String { "process \(pid) holds its write lock\(isStopped ? " and is stopped" : "")" }
    package var now: String {
        isStopped
            ? "let it go on with `kill -CONT \(pid)` or end it with `kill -9 \(pid)`, which loses nothing; then start again"
            : "wait for process \(pid) or end it (a backup, an open database shell), then start again"
    }
}
