// What a job stops with where `on_error` is 'stop': the place in its text, or the record, and what was wrong there.

import Dataflow
import Decoding
import Engine
import SQLSyntax
import Values

extension SQLWork {
    /// - Parameter what: what failed, such as a row.
    func failure(_ stop: RowStop, what: String = "a row failed") -> Failure {
        var place = ""
        // An event time that is NULL has no place in the text.
        if stop.error.position > 0 {
            let error = SQLFault(what, at: Place(stop.error.position), why: "", hint: "").error(in: script)
            place = "\(error.source):\(error.line):\(error.column): "
        }
        return Failure(
            .rowRefused, what, why: "\(place)\(stop.error.fault.message) (\(stop.error.fault.sqlState)), and on_error is 'stop'",
            now: "mend the record or the query, or set on_error = 'quarantine'")
    }

    func failure(_ stop: DecodeStop) -> Failure {
        let column = stop.column.map { ", column \($0)" } ?? ""
        return Failure(
            .rowRefused, "the record at \(stop.topic) \(stop.partition) \(stop.rejected.offset) is no row",
            why: "\(stop.rejected.fault.message) (\(stop.rejected.fault.sqlState))\(column), and on_error is 'stop'", now: "mend the record, or set on_error = 'quarantine'")
    }
}
