// `sluice driver`: the driver of a small cluster, standing until SIGTERM.

import Dispatch
import Driver
import Engine
import Foundation
import SQLJobs
import Wire

enum DriverCommand {
    static func command(_ jobs: JobDefinitions) -> Command {
        Command(
            "driver", .cluster, summary: "run the driver of a cluster",
            about: """
                Plans and commits the batches of every submitted job and hands their tasks to the workers that register. SIGTERM \
                drains: batches in flight are finished. A driver that starts takes up the jobs that were running.
                """,
            settingFlags: .some([
                .listen, .catalog, .secretFile, .tlsCert, .tlsKey, .tlsCA, .workerTimeout, .state, .logFormat, .logLevel,
            ]),
            examples: [
                Command.Example(
                    "sluice driver --listen 127.0.0.1:7070 --catalog sqlite:data/catalog.db",
                    "makes the catalog and its secret if they are not there"),
                Command.Example(
                    "sluice driver --listen 0.0.0.0:7070 --tls-cert host.pem --tls-key host.key --tls-ca ca.pem",
                    "speaks HTTPS, and admits whoever has a certificate of ca.pem"),
            ],
            run: { try run($0, $1, jobs) })
    }

    private static func run(_ parsed: ParsedArguments, _ terminal: Terminal, _ jobs: JobDefinitions) throws -> Int32 {
        let settings = try parsed.settings()
        try Logging.begin(settings)
        ClientLibrary.warnOnce()
        let (host, port) = try ListenAddress.parse(settings.text(.listen))
        try ListenAddress.requireProtection(host, settings)
        let catalogAddress = settings.text(.catalog)
        let credentials = try Credentials(settings, mayMakeSecret: true)
        let flags = parsed.settingFlags
        let conf = parsed.text(Option.conf.name)
        let driver = try DriverProcess(
            catalog: { try StandingCatalog.open(catalogAddress) }, jobs: jobs, buildDigest: ThisProgram.buildDigest, listen: host, port: port, credentials: credentials,
            workerTimeoutMillis: settings.millis(.workerTimeout),
            resolve: { definition, explicit in
                // What the submitter set is strongest; then this driver's own flags, variables and file.
                let submitted = explicit.sorted { $0.key < $1.key }.map {
                    Settings.Flag(name: $0.key, text: $0.value, spelled: "--set \($0.key)")
                }
                let own = flags.filter { ["catalog", "state"].contains($0.name) }
                var defaults = try jobs.job(definition).defaults
                if definition == SQLJob.definition { defaults[SQLJob.Carrier.directory.key] = FileManager.default.currentDirectoryPath }
                let resolved = try SettingsSource.load(flags: own + submitted, confPath: conf, jobDefaults: defaults)
                _ = try resolved.required(.bootstrap)
                return (resolved.jobValues, resolved.digest)
            },
            onBatch: { record in
                guard let outcome = record.outcome else { return }
                Log.info(
                    "batch done",
                    [
                        ("job", record.plan.job), ("batch.id", "\(record.plan.batch)"), ("rows_in", "\(outcome.rowsIn)"),
                        ("rows_out", "\(outcome.rowsOut)"), ("late", "\(outcome.late)"), ("rejected", "\(outcome.rejected)"),
                        ("run_ms", "\(Int(outcome.timings.runMillis))"), ("seal_ms", "\(Int(outcome.timings.sealMillis))"),
                        ("commit_ms", outcome.timings.commitMillis.map { "\(Int($0))" } ?? "-"),
                    ])
            })
        try StandingCatalog.patiently(catalogAddress) { try driver.takeUpJobs() }
        driver.watchCatalog()
        let stopped = DispatchSemaphore(value: 0)
        let signals = Signals { stopped.signal() }
        try terminal.line("driver listens on \(driver.url), catalog \(AddressPassword.masked(catalogAddress))")
        stopped.wait()
        signals.cancel()
        Log.notice("draining", [])
        driver.stop()
        driver.catalog.close()
        return 0
    }
}
