// What a text may say, the binder takes, and no operator keeps yet: refused by name, so that nothing is left out in silence.
//
// Options that say nothing about which rows an output has (visibility, budgets, waiting for partitions) are not here.

import SQLBinding
import SQLSyntax

enum NotYet {
    static func check(_ job: BoundJob) throws(SQLFault) {
        for table in job.tables {
            if table.options[.deleteKeep] != nil { throw fault("delete_keep", "a deleted key is forgotten at once", at: table.place) }
            if table.options[.version] != nil { throw fault("version", "which row of a key is the last is told by its place in the topic", at: table.place) }
            if table.options[.changes] == "true" { throw fault("changes = 'true'", "a row sees a lookup table as it is when the row comes", at: table.place) }
        }
        for output in job.outputs {
            if output.options[.early] != nil { throw fault("early", "final rows leave once", at: output.place) }
            if output.options[.late] != nil { throw fault("late", "late rows are counted, and have no table", at: output.place) }
            if output.options[.ttl] != nil { throw fault("ttl", "state goes by the watermark alone", at: output.place) }
        }
    }

    private static func fault(_ option: String, _ why: String, at place: Place) -> SQLFault {
        SQLFault("\(option) is not there yet", at: place, why: why, hint: "leave it out")
    }

    /// A watermark that the binder proved and no operator hands on.
    static func finalRows(at place: Place) -> SQLFault {
        SQLFault(
            "emit = 'final' is not there yet for this query", at: place, why: "the watermark of its columns is lost behind a join that only times bound",
            hint: "join rows of equal windows, or leave emit out")
    }
}
