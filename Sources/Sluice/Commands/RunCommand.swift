// `sluice run JOB`: a driver and its workers in one terminal, until caught up or until asked to stop.
//
// The same driver and the same workers as in a cluster: with `--workers N` child processes over HTTP, with 0 the worker
// inside this process. It leaves nothing running: children end with their parent, however it ends.

import Dispatch
import Driver
import Engine
import Foundation
import Synchronization
import Wire
import Worker

enum RunCommand {
    static func command(_ jobs: JobDefinitions) -> Command {
        Command(
            "run", .jobs, summary: "run a job here and now",
            about: """
                Runs a job with a driver and worker processes of its own, batch after batch, until it is asked to stop \
                (SIGTERM or Ctrl-C drain: the batch in flight is finished), or with --until-caught-up until everything that was \
                there at the start is done. The same command again goes on where the log stands.
                """,
            positionals: [Positional(JobArgument.positional, choices: jobs.names, orFile: JobArgument.isFile, help: JobArgument.help)],
            options: [
                Option(flag: "until-caught-up", help: "stop when everything that is there now is done"),
                JobArgument.value, .json,
            ] + startOptions,
            settingFlags: .all, settingDefaults: jobs.settingDefaults,
            examples: [
                Command.Example(
                    "sluice run campaign-views --bootstrap 127.0.0.1:9092 --workers 2 --until-caught-up",
                    "counts views per campaign and window, with two worker processes"),
                Command.Example(
                    "sluice run report.sql --bootstrap 127.0.0.1:9092 --sink postgres://me@db/shop", "runs a file of SQL; its views are tables there"),
                Command.Example(
                    "sluice run purchases --bootstrap 127.0.0.1:9092 --format json --sink postgres://me@db/shop",
                    "appends every purchase exactly once, until SIGTERM"),
            ],
            run: { try run($0, $1, jobs) })
    }

    /// What decides about a start that is not plain; shared with `submit`.
    static let startOptions = [
        Option("offsets", .choice(["log", "kafka", "from"]), help: "where to go on when log and Kafka disagree"),
        Option(flag: "adopt", help: "take the sink over from another job of this name"),
        Option(flag: "accept-loss", help: "go on behind records that retention deleted unread, and write that down"),
        Option(flag: "accept-topic", help: "go on in a topic that was moved to another cluster, if its last records are equal"),
        Option(flag: "reset-time", help: "go on although the last batch's time lies ahead, because its clock was wrong"),
        Option(flag: "wait", help: "wait while another driver runs the job, instead of refusing"),
    ]

    static func startOptions(_ parsed: ParsedArguments) -> LoopOptions {
        var options = LoopOptions()
        options.offsets = parsed.text("offsets").flatMap { OffsetsFlag(rawValue: $0) }
        options.adopt = parsed.flag("adopt")
        options.acceptLoss = parsed.flag("accept-loss")
        options.acceptTopic = parsed.flag("accept-topic")
        options.resetTime = parsed.flag("reset-time")
        options.waitForLease = parsed.flag("wait")
        return options
    }

    private static func run(_ parsed: ParsedArguments, _ terminal: Terminal, _ jobs: JobDefinitions) throws -> Int32 {
        let definition = JobArgument.definition(parsed)
        let settings = try parsed.settings()
        try Logging.begin(settings)
        _ = try settings.required(.bootstrap)
        ClientLibrary.warnOnce()

        var options = startOptions(parsed)
        options.untilCaughtUp = parsed.flag("until-caught-up")
        let session = try LocalCluster(
            settings: settings, jobs: jobs, isStanding: !options.untilCaughtUp, isAsked: true, onBatch: { _ in })
        defer { session.end() }
        return try follow(
            session, definition: definition, settings: settings, options: options, terminal: terminal,
            asJSON: parsed.flag("json"))
    }

    /// Registers the job, starts it, shows its batches until it ends.
    private static func follow(
        _ session: LocalCluster, definition: String, settings: Settings, options: LoopOptions, terminal: Terminal,
        asJSON: Bool
    ) throws -> Int32 {
        let driver = session.driver
        let record = try driver.runs.register(definition: definition, explicit: [:])
        var options = options
        options.settings = (settings.jobValues, settings.digest)
        options.expectedWorkers = session.workers
        try driver.catalog.setDesired(record.name, .run)
        let progress = BatchProgress(terminal: terminal, job: record.name, asJSON: asJSON)
        session.onBatch = { progress.batchDone($0) }
        let signals = Signals()
        defer { signals.cancel() }
        let run = driver.runs.start(record.name, options)
        signals.ask { run.control.ask(.drain(.stopped)) }
        while true {
            let (hasEnded, failure) = run.wait(timeoutMillis: 100)
            progress.tick(run.control.status)
            guard hasEnded else { continue }
            try progress.end(run.control.status, isFailed: failure != nil)
            if let failure { throw failure }
            return 0
        }
    }
}
