// Which jobs of its catalog a standing driver takes up: the decision, as a value.
//
// `sluice jobs resume` without a driver's address writes into the catalog that a job is meant to run and is `starting`,
// and a standing driver looks for such jobs several times a second. `sluice run` makes a new job's row a moment before it
// takes the lease, and that job looks the same; so a job is taken up only when two looks in a row saw it, unchanged and
// with nobody at its lease. Should two drivers take up one job all the same, the lease lets one of them in.

import Engine

package struct TakeUp {
    /// Between two looks. Two of them and a start stay within a second.
    package static let lookMillis = 300

    /// Jobs that the last look saw waiting, with the time of their row.
    private var waiting: [String: Int64] = [:]

    package init() {}

    /// Names of the jobs to be taken up now.
    /// - Parameter isTaken: whether this driver runs the job, or somebody holds its lease; asked for few jobs.
    package mutating func look(at jobs: [JobRecord], isTaken: (String) throws -> Bool) rethrows -> [String] {
        var seen: [String: Int64] = [:]
        for job in jobs where job.kind == .live && job.desired == .run && job.state == .starting {
            if try !isTaken(job.name) { seen[job.name] = job.updatedAtMillis }
        }
        let ready = seen.filter { waiting[$0.key] == $0.value }.keys.sorted()
        waiting = seen.filter { !ready.contains($0.key) }
        return ready
    }
}
