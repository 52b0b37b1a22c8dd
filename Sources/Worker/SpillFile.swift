// A file without a name for what does not fit into a worker's memory.
//
// It is made with mode 0600, loses its name before anything is written, and goes with its last user: nobody else can open
// it, and after kill -9 there is nothing to clean up. It only grows, until its batch is released; then all of it goes.
// Nothing is synced: what a worker holds is made again when the worker dies (protocol 3).
//
// This file owns the descriptor. Writers reserve their place and write side by side; a place is read only by whoever was
// given it. When changing this: every return code is checked, a short write goes on, and a full disk is said as the
// trouble of this worker alone (`workerTrouble`): others may have room.

import Engine
import Foundation
import Synchronization

package final class SpillFile: Sendable {
    /// Where the bytes of one `append` are.
    package struct Place: Sendable {
        package let file: SpillFile
        package let offset: Int64
        package let count: Int

        package func read() throws -> [UInt8] { try file.read(offset, count) }
    }

    /// `TMPDIR`, or the system's place for large temporary files; not /tmp, which is memory on many systems.
    package static let defaultDirectory = ProcessInfo.processInfo.environment["TMPDIR"].flatMap { $0.isEmpty ? nil : $0 } ?? "/var/tmp"

    private let descriptor: Int32
    private let directory: String
    private let end = Mutex<Int64>(0)

    package init(directory: String) throws {
        var template = Array((directory + "/sluice-spill-XXXXXX").utf8CString)
        let descriptor = mkstemp(&template)
        guard descriptor >= 0, fcntl(descriptor, F_SETFD, FD_CLOEXEC) == 0 else { throw Self.failure("could not make a file in \(directory)", directory) }
        guard unlink(template) == 0 else {
            let failure = Self.failure("could not take the name from a file in \(directory)", directory)
            close(descriptor)
            throw failure
        }
        self.descriptor = descriptor
        self.directory = directory
    }

    /// Takes over an open file.
    package init(descriptor: Int32, directory: String) {
        self.descriptor = descriptor
        self.directory = directory
    }

    deinit { close(descriptor) }

    package func append(_ bytes: [UInt8]) throws -> Place {
        let offset = end.withLock { end in
            defer { end += Int64(bytes.count) }
            return end
        }
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes {
                pwrite(descriptor, $0.baseAddress! + written, bytes.count - written, off_t(offset) + off_t(written))
            }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { throw Self.failure("could not write \(bytes.count) bytes that memory has no room for", directory) }
            written += count
        }
        return Place(file: self, offset: offset, count: bytes.count)
    }

    private func read(_ offset: Int64, _ count: Int) throws -> [UInt8] {
        var done = 0
        var number: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            while done < count {
                let part = pread(descriptor, buffer.baseAddress! + done, count - done, off_t(offset) + off_t(done))
                if part < 0 && errno == EINTR { continue }
                if part <= 0 {
                    number = part < 0 ? errno : 0
                    break
                }
                done += part
            }
            filled = done
        }
        guard done == count else {
            throw Failure(
                .blockLost, "rows that were put aside cannot be read back",
                why: number == 0 ? "their file is shorter than it was" : String(cString: strerror(number)),
                now: "nothing, the task that made them runs again; if it comes back, check the disk of \(directory)")
        }
        return bytes
    }

    private static func failure(_ what: String, _ directory: String) -> Failure {
        let number = errno
        let text = String(cString: strerror(number))
        if number == ENOSPC || number == EDQUOT {
            return Failure(
                .workerTrouble, what, why: text,
                now: "free space under \(directory), set TMPDIR to another directory, or raise block_memory")
        }
        return Failure(
            .workerTrouble, what, why: text,
            now: "set TMPDIR to a directory in which this user may write, or raise block_memory")
    }
}
