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

    /// Digest of the binary's bytes: another build, another digest.
    static let buildDigest: String = {
        guard let data = FileManager.default.contents(atPath: "/proc/self/exe") else {
            preconditionFailure("the running binary cannot be read at /proc/self/exe")
        }
        return data.withUnsafeBytes { digest(of: $0) }
    }()
}
