// A job as the driver runs it: record, compiled plan, typed settings, and the digests that a plan names.
//
// Made once per start, and again when a lease is taken again: then with the lookups and the schema that the start saw. The bytes of
// lookup files are kept in the catalog by digest, so that workers and later replays get what a plan names (protocol 2,
// `LookupFiles`).

import Engine
import Foundation
import Wire

package struct RunningJob: Sendable {
    package let record: JobRecord
    package let graph: StageGraph
    package let settings: EngineSettings
    package let spec: JobSpec
    package let buildDigest: String
    package let settingsDigest: String
    package let schemaDigest: String
    /// Digests by name; later plans may name others (`LookupFiles`).
    package var lookups: [String: String]
    /// The settings are others than those of the job's row, and take effect with this start.
    package var isChanged = false

    package var isStateful: Bool { graph.hasExchange }
    package var group: String { "sluice.\(record.name)" }

    /// - Parameters:
    ///   - kept: lookups of a recorded plan or of an earlier start; nil reads the files as they are now.
    ///   - earlier: the same job as this process started it: its schema stays.
    package init(
        record: JobRecord, jobs: JobDefinitions, buildDigest: String, catalog: Catalog, backfill: BackfillBounds? = nil,
        kept: [String: String]? = nil, earlier: RunningJob? = nil
    ) throws {
        self.record = record
        self.buildDigest = buildDigest
        settingsDigest = record.settingsDigest
        graph = try jobs.graph(definition: record.definition, settings: record.settings)
        settings = try EngineSettings(record.settings, graph: graph)
        let schemaText = try earlier.map(\.spec.schemaText) ?? graph.work.schemaText(record.settings)
        schemaDigest = digest(of: Array((schemaText ?? graph.source.format.rawValue).utf8))
        // The work is made once here, so that a schema that does not fit is refused before anything is planned.
        _ = try graph.work.makeRangeWork(schemaText: schemaText, chunkRecords: settings.chunkRecords)
        lookups = try kept ?? LookupFiles(graph.lookups, job: record.name) { try catalog.putLookup(digest: $0, bytes: $1) }.digests
        spec = JobSpec(
            name: record.name, jobID: record.jobID, definition: record.definition, settings: record.settings,
            planDigest: graph.digest, buildDigest: buildDigest, schemaText: schemaText, lane: record.kind.rawValue,
            outputFromMillis: backfill?.fromMillis, outputUntilMillis: backfill?.untilMillis)
    }

    /// One that was compiled elsewhere; nothing is read.
    package init(
        record: JobRecord, graph: StageGraph, settings: EngineSettings, buildDigest: String, schemaDigest: String = ""
    ) {
        self.record = record
        self.graph = graph
        self.settings = settings
        self.buildDigest = buildDigest
        self.schemaDigest = schemaDigest
        settingsDigest = record.settingsDigest
        lookups = [:]
        spec = JobSpec(
            name: record.name, jobID: record.jobID, definition: record.definition, settings: record.settings,
            planDigest: graph.digest, buildDigest: buildDigest, schemaText: nil, lane: record.kind.rawValue)
    }
}

/// What a backfill may write: event times in `[fromMillis, untilMillis)`, in milliseconds since 1970.
package struct BackfillBounds: Sendable, Codable, Equatable {
    package var fromMillis: Int64
    package var untilMillis: Int64
    package init(fromMillis: Int64, untilMillis: Int64) {
        self.fromMillis = fromMillis
        self.untilMillis = untilMillis
    }
}
