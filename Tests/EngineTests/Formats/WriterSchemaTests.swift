// Topics whose records were written with more than one schema: the id in the framing says which, and only that counts.

import Engine
import Foundation
import TestSupport
import Testing

private let first = #"{"type":"record","name":"E","fields":[{"name":"user_id","type":"string"},{"name":"page_id","type":"string"},{"name":"at","type":"long"}]}"#
/// The same fields in another order, and one that the first does not have.
private let second =
    #"{"type":"record","name":"E","fields":[{"name":"page_id","type":"string"},{"name":"user_id","type":"string"},"#
    + #"{"name":"at","type":{"type":"long","logicalType":"timestamp-micros"}},{"name":"plan","type":"string"}]}"#
private let needed = Schema([Field("user_id", .text), Field("at", .timestamp), Field("plan", .text, nullable: true)])

private func framing(_ id: UInt32) -> [UInt8] { [0] + withUnsafeBytes(of: id.bigEndian) { Array($0) } }
private func one(_ number: Int, id: UInt32 = 1) -> [UInt8] { framing(id) + Wire.text("user \(number)") + Wire.text("page \(number)") + Wire.long(Int64(number)) }
private func two(_ number: Int, id: UInt32 = 2) -> [UInt8] {
    framing(id) + Wire.text("page \(number)") + Wire.text("user \(number)") + Wire.long(Int64(number) * 1000) + Wire.text("plan")
}

private func files(_ texts: [(String, String)]) throws -> TemporaryDirectory {
    let directory = try TemporaryDirectory("sluice-schemas")
    for (name, text) in texts { try text.write(toFile: directory.file(name), atomically: true, encoding: .utf8) }
    return directory
}

struct WriterSchemaTests {
    @Test(arguments: [1, 3, 64])
    func `records of two writer schemas in one topic are each read with their own`(chunk: Int) throws {
        let directory = try files([("a.avsc", first), ("b.avsc", second)])
        let sources = try WriterSchemas.sources("1=\(directory.file("a.avsc")),2=\(directory.file("b.avsc"))", id: nil)
        let schemas = try WriterSchemas(sources)
        // As it goes to a worker.
        let decoder = try Formats.makeDecoder(format: .avro, schemaText: schemas.text, needed: needed)
        var payloads: [[UInt8]?] = []
        for number in 0..<40 { payloads += [one(number), two(number), number % 5 == 0 ? one(number, id: 3) : two(number)] }
        // Cut short behind its NULL would-be row, so that the next row of the other schema is written over it.
        payloads += [Array(one(7).dropLast()), two(8), one(9)]
        let result = decodeAll(decoder, payloads, chunk: chunk)
        for (index, row) in zip(result.kept, result.rows) {
            let isSecond = payloads[index]![4] == 2
            #expect(row[2] == (isSecond ? .text("plan") : .null))
            guard case .text(let user) = row[0], case .timestamp(let at) = row[1] else {
                Issue.record("row \(row)")
                continue
            }
            #expect(user == "user \(at)")
        }
        #expect(result.rejected.filter { $0.value == .unknownSchema }.count == 8)
        #expect(result.rejected.filter { $0.value != .unknownSchema } == [120: .truncated])
        #expect(result.rows.count == 114)
    }

    @Test func `the id of a single file may be named, and another one is an unknown schema`() throws {
        let directory = try files([("a.avsc", first)])
        let schemas = try WriterSchemas(WriterSchemas.sources(directory.file("a.avsc"), id: 7))
        let decoder = try Formats.makeDecoder(format: .avro, schemaText: schemas.text, needed: Schema([Field("user_id", .text)]))
        let result = decodeAll(decoder, [one(1, id: 7), one(2, id: 8)])
        #expect(result.rows == [[.text("user 1")]] && result.rejected == [1: .unknownSchema])
    }

    @Test func `where any id is taken, the ids that came are told, so that two of them can stop the job`() throws {
        let decoder = try AvroDecoder(schema: AvroSchema(text: first), needed: Schema([Field("user_id", .text)]))
        _ = decodeAll(decoder, [one(1, id: 7), one(2, id: 7)])
        #expect(decoder.takeSchemaIDs() == [7])
        _ = decodeAll(decoder, [one(1, id: 7), two(2, id: 9)])
        #expect(decoder.takeSchemaIDs() == [7, 9])
        #expect(decoder.takeSchemaIDs() == [])
    }

    @Test func `the texts of all schemas are in the text that digests and workers get, in one order`() throws {
        let directory = try files([("a.avsc", first), ("b.avsc", second)])
        let (a, b) = (directory.file("a.avsc"), directory.file("b.avsc"))
        let texts = try ["1=\(a),2=\(b)", "2=\(b),1=\(a)", "1=\(a),2=\(a)", "1=\(a)"].map { try WriterSchemas(WriterSchemas.sources($0, id: nil)).text }
        #expect(texts[0] == texts[1] && Set(texts).count == 3)
        #expect(try WriterSchemas(text: texts[0]).text == texts[0])
        // A single file for any id is its own text, as every plan before named it.
        #expect(try WriterSchemas(WriterSchemas.sources(a, id: nil)).text == first)
        #expect(try WriterSchemas(text: nil).text == nil)
    }

    @Test func `a schema that lacks a column, or has another type there, is refused with its id`() throws {
        let lacking = try AvroSchema(text: #"{"type":"record","name":"E","fields":[{"name":"user_id","type":"string"}]}"#)
        let failure = #expect(throws: Failure.self) {
            try AvroDecoder(
                writers: [.init(id: 1, schema: AvroSchema(text: first)), .init(id: 22, schema: lacking)],
                needed: Schema([Field("user_id", .text), Field("at", .timestamp)]))
        }
        #expect(failure?.what.contains("22") == true && failure?.why.contains("at") == true)
    }

    @Test(arguments: ["1=a.avsc,1=b.avsc"])
    func `an id that is named twice is refused`(setting: String) {
        #expect { try WriterSchemas.sources(setting, id: nil) } throws: { ($0 as? Failure)?.code == .invalidSetting }
    }

    @Test func `the path of one file may hold what looks like a list`() throws {
        #expect(try WriterSchemas.sources("/x/a=b,c.avsc", id: 3) == [.init(id: 3, path: "/x/a=b,c.avsc")])
        #expect(WriterSchemas.mapping("1=a,b") == nil && WriterSchemas.mapping("") == nil && WriterSchemas.mapping("1=") == nil)
        #expect(throws: Failure.self) { try WriterSchemas.sources("1=a,2=b", id: 3) }
    }
}
