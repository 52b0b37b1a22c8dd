// `sluice broker`: a Kafka for a first try, in this process, until SIGTERM.
//
// The address goes to standard output and, for scripts, into a file that is there only while the broker answers: it is
// written whole (beside it, then renamed) once the topics exist, and removed at the end if it is still ours.

import Dispatch
import Engine
import Foundation

enum BrokerCommand {
    static let command = Command(
        "broker", .tools, summary: "start a small Kafka for a try",
        about: """
            Starts an embedded broker on a free local port and stands until SIGTERM or Ctrl-C. It is good for a first try and \
            nothing else: everything is in memory and gone with it, about 5 MB a partition are kept, times cannot be looked up \
            (no --from TIME, no backfill), and rows of aborted transactions are not marked.
            """,
        options: [
            Option(
                "topic", .text, valueName: "NAME:PARTITIONS", isRepeated: true, help: "a topic to make; without a number it has 1"),
            Option("bootstrap-file", .file, help: "write the address into this file once the broker answers"),
        ],
        examples: [
            Command.Example("sluice broker --topic ad-events:4 --bootstrap-file kafka.txt", "one topic of four partitions"),
            Command.Example("sluice run campaign-views --bootstrap $(cat kafka.txt)", "uses it from another terminal"),
        ],
        run: run)

    private static func run(_ parsed: ParsedArguments, _ terminal: Terminal) throws -> Int32 {
        let topics = try parsed.all("topic").map(topic)
        // Taken before the broker is there: a signal in between must still remove the file.
        let stopped = DispatchSemaphore(value: 0)
        let signals = Signals { stopped.signal() }
        defer { signals.cancel() }
        let broker = try EmbeddedBroker(topics: topics)
        let file = parsed.text("bootstrap-file")
        if let file { try write(broker.bootstrap, to: file) }
        defer { if let file { remove(file, ifItNames: broker.bootstrap, terminal) } }
        try terminal.line("broker listens on \(broker.bootstrap)")
        for topic in topics {
            try terminal.line("topic \(topic.name), \(topic.partitions) partition\(topic.partitions == 1 ? "" : "s")")
        }
        terminal.note(
            "for a try only: all in memory, about 5 MB a partition kept, no look-up by time, no aborted rows marked")
        stopped.wait()
        withExtendedLifetime(broker) {}
        return 0
    }

    private static func topic(_ text: String) throws -> (name: String, partitions: Int) {
        let pieces = text.split(separator: ":", omittingEmptySubsequences: false)
        let partitions = pieces.count == 2 ? Int(pieces[1]) : 1
        guard let name = pieces.first, !name.isEmpty, pieces.count <= 2, let partitions, (1...1000).contains(partitions)
        else {
            throw Failure(
                .wrongUsage, "--topic cannot be `\(text)`", why: "it must be NAME or NAME:PARTITIONS, with 1 to 1000 of them",
                now: "write for example --topic ad-events:4")
        }
        return (String(name), partitions)
    }

    private static func write(_ address: String, to file: String) throws {
        do {
            try Data((address + "\n").utf8).write(to: URL(filePath: file), options: .atomic)
        } catch {
            throw Failure(
                .notAllowed, "the address cannot be written to \(file)", why: "\((error as NSError).localizedDescription)",
                now: "name a file in a folder that is there and that this user may write to")
        }
    }

    private static func remove(_ file: String, ifItNames address: String, _ terminal: Terminal) {
        guard let data = FileManager.default.contents(atPath: file),
            String(decoding: data, as: UTF8.self) == address + "\n"
        else { return }
        do { try FileManager.default.removeItem(atPath: file) } catch {
            terminal.note("sluice: \(file) could not be removed; it names a broker that is gone")
        }
    }
}
