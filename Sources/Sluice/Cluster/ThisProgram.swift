// What a process knows of its own binary: where it lies, and its digest, by which driver and workers recognise the same
// build (design 3).

import Engine
import Foundation

enum ThisProgram {
    static let path: String = {
        do {
            return try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        } catch {
            return CommandLine.arguments[0]
        }
    }()

    /// Digest of the binary's bytes: another build, another digest. Read by pieces: mapped or read whole, its 30 MB were
    /// the largest part of a worker's peak memory.
    static let buildDigest: String = {
        let file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC)
        precondition(file >= 0, "the running binary cannot be read at /proc/self/exe")
        defer { close(file) }
        return digest(pieceBytes: 256 << 10) { room in
            let count = read(file, room.baseAddress, room.count)
            precondition(count >= 0, "the running binary cannot be read at /proc/self/exe")
            return count
        }
    }()
}
