// What a text may say of when rows are seen and of what is spent on them, that the binder takes and no job heeds yet: refused by name, so
// that nothing is left out in silence.
//
// Options that decide which rows there are, and that no operator keeps, are refused by the planner (`NotYet`).

import SQLBinding
import SQLSyntax

enum WithoutEffect {
    private static let options: [(name: OptionName, why: String, hint: String)] = [
        (.idle, "a partition without records holds the watermark", "leave it out"),
        (.partitionWait, "it holds for the whole job", "SET partition_wait before the tables"),
        (.refresh, "it holds for all lookup tables of the job", "SET lookup_refresh before the tables"),
        (.maxState, "state grows as far as memory goes", "leave it out"),
        (.visible, "each part's rows are seen when they are written", "leave it out"),
    ]

    /// - Parameter sources: the tables that the job reads.
    static func check(_ job: BoundJob, reading sources: [TableDefinition], settings: [(key: String, place: Place)]) throws(SQLFault) {
        for option in options {
            func fault(_ place: Place) -> SQLFault { SQLFault("\(option.name.rawValue) is not there yet", at: place, why: option.why, hint: option.hint) }
            if let table = sources.first(where: { $0.options[option.name] != nil }) { throw fault(table.place) }
            if let output = job.outputs.first(where: { $0.options[option.name] != nil }) { throw fault(output.place) }
            let isSet = BoundJob.settingNames.contains(option.name.rawValue)
            if isSet, let setting = settings.first(where: { $0.key == option.name.rawValue }) { throw fault(setting.place) }
        }
    }
}
