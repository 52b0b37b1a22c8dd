// What a repair would do, without doing it: the facts of a start gathered, decided, and let go. Takes no lease.

import Engine

extension RepairPlan {
    /// What a repair would do now; takes and changes nothing.
    package static func look(
        at record: JobRecord, catalog: Catalog, jobs: JobDefinitions, buildDigest: String, _ order: RepairOrder
    ) throws -> RepairPlan {
        let job = try RunningJob(
            record: record, jobs: jobs, buildDigest: buildDigest, catalog: catalog,
            kept: try catalog.lastDone(record.jobID)?.plan.lookups)
        let source = try JobSource(job, control: JobControl())
        defer { source.drain() }
        var options = LoopOptions()
        options.repair = order
        let facts = try JobFacts(catalog: catalog, source: source, options: options).gather()
        guard let sink = facts.sink else { return .nothing }
        return try decide(sink, order, isTopic: sinkTopic(job.settings.sink) != nil)
    }
}
