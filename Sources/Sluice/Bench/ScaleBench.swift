// What a batch over very many partitions and workers costs the driver: its processor time, step by step.
//
// `campaign-views` over as many partitions as asked for, on workers that only answer (`SimulatedWorker`), without HTTP
// and without a broker, with a real catalog in a SQLite file. Every batch reads every partition, which is the worst
// case. The first batch of a job makes rows that later ones change, so it is not counted. At the end the log is audited:
// a saving that loses an offset is none.

import Driver
import Engine
import Foundation

struct ScaleBench {
    var directory: String
    var batches: Int
    var partitions: Int
    var workers: Int
    var settings: Settings
    var jobs: JobDefinitions
    var stop: BenchStop
    var progress: (String) -> Void

    static let budgetMillis = 250.0
    static let warmups = 1

    func run() throws -> [BenchResult] {
        let traffic = AdTraffic(format: .avro, events: 1, seed: 1, startMillis: 1_700_000_000_000, spanMillis: 1)
        let adsPath = directory + "/ads.csv"
        try AdDirectory(seed: traffic.seed, campaigns: traffic.campaigns, adsPerCampaign: traffic.adsPerCampaign)
            .write(to: adsPath)
        var values = settings.jobValues
        values["bootstrap"] = "127.0.0.1:9"
        values["topic"] = "bench-scale"
        values["ads"] = adsPath
        values["sink"] = "sqlite:\(directory)/sink.db"
        let catalog = try Catalog.open(address: "sqlite:\(directory)/catalog.db")
        defer { catalog.close() }
        let pool = WorkerPool(build: ThisProgram.buildDigest, timeoutMillis: 5000) { _ in SimulatedWorker() }
        let links = (1...workers).map { number in
            let link = SimulatedWorker()
            pool.addLocal(id: "w\(number)", slots: 2, url: "http://10.0.\(number / 256).\(number % 256):7071", link: link)
            return link
        }
        let record = JobRecord(
            jobID: .random(), name: "bench-scale", definition: "campaign-views", settings: values,
            buildDigest: ThisProgram.buildDigest, settingsDigest: settings.digest)
        let trial = try ScaleTrial(
            record: record, jobs: jobs, partitions: partitions, catalog: catalog, pool: pool,
            othersMillis: { links.reduce(0) { $0 + $1.cpuMillis } })
        var names: [String] = []
        var found: [String: [Double]] = [:]
        var totals: [Double] = []
        for batch in 0..<Self.warmups + batches {
            try stop.check()
            progress("batch \(batch + 1) of \(Self.warmups + batches)")
            let steps = try trial.batch(recordsOfEach: 100)
            guard batch >= Self.warmups else { continue }
            for step in steps {
                if !names.contains(step.name) { names.append(step.name) }
                found[step.name, default: []].append(step.millis)
            }
            // Placement alone is shown twice and counted once.
            totals.append(steps.reduce(0) { $0 + ($1.name == "placement" ? 0 : $1.millis) })
        }
        let report = try trial.audit()
        guard report.findings.isEmpty, report.partitions.count == partitions else {
            throw Failure(
                .internal, "the log of the bench is not whole",
                why: report.findings.first?.description ?? "\(report.partitions.count) of \(partitions) partitions are in it",
                now: "report this")
        }
        let what = "\(grouped(Int64(partitions))) partitions"
        return names.compactMap { name in
            Spread(found[name] ?? []).map { BenchResult("\(what): \(name)", workers: workers, .millis, $0) }
        }
            + [
                Spread(totals).map {
                    BenchResult("\(what): driver CPU a batch", workers: workers, .millis, $0, below: Self.budgetMillis)
                }
            ].compactMap { $0 }
    }
}
