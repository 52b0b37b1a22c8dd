// `sluice submit JOB`: hand a job to a driver, or change one that runs there.

import Driver
import Engine
import Foundation
import SQLJobs

enum SubmitCommand {
    static func command(_ jobs: JobDefinitions) -> Command {
        Command(
            "submit", .cluster, summary: "hand a job to a driver, or change one",
            about: """
                Submits a job to a running driver with the settings given here; everything else is the driver's. Paths are seen \
                from where the driver runs unless they begin with a slash. With --replace a running job is drained, its state is \
                checked to fit, and it goes on in the same log with the new settings.
                """,
            positionals: [Positional(JobArgument.positional, choices: jobs.names, orFile: JobArgument.isFile, help: JobArgument.help)],
            options: [Option(flag: "replace", help: "change the job that is there"), JobArgument.value, .json] + RunCommand.startOptions,
            settingFlags: .all, settingDefaults: jobs.settingDefaults,
            examples: [
                Command.Example(
                    "sluice submit campaign-views --driver http://127.0.0.1:7070 --set bootstrap=127.0.0.1:9092",
                    "starts it there"),
                Command.Example(
                    "sluice submit campaign-views --replace --set interval=1s", "drains it, and goes on once a second"),
            ],
            run: { try run($0, $1, jobs) })
    }

    /// Settings that belong to this command and not to the job.
    private static let own: Set<String> = ["driver", "secret_file", "log_format", "log_level", "listen", "tls_cert", "tls_key", "tls_ca"]

    private static func run(_ parsed: ParsedArguments, _ terminal: Terminal, _ jobs: JobDefinitions) throws -> Int32 {
        let definition = JobArgument.definition(parsed)
        let settings = try parsed.settings()
        let driver = try DriverClient(settings)
        let options = RunCommand.startOptions(parsed)
        // Relative paths of a text are the driver's, as those of settings are.
        var explicit = definition == SQLJob.definition ? try JobArgument.defaults(parsed, jobs) : [:]
        explicit[SQLJob.Carrier.directory.key] = nil
        for flag in parsed.settingFlags where !own.contains(flag.name) { explicit[flag.name] = flag.text }
        let view: JobView = try driver.post(
            "/v1/jobs",
            SubmitJob(
                definition: definition, settings: explicit, replace: parsed.flag("replace"), adopt: options.adopt,
                offsets: options.offsets, acceptLoss: options.acceptLoss, acceptTopic: options.acceptTopic,
                resetTime: options.resetTime))
        if parsed.flag("json") {
            try terminal.json(view)
        } else {
            try terminal.line("job \(view.job) (\(view.jobId)) is submitted to \(driver.url)")
        }
        return 0
    }
}
