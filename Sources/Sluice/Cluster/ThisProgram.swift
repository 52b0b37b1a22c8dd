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

    /// Digest of the binary's bytes: another build, another digest. Mapped, because they are in memory already: copying
    /// them was a third of a worker's start.
    static let buildDigest: String = {
        do {
            let data = try Data(contentsOf: URL(filePath: "/proc/self/exe"), options: .alwaysMapped)
            return data.withUnsafeBytes { digest(of: $0) }
        } catch {
            preconditionFailure("the running binary cannot be read at /proc/self/exe: \(error)")
        }
    }()
}
