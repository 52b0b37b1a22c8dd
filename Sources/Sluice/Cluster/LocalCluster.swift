// A driver and its workers for one command: what `run`, `backfill` and the benches stand on.
//
// The driver listens on a free loopback port with a secret made for this run; workers are child processes that get it in
// their environment, together with the paths of the TLS files if there are any, or one worker inside this process.

import Driver
import Engine
import Foundation
import Synchronization
import Wire
import Worker

final class LocalCluster: Sendable {
    let driver: DriverProcess
    let jobs: JobDefinitions
    /// Worker processes that were started; they register when they are up.
    let workers: Int
    private let children: WorkerChildren?
    private let node: WorkerNode?
    private let listener: Listener

    /// Where DONE batches are told; set before the job starts.
    private final class Listener: Sendable {
        /// In a structure, because a closure that is a mutex's own value is wrapped again at each look at it, for good.
        struct Body {
            var tell: @Sendable (BatchRecord) -> Void
        }
        let body: Mutex<Body>
        init(_ body: @escaping @Sendable (BatchRecord) -> Void) { self.body = Mutex(Body(tell: body)) }
        func tell(_ record: BatchRecord) { body.withLock { $0.tell }(record) }
    }

    var onBatch: @Sendable (BatchRecord) -> Void {
        get { listener.body.withLock { $0.tell } }
        set { listener.body.withLock { $0.tell = newValue } }
    }

    /// - Parameters:
    ///   - workers: worker processes instead of what the settings say.
    ///   - isStanding: a catalog that is away is waited for.
    ///   - isAsked: `sluice jobs` may ask this process what it knows.
    init(
        settings: Settings, jobs: JobDefinitions, workers: Int? = nil, isStanding: Bool = false, isAsked: Bool = false,
        onBatch: @escaping @Sendable (BatchRecord) -> Void
    ) throws {
        self.jobs = jobs
        let listener = Listener(onBatch)
        self.listener = listener
        let address = settings.text(.catalog)
        let catalog = try isStanding ? StandingCatalog.open(address) : Catalog.open(address: address)
        let secret = isAsked ? SharedSecret.forRun(settings) : SharedSecret.make()
        let tls = try TLSFiles(settings)
        let credentials = Credentials(secret: secret, server: tls.server, client: tls.client)
        let values = settings.jobValues
        let settingsDigest = settings.digest
        driver = try DriverProcess(
            catalog: { catalog }, jobs: jobs, buildDigest: ThisProgram.buildDigest, listen: "127.0.0.1", port: 0,
            credentials: credentials, workerTimeoutMillis: settings.millis(.workerTimeout), logsEnds: false,
            resolve: { _, _ in (values, settingsDigest) }, onBatch: { listener.tell($0) })
        let count = workers ?? settings.integer(.workers)
        self.workers = count
        // One slot a process unless asked otherwise: processes are the unit of parallelism here.
        let slots = settings.origin(of: .slots) == .engine ? 1 : settings.integer(.slots)
        let arguments = [
            "worker", "--driver", driver.url, "--slots", "\(slots)", "--exit-with-parent", "--log-format",
            settings.text(.logFormat), "--log-level", "warning", "--consumer-idle", settings.text(.consumerIdle),
            "--block-memory", settings.text(.blockMemory),
        ]
        let environment = tls.environment.merging([SharedSecret.variable: secret]) { $1 }
        if count == 0 {
            children = nil
            let node = WorkerNode(
                slots: settings.integer(.slots), jobs: jobs, build: ThisProgram.buildDigest,
                driver: CatalogLink(catalog: catalog), peers: HTTPBlockLink(client: credentials.makeClient()),
                blockMemoryBytes: settings.bytes(.blockMemory),
                prober: { try ProbeProcess.run($0, as: arguments, environment: environment) })
            self.node = node
            driver.pool.addLocal(id: "local", slots: settings.integer(.slots), url: node.url, link: node)
        } else {
            node = nil
            // A certificate that does not name 127.0.0.1 is said here, and not by workers that come and go.
            if tls.server != nil { try driver.checkReachable(credentials) }
            let children = WorkerChildren(
                path: ThisProgram.path, arguments: arguments, environment: environment,
                noneLeft: { [driver] in driver.runs.giveUp($0) })
            self.children = children
            try children.start(count)
        }
    }

    func end() {
        driver.stop()
        children?.end()
        driver.catalog.close()
    }
}
