// One process of the reading baseline, seen from the bench: started at once, read to its one line at the end.

import Engine
import Foundation

final class ReaderProcess {
    private let process = Process()
    private let output = Pipe()
    private let errors: String

    /// - Parameter extra: more arguments of `bench-reader`.
    init(
        topic: String, part: Int, of parts: Int, environment: [String: String], directory: String, extra: [String] = []
    ) throws {
        errors = directory + "/reader-\(part).log"
        _ = FileManager.default.createFile(atPath: errors, contents: nil)
        process.executableURL = URL(filePath: ThisProgram.path)
        process.arguments =
            [
                BenchReaderCommand.name, "--conf", directory + "/run.yaml", "--topic", topic, "--part", "\(part)", "--parts",
                "\(parts)",
            ] + extra
        process.environment = environment
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = output
        process.standardError = FileHandle(forWritingAtPath: errors)
        do { try process.run() } catch {
            throw Failure(
                .internal, "a reader could not be started from \(ThisProgram.path)", why: "\(error)",
                now: "check that the file is there and the limits of this user (`ulimit -a`)")
        }
    }

    /// Waits for its end.
    func result() throws -> ReadingLoop.Result {
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            let log = FileManager.default.contents(atPath: errors).map { String(decoding: $0, as: UTF8.self) } ?? ""
            throw Failure(
                .notPossible, "a reader of the bench ended with status \(process.terminationStatus)",
                why: log.split(separator: "\n").suffix(3).joined(separator: " | "),
                now: "mend that first: `sluice doctor` with the same broker tells more")
        }
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        do { return try decoder.decode(ReadingLoop.Result.self, from: data) } catch {
            throw Failure(.internal, "the line of a reader could not be read", why: "\(error)", now: "report this")
        }
    }
}
