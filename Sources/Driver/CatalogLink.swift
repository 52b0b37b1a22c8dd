// What workers ask the driver for, answered straight from the catalog: for workers inside the driver's own process, and
// for replays, which need no driver at all.

import Engine
import Wire

package struct CatalogLink: DriverLink {
    private let catalog: Catalog
    package init(catalog: Catalog) { self.catalog = catalog }

    package func lookup(digest: String) throws -> [UInt8] {
        guard let bytes = try catalog.lookup(digest) else {
            throw Failure(
                .stateMissing, "the catalog has no lookup with digest \(digest)", why: "it was never stored there",
                now: "check that this is the catalog in which the batch was planned")
        }
        return bytes
    }

    package func inlineState(jobID: JobID, name: String) throws -> [UInt8] {
        guard let bytes = try catalog.inlineState(jobID, name: name) else {
            throw Failure(
                .stateMissing, "the catalog no longer holds state \(name)",
                why: "it is older than `state_keep` or `state_keep_time` keep",
                now: "replay a newer batch, or raise state_keep for the future")
        }
        return bytes
    }
}
