// What a catalog remembers of a log between two writes, so that a batch costs no reading: the state and the parts that the next row
// names instead of repeating, and the frame that is stored once.
//
// Forgotten with the process and with another epoch: then the next row is written whole.

import Engine
import Synchronization

/// What a catalog remembers of the rows that it wrote for a job, under one epoch of its lease.
struct LogMemory: Sendable {
    var past: LogPast
    var frame: LogFrame?
    /// The frame's number in `sluice_frames`.
    var number: Int64 = 0
}

extension Catalog {
    /// Empty under another epoch than the last write's.
    func memory(_ jobID: JobID, epoch: Epoch) -> LogMemory {
        memories.withLock { memories in
            if let memory = memories[jobID], memory.past.epoch == epoch { return memory }
            return LogMemory(past: LogPast(epoch: epoch))
        }
    }

    /// Only what was committed may be remembered.
    func remember(_ memory: LogMemory, of jobID: JobID) { memories.withLock { $0[jobID] = memory } }

    /// Inside a transaction: the number of the plan's frame, which is written when it is another than the last.
    func frameNumber(_ plan: BatchPlan, _ memory: inout LogMemory, in database: any SQLDatabase) throws -> Int64 {
        let frame = LogFrame(plan)
        if memory.frame == frame { return memory.number }
        let text = try jsonText(frame)
        let known = try database.execute(
            "SELECT frame FROM sluice_frames WHERE job_id = $1 AND plan = $2", [.text(plan.jobID), .text(text)])
        if let row = known.first {
            var cells = CellReader(row, of: "sluice_frames")
            memory.number = try cells.int()
        } else {
            var last = CellReader(
                try database.execute(
                    "SELECT coalesce(max(frame), 0) FROM sluice_frames WHERE job_id = $1", [.text(plan.jobID)]
                ).first ?? [], of: "sluice_frames")
            memory.number = try last.int() + 1
            try database.execute(
                "INSERT INTO sluice_frames (job_id, frame, plan) VALUES ($1, $2, $3)",
                [.text(plan.jobID), .int(memory.number), .text(text)])
        }
        memory.frame = frame
        return memory.number
    }
}
