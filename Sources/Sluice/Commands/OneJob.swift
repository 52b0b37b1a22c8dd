// What every command does that looks at one job of a catalog: settings, an existing catalog, the job's row.
//
// Looking creates nothing. A catalog that is not there is an error and never an empty answer, because a mistyped address
// would then read as "no batches". Commands that change something open the catalog a second time, for writing, only
// after it was seen to be one.

import Driver
import Engine

enum OneJob {
    static let positional = Positional("NAME", help: "the job's name")

    static func look(
        _ parsed: ParsedArguments, _ terminal: Terminal,
        _ body: (Catalog, JobRecord, Settings) throws -> Int32
    ) throws -> Int32 {
        let settings = try parsed.settings()
        let catalog = try ExistingCatalog.open(settings)
        defer { catalog.close() }
        return try body(catalog, JobView.record(parsed.required(positional.name), catalog), settings)
    }
}

enum ExistingCatalog {
    static func open(_ settings: Settings, _ access: Catalog.Access = .readOnly) throws -> Catalog {
        let address = settings.text(.catalog)
        let seen = try Catalog.open(address: address, access: .readOnly)
        guard case .readWrite = access else { return seen }
        seen.close()
        return try Catalog.open(address: address)
    }
}
