// One delivery by a process of its own, which `verify-sink` lets die: no help lists it, nobody else needs it.

import Engine
import Foundation

enum SealPartCommand {
    static let name = "seal-part"

    /// What is delivered, as a file.
    struct Delivery: Codable {
        var address: String
        var table: SinkTable
        var identity: SinkIdentity
        var part: Int
        var batch: BatchNumber
        var digest: String
        var after: Predecessor
        /// Encoded chunks.
        var rows: [Data]

        func chunks() throws -> [Chunk] { try rows.map { try ChunkCodec.decode([UInt8]($0)) } }
    }

    static let command = Command(
        name, .tools, summary: "seal one part into a sink",
        about: "Seals the part in FILE as a worker does, and ends.",
        positionals: [Positional("FILE", help: "the part, as verify-sink writes it")],
        settingFlags: .some([]),
        examples: [Command.Example("sluice seal-part part.json", "seals it")],
        run: { parsed, _ in
            let file = parsed.required("FILE")
            guard let data = FileManager.default.contents(atPath: file) else {
                throw Failure(.fileMissing, "there is no \(file)", why: "it was named", now: "name another")
            }
            let delivery = try JSONDecoder().decode(Delivery.self, from: data)
            let sink = try openSink(address: delivery.address, table: delivery.table)
            _ = try sink.seal(
                delivery.identity, part: delivery.part, batch: delivery.batch, digest: delivery.digest,
                after: delivery.after, rows: delivery.chunks())
            Failpoint.reach("worker-sealed")
            return 0
        })
}
