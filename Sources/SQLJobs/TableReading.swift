// How the records of a declared table become its rows, for a job and for a question alike: the decoder, and the schemas of its writers.

import Dataflow
import Decoding
import Engine
import Foundation
import SQLBinding
import Values

extension TopicDecoder {
    /// The decoder of a plan's source.
    /// - Throws: what of the table cannot be read.
    package static func of(
        _ source: PlanSource, in plan: Plan, onError: FaultPolicy, maxFutureMicros: Int64?, schemas: [AvroWriterSchema], context: EvaluationContext, chunkRows: Int = 4096,
        pool: BufferPool = BufferPool()
    ) throws -> TopicDecoder {
        let table = source.table
        if source.columns.contains(where: { table.readable[$0].name == "record_headers" }) {
            throw Failure(
                .notPossible, "record_headers is not there yet", why: "\(table.name) is read without the headers of its records", now: "leave the column out of the query")
        }
        do {
            return try TopicDecoder(
                table, columns: source.columns, usesEventTime: plan.goesByTime && table.options[.eventTime] != nil, onError: onError, maxFutureMicros: maxFutureMicros,
                schemas: schemas, context: context, chunkRows: chunkRows, pool: pool)
        } catch {
            throw Failure(.invalidSetting, error.what, why: error.why, now: error.now)
        }
    }
}

extension TableDefinition {
    /// What the table's records are written with: `schema = 'FILE'`, or `'1=FILE,2=FILE'` with the ids of their framing; none but for Avro.
    /// - Parameters:
    ///   - usual: where the table does not say it.
    ///   - directory: what relative paths are relative to; empty for where the process stands.
    package func writerSchemas(usual: String = "", directory: String = "") throws -> [AvroWriterSchema] {
        guard options[.format] == "avro" else { return [] }
        let setting = options[.schema] ?? usual
        guard !setting.isEmpty else {
            throw Failure(
                .invalidSetting, "table \(name) has no schema", why: "Avro records cannot be read without the schema that they were written with",
                now: "add schema = 'FILE' to its WITH")
        }
        return try WriterSchemas.sources(setting, id: nil).map { entry in
            let path = entry.path.hasPrefix("/") || directory.isEmpty ? entry.path : directory + "/" + entry.path
            guard let data = FileManager.default.contents(atPath: path), let text = String(validating: data, as: UTF8.self) else {
                throw Failure(.fileMissing, "schema file \(path) cannot be read", why: "table \(name) is declared with it", now: "correct the path, or save the file as UTF-8")
            }
            return AvroWriterSchema(id: entry.id, text: text)
        }
    }
}

extension SourceRecord {
    /// A record as a reader hands it over.
    @inline(__always)
    package init(_ raw: RawRecord) {
        self.init(key: raw.key, keyCount: raw.keyLength, value: raw.payload, valueCount: raw.length, offset: raw.offset, timeMillis: raw.timeMillis)
    }
}
