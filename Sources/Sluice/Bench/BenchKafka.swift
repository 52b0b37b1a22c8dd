// A real Kafka for one bench: started from a directory that has the launcher `kafka`, gone when the bench is.
//
// The launcher takes `start DIR` and `kill DIR` and writes the address to DIR/bootstrap. A small shell process waits on
// a pipe to us, so that a bench that is killed leaves no broker behind either.

import Engine
import Foundation

final class BenchKafka {
    static let variable = "SLUICE_KAFKA_HOME"

    let bootstrap: String
    private let launcher: String
    private let directory: String
    private let watchdog: ChildProcess

    init(home: String, directory: String) throws {
        launcher = (home as NSString).appendingPathComponent("kafka")
        self.directory = directory
        guard FileManager.default.isExecutableFile(atPath: launcher) else {
            throw Failure(
                .fileMissing, "no Kafka could be started", why: "there is no program \(launcher)",
                now: "name a directory with such a launcher, or give --bootstrap")
        }
        watchdog = try ChildProcess(
            "/bin/bash",
            [
                "-c", "exec >/dev/null 2>&1; trap '' INT TERM; cat; \"$0\" kill \"$1\"; rm -rf \"$1\"", launcher, directory,
            ], environment: [:])
        var tries = 1
        // The random cluster id now and then begins with a dash, which Kafka's own formatting tool refuses.
        while try Self.run(launcher, ["start", directory, "--set", "log.retention.ms=-1"]) != 0 {
            guard tries < 3 else {
                throw Failure(
                    .brokerUnreachable, "Kafka did not start", why: "`\(launcher) start` failed \(tries) times",
                    now: "try it by hand, or give --bootstrap")
            }
            tries += 1
            _ = try Self.run(launcher, ["kill", directory])
            try? FileManager.default.removeItem(atPath: directory)
        }
        guard let address = FileManager.default.contents(atPath: directory + "/bootstrap") else {
            throw Failure(
                .fileMissing, "Kafka gave no address", why: "\(directory)/bootstrap is not there",
                now: "check the launcher \(launcher)")
        }
        bootstrap = String(decoding: address, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// The watchdog ends the broker when its pipe closes.
    func end() { watchdog.finish() }

    /// Waits for the launcher alone: the broker that it leaves running holds whatever it inherited.
    private static func run(_ program: String, _ arguments: [String]) throws -> Int32 {
        try ChildProcess("/bin/bash", ["-c", "exec \"$0\" \"$@\" >/dev/null 2>&1", program] + arguments, environment: [:]).wait()
    }
}
