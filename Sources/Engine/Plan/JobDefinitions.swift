// The jobs that a binary knows, by name. A worker is told a name and settings and finds the code here (design 3).

/// Job name to code.
public struct JobDefinitions: Sendable {
    private let jobs: [String: any StreamingJob]
    private let inner: Set<String>

    public init(_ jobs: [any StreamingJob]) { self.init(jobs, inner: []) }

    /// - Parameter inner: jobs of the program's own, which are found by name and shown to nobody.
    package init(_ jobs: [any StreamingJob], inner: [any StreamingJob]) {
        self.inner = Set(inner.map(\.name))
        self.jobs = Dictionary((jobs + inner).map { ($0.name, $0) }) { first, _ in
            preconditionFailure("two jobs of this binary are named \(first.name)")
        }
    }

    public var names: [String] { jobs.keys.filter { !inner.contains($0) }.sorted() }

    package func job(_ name: String) throws -> any StreamingJob {
        guard let job = jobs[name] else {
            throw Failure(
                .unknownJob, "this binary has no job \(name)", why: "it knows \(names.joined(separator: ", "))",
                now: "correct the name, or build the job into the binary (`sluice new` shows how)")
        }
        return job
    }

    /// The compiled plan of a job under these settings.
    package func graph(definition: String, settings: [String: String]) throws -> StageGraph {
        try StageGraph(job: job(definition), settings: settings)
    }
}
