// Who is named when a database stays locked.

import Engine
import Foundation
import TestSupport
import Testing

@Suite struct SQLiteLockTests {
    @Test(
        arguments: [
            ("1: POSIX  ADVISORY  WRITE 4242 fe:01:77 120 120", 4242), ("1: POSIX  ADVISORY  READ 4242 fe:01:77 120 120", nil),
            ("1: POSIX  ADVISORY  WRITE 4242 fe:01:78 120 120", nil), ("1: POSIX  ADVISORY  WRITE 4242 fe:01:77 121 121", nil),
            ("1: -> POSIX  ADVISORY  WRITE 4242 fe:01:77 120 120", nil), ("1: POSIX  ADVISORY  WRITE 0 fe:01:77 120 120", nil),
            ("1: FLOCK  ADVISORY  WRITE 9 fe:01:77 0 EOF\n2: POSIX  ADVISORY  READ 8 fe:01:77 123 123\n3: POSIX  ADVISORY  WRITE 7 00:2b:77 120 120", 7),
            ("", nil),
        ] as [(String, Int32?)])
    func `the writer is the process with the lock on the one byte of the file`(locks: String, pid: Int32?) {
        #expect(SQLiteLock.writer(in: locks, inode: 77) == pid)
    }

    @Test func `a transaction that is open names its process, and a stopped one says what to do`() throws {
        let directory = try TemporaryDirectory()
        let path = directory.file("a.db")
        let database = try SQLiteDatabase(path: path)
        defer { database.close() }
        #expect(SQLiteLock.holder(of: path) == nil)
        try database.transaction {
            #expect(SQLiteLock.holder(of: path) == SQLiteLock(pid: getpid(), isStopped: false))
            let failure = #expect(throws: Failure.self) {
                let other = try SQLiteDatabase(path: path, busyTimeoutMillis: 20)
                defer { other.close() }
                try other.transaction {}
            }
            #expect(failure?.code == .databaseBusy)
            #expect(failure?.why.contains("process \(getpid()) holds its write lock") == true)
        }
        #expect(SQLiteLock.holder(of: path) == nil)
        #expect(SQLiteLock.holder(of: directory.file("none.db")) == nil)
    }
}
