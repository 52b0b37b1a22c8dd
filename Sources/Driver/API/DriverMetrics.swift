// The driver's `/metrics`: one page made from the statuses at the moment it is asked, Prometheus text 0.0.4.

import Engine
import Foundation

enum DriverMetrics {
    static func page(_ runs: JobRuns) -> String {
        var text = ""
        func family(_ name: String, _ type: String, _ help: String, _ samples: [(labels: String, value: String)]) {
            text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
            for sample in samples { text += "\(name)\(sample.labels) \(sample.value)\n" }
        }
        let jobs = runs.statuses
        func perJob(_ value: (JobStatus) -> String?) -> [(labels: String, value: String)] {
            jobs.compactMap { job in value(job.status).map { ("{job=\"\(escape(job.name))\"}", $0) } }
        }
        func seconds(_ millis: Double) -> String { "\(millis / 1000)" }
        family("sluice_workers", "gauge", "Workers that are there.", [("", "\(runs.pool.available.count)")])
        family("sluice_uptime_seconds", "gauge", "Seconds since this driver started.", [("", "\(runs.uptimeMillis / 1000)")])
        family("sluice_job_up", "gauge", "1 while the job's loop runs.", perJob { $0.state == .running ? "1" : "0" })
        family("sluice_job_waits", "gauge", "1 while the job waits for the outside.", perJob { $0.waitsFor == nil ? "0" : "1" })
        family("sluice_lag_offsets", "gauge", "Offsets in Kafka that are in no DONE batch yet.", perJob { "\($0.lagOffsets)" })
        family(
            "sluice_invisible_offsets", "gauge", "Offsets that open transactions hide from readers of committed records.",
            perJob { $0.health.map { "\($0.invisible)" } })
        family(
            "sluice_invisible_since_seconds", "gauge", "When the oldest of them was stamped, in seconds since 1970.",
            perJob { $0.health?.invisibleSinceMillis.map { seconds(Double($0)) } })
        family(
            "sluice_unread_deleted_from_seconds", "gauge", "From when on Kafka deletes records that are not read, in seconds since 1970.",
            perJob { $0.health?.deletedFromMillis.map { seconds(Double($0)) } })
        family(
            "sluice_retention_urgent", "gauge", "Partitions whose unread records are deleted or soon will be.",
            perJob { status in
                status.health.map { health in
                    "\(health.partitions.count { $0.retention.isUrgent(nowMillis: health.atMillis) })"
                }
            })
        family("sluice_batches_total", "counter", "Batches DONE by this driver.", perJob { "\($0.batchesDone)" })
        family("sluice_rows_in_total", "counter", "Records read by DONE batches.", perJob { "\($0.recordsDone)" })
        family("sluice_rejected_total", "counter", "Records that could not be decoded.", perJob { "\($0.rejectedDone)" })
        family("sluice_tombstones_total", "counter", "Records without a value, passed over.", perJob { "\($0.tombstonesDone)" })
        family("sluice_retries_total", "counter", "Attempts beyond the first.", perJob { "\($0.retries)" })
        func lastBatch(_ name: String, _ help: String, _ value: @escaping (BatchOutcome) -> String?) {
            family(name, "gauge", help, perJob { $0.lastBatch?.outcome.flatMap(value) })
        }
        lastBatch("sluice_last_batch_rows_in", "Records read by the last batch.") { "\($0.rowsIn)" }
        lastBatch("sluice_last_batch_rows_out", "Rows written by the last batch.") { "\($0.rowsOut)" }
        lastBatch("sluice_last_batch_late", "Late rows of the last batch.") { "\($0.late)" }
        lastBatch("sluice_last_batch_unmatched", "Rows of the last batch without a lookup match.") { "\($0.unmatched)" }
        lastBatch("sluice_last_batch_run_seconds", "Run time of the last batch.") { seconds($0.timings.runMillis) }
        lastBatch("sluice_last_batch_seal_seconds", "Seal time of the last batch.") { seconds($0.timings.sealMillis) }
        lastBatch("sluice_last_batch_commit_seconds", "Commit time of the last batch.") { $0.timings.commitMillis.map(seconds) }
        lastBatch("sluice_state_files", "State files that the last manifest names.") { outcome in
            outcome.state.map { "\($0.fileNames.count)" }
        }
        lastBatch("sluice_state_bytes", "Bytes of the state files that the last manifest names.") { outcome in
            outcome.state.map { state in "\(Set(state.entries.flatMap(\.files)).reduce(0) { $0 + $1.bytes })" }
        }
        return text
    }

    private static func escape(_ label: String) -> String {
        PlainText.of(label).replacingOccurrences(of: "\\", with: "\\\\").replacingOccurrences(of: "\"", with: "\\\"")
    }
}
