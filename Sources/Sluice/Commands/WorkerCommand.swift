// `sluice worker`: one worker process of a cluster.

import Dispatch
import Engine
import Foundation
import Wire
import Worker

enum WorkerCommand {
    static func command(_ jobs: JobDefinitions) -> Command {
        Command(
            "worker", .cluster, summary: "add a worker to a cluster",
            about: """
                Registers with a driver and runs its tasks until SIGTERM, which lets running tasks end first. Workers may join and \
                leave while jobs run; a job's next batch uses who is there.
                """,
            options: [
                Option(flag: "exit-with-parent", help: "exit when standard input ends; `sluice run` starts its workers so")
            ],
            settingFlags: .some([
                .driver, .slots, .workerListen, .secretFile, .tlsCert, .tlsKey, .tlsCA, .driverTimeout, .consumerIdle,
                .blockMemory, .logFormat, .logLevel, .catalog,
            ]),
            examples: [
                Command.Example("sluice worker --driver http://127.0.0.1:7070 --slots 2", "runs up to two tasks at a time"),
                Command.Example(
                    "sluice worker --driver https://driver.example:7070 --tls-cert host.pem --tls-key host.key --tls-ca ca.pem",
                    "known by its certificate, without the secret"),
            ],
            run: { try run($0, $1, jobs) })
    }

    private static func run(_ parsed: ParsedArguments, _ terminal: Terminal, _ jobs: JobDefinitions) throws -> Int32 {
        let settings = try parsed.settings()
        try Logging.begin(settings)
        if ProbeProcess.isThis { return ProbeProcess.serve(settings, jobs) }
        let (host, port) = try ListenAddress.parse(settings.text(.workerListen))
        try ListenAddress.requireProtection(host, settings)
        let worker = try WorkerProcess(
            options: WorkerOptions(
                driverURL: settings.text(.driver), listen: host, port: port, slots: settings.integer(.slots),
                credentials: try Credentials(settings, mayMakeSecret: false), driverTimeoutMillis: settings.millis(.driverTimeout),
                consumerIdleMillis: settings.millis(.consumerIdle), blockMemoryBytes: settings.bytes(.blockMemory),
                build: ThisProgram.buildDigest, prober: { try ProbeProcess.run($0) }), jobs: jobs)
        if parsed.flag("exit-with-parent") { exitWithParent() }
        let signals = Signals { worker.leave() }
        defer { signals.cancel() }
        try worker.run()
        return 0
    }

    /// Ends this process when the other end of standard input is gone: the parent died, however it died.
    static func exitWithParent() {
        let thread = Thread {
            var byte: UInt8 = 0
            while true {
                let n = read(STDIN_FILENO, &byte, 1)
                if n < 0 && errno == EINTR { continue }
                if n <= 0 { _exit(0) }
            }
        }
        thread.start()
    }
}

/// `HOST:PORT` to listen on.
enum ListenAddress {
    static func parse(_ text: String) throws -> (host: String, port: Int) {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (0...65_535).contains(port)
        else {
            throw Failure(
                .invalidSetting, "`\(text)` is no address to listen on", why: "it must be HOST:PORT",
                now: "use for example 127.0.0.1:7070; port 0 takes a free one")
        }
        return (String(text[..<colon]), port)
    }

    /// Listening beyond loopback takes a secret that somebody named, or TLS (protocol 13).
    static func requireProtection(_ host: String, _ settings: Settings) throws {
        if host == "localhost" || host.hasPrefix("127.") || host == "[::1]" || host == "::1" { return }
        if settings.optionalText(.tlsCert) != nil && settings.optionalText(.tlsKey) != nil { return }
        guard settings.optionalText(.secretFile) != nil else {
            throw Failure(
                .notAllowed, "listening on \(host) is refused",
                why: "others can reach it, and neither a secret file nor TLS files are named",
                now: "name a secret with --secret-file (mode 0600), the same for driver, workers and commands, or a certificate with --tls-cert and --tls-key")
        }
    }
}
