// A person's wish for a job (pause, resume, stop, kill): told to a driver or written into the catalog, and whether the
// job followed.
//
// In the catalog two cases differ by the job's lease. Somebody holds it: the wish is written, the holder reads it within
// a second, and this waits until the state says so or the time is over. Nobody holds it: there is nothing to drain, so
// the state is set at once; a batch that is still PLANNED stays for the next start. A driver that takes the job in
// between wins: it sets the state itself and reads the wish.
//
// `resume` waits for a holder that is still draining to let go, writes `starting`, and gives the standing drivers of this
// catalog a moment to take the job up; when none does, it says who can.

import Driver
import Engine
import Foundation

enum JobWishes {
    struct Answer {
        var view: JobView
        var text: String
        /// Whether the job is now as it was asked to be.
        var followed: Bool
    }

    private static let pollSeconds = 0.1
    /// How long standing drivers have to take a job up; they look several times a second.
    private static let takeUpMillis: Int64 = 2000

    static func ask(_ action: JobAction, of name: String, _ settings: Settings, waitMillis: Int64) throws -> Answer {
        if JobSource.isDriverNamed(settings) {
            let client = try DriverClient(settings)
            let view: JobView = try client.post("/v1/jobs/\(name)/\(action.rawValue)", [String: String]())
            return try wait(action, view, untilMillis: waitMillis) { try client.get("/v1/jobs/\(name)") }
        }
        let catalog = try ExistingCatalog.open(settings, .readWrite)
        defer { catalog.close() }
        let record = try JobView.record(name, catalog)
        let isRun = try catalog.liveHolder(of: name) != nil
        if action == .resume {
            return try resume(record, isRun: isRun, catalog, waitMillis: waitMillis)
        }
        try catalog.setDesired(name, action.desired)
        if !isRun { return try settle(action, record, catalog) }
        return try wait(action, JobSource.view(name, catalog), untilMillis: waitMillis) {
            try JobSource.view(name, catalog)
        }
    }

    private static func resume(
        _ record: JobRecord, isRun: Bool, _ catalog: Catalog, waitMillis: Int64
    ) throws -> Answer {
        if isRun && record.desired == .run {
            return Answer(
                view: try JobSource.view(record.name, catalog), text: "job \(record.name) is running", followed: true)
        }
        // The earlier wish stands until then: a holder that has not read it yet would never let go.
        guard try becomesTrue(within: waitMillis, { try catalog.liveHolder(of: record.name) == nil }) else {
            return Answer(
                view: try JobSource.view(record.name, catalog),
                text: "job \(record.name) still finishes the batch in flight after \(formatDuration(waitMillis)); resume it again then",
                followed: false)
        }
        try catalog.setDesired(record.name, .run)
        // `starting` is what drivers look for.
        try catalog.setJobState(record.jobID, epoch: nil, state: .starting)
        if try becomesTrue(within: min(waitMillis, takeUpMillis), { try catalog.liveHolder(of: record.name) != nil }) {
            return try wait(.resume, JobSource.view(record.name, catalog), untilMillis: waitMillis) {
                try JobSource.view(record.name, catalog)
            }
        }
        return Answer(
            view: try JobSource.view(record.name, catalog),
            text: "job \(record.name) may run again, but nobody runs it: use `sluice run \(record.definition)` with its "
                + "settings, or start `sluice driver` on this catalog, or name a running one with --driver",
            followed: true)
    }

    private static func becomesTrue(within millis: Int64, _ condition: () throws -> Bool) throws -> Bool {
        let clock = ContinuousClock()
        let deadline = clock.now + .milliseconds(millis)
        while try !condition() {
            if clock.now >= deadline { return false }
            Thread.sleep(forTimeInterval: pollSeconds)
        }
        return true
    }

    /// Nobody runs the job: what is asked holds at once.
    private static func settle(_ action: JobAction, _ record: JobRecord, _ catalog: Catalog) throws -> Answer {
        if record.state != .finished { try catalog.setJobState(record.jobID, epoch: nil, state: action.goal) }
        let open = try catalog.openPlan(record.jobID)
        let view = try JobSource.view(record.name, catalog)
        let rest = open.map { "; its batch \($0.plan.batch) is planned and will be finished first when it starts again" }
        return Answer(
            view: view, text: "job \(record.name) is \(view.state); nobody ran it\(rest ?? "")", followed: true)
    }

    private static func wait(
        _ action: JobAction, _ first: JobView, untilMillis: Int64, _ look: () throws -> JobView
    ) throws -> Answer {
        let clock = ContinuousClock()
        let deadline = clock.now + .milliseconds(untilMillis)
        var view = first
        while !isFollowed(action, view) {
            guard clock.now < deadline else {
                return Answer(
                    view: view,
                    text: "job \(view.job) was asked to \(action.rawValue) and is still \(view.state) after "
                        + "\(formatDuration(untilMillis)): the batch in flight is finished first; "
                        + "`sluice jobs show \(view.job)` tells when it is done",
                    followed: false)
            }
            Thread.sleep(forTimeInterval: pollSeconds)
            view = try look()
        }
        return Answer(view: view, text: "job \(view.job) is \(view.state)", followed: true)
    }

    private static func isFollowed(_ action: JobAction, _ view: JobView) -> Bool {
        guard let state = JobState(rawValue: view.state) else { return false }
        if action == .resume { return state == .running || state == .failed || state == .finished }
        // A job that ended otherwise has ended all the same.
        return state == action.goal || state == .failed || state == .finished || (action == .pause && state == .stopped)
    }
}

extension JobAction {
    fileprivate var desired: DesiredState {
        switch self {
        case .pause: .pause
        case .resume: .run
        case .stop: .stop
        case .kill: .kill
        }
    }

    /// The state that a job is in once it followed.
    fileprivate var goal: JobState {
        switch self {
        case .pause: .paused
        case .resume: .running
        case .stop, .kill: .stopped
        }
    }
}
