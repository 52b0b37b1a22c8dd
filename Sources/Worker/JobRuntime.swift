// A job as a worker runs it: the compiled plan and everything that tasks of the job share, made once from a `JobSpec`.
//
// The worker is told names and settings and builds the plan itself; its digest must be the driver's (design 3). Lookups
// are fetched by digest from the driver, so a task sees the bytes that the batch log names, whatever the file says now.

import Engine
import Foundation
import Synchronization
import Wire

final class JobRuntime: Sendable {
    let spec: JobSpec
    let graph: StageGraph
    let settings: EngineSettings
    private let tables = Mutex<[String: any LookupContent]>([:])

    init(spec: JobSpec, jobs: JobDefinitions) throws {
        self.spec = spec
        graph = try jobs.graph(definition: spec.definition, settings: spec.settings)
        settings = try EngineSettings(spec.settings, graph: graph)
        let reader: () -> [(String, String)] = { [settings] in [("job", spec.name), ("reader", settings.reader.text)] }
        if settings.reader.reason == nil { Log.debug("records are read", reader()) } else { Log.info("records are read", reader()) }
        guard graph.digest == spec.planDigest else {
            throw Failure(
                .otherBuild, "this worker builds another plan of job \(spec.name) than the driver",
                why: "plan digest \(graph.digest) here, \(spec.planDigest) at the driver",
                now: "run driver and workers from the same build")
        }
    }

    /// Work for this job's ranges; one per slot, because it keeps scratch memory.
    func makeRangeWork() throws -> any RangeWork {
        try graph.work.makeRangeWork(schemaText: spec.schemaText, chunkRecords: settings.chunkRecords)
    }

    /// The job's lookups with the contents that `digests` names.
    func lookups(_ digests: [String: String], from driver: any DriverLink) throws -> [String: any LookupContent] {
        var result: [String: any LookupContent] = [:]
        for lookup in graph.lookups {
            guard let wanted = digests[lookup.name] else {
                throw Failure(
                    .internal, "the plan names no content for lookup \(lookup.name)", why: "its digest is missing",
                    now: "report this with the output of `sluice batches --json`")
            }
            let key = lookup.name + "\u{0}" + wanted
            if let known = tables.withLock({ $0[key] }) {
                result[lookup.name] = known
                continue
            }
            let bytes = try driver.lookup(digest: wanted)
            guard digest(of: bytes) == wanted else {
                throw Failure(
                    .internal, "lookup \(lookup.name) came with other content than the plan names",
                    why: "its digest is not \(wanted)", now: "check the catalog's disk")
            }
            let table = try graph.work.makeLookup(lookup, from: bytes)
            // An earlier content is fetched again by whoever finishes an earlier plan.
            tables.withLock { tables in
                tables = tables.filter { !$0.key.hasPrefix(lookup.name + "\u{0}") }
                tables[key] = table
            }
            result[lookup.name] = table
        }
        return result
    }
}
