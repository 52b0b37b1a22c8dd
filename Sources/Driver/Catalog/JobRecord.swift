// A job as the registry knows it. `state` is what its driver last said of it, `desired` what a person last asked for;
// a driver moves the first towards the second. Settings never hold a secret: they are shown and compared.
//
// The raw names of the enumerations stand in catalogs of running jobs: add cases, never rename.

import Engine

package enum JobKind: String, Sendable, Codable { case live, backfill }
package enum JobState: String, Sendable, Codable, CaseIterable {
    case starting, running, paused, stopped, failed, finished
}
package enum DesiredState: String, Sendable, Codable, CaseIterable { case run, pause, stop, kill }

package struct JobRecord: Sendable, Codable, Equatable {
    package var jobID: JobID
    package var name: String
    /// Which job this is an instance of, e.g. `campaign-views`.
    package var definition: String
    package var settings: [String: String]
    package var kind: JobKind
    /// The live job that a backfill runs beside.
    package var parentJobID: JobID?
    package var state: JobState
    package var desired: DesiredState
    /// Why it is failed or stopped.
    package var reason: Failure?
    package var buildDigest: String
    package var settingsDigest: String
    /// By the database's clock; set by the catalog.
    package var createdAtMillis: Int64
    package var updatedAtMillis: Int64

    package init(
        jobID: JobID, name: String, definition: String, settings: [String: String], kind: JobKind = .live,
        parentJobID: JobID? = nil, state: JobState = .starting, desired: DesiredState = .run, reason: Failure? = nil,
        buildDigest: String, settingsDigest: String, createdAtMillis: Int64 = 0, updatedAtMillis: Int64 = 0
    ) {
        self.jobID = jobID
        self.name = name
        self.definition = definition
        self.settings = settings
        self.kind = kind
        self.parentJobID = parentJobID
        self.state = state
        self.desired = desired
        self.reason = reason
        self.buildDigest = buildDigest
        self.settingsDigest = settingsDigest
        self.createdAtMillis = createdAtMillis
        self.updatedAtMillis = updatedAtMillis
    }
}

/// What a job may be called. Its name becomes part of a Kafka group, of transactional ids, of table rows and of commands.
package enum JobName {
    package static let longest = 128

    /// Catalogs of earlier builds hold other names, too: they are listed and run, only not made any more.
    package static func isAllowed(_ name: String) -> Bool {
        !name.isEmpty && name.utf8.count <= longest
            && name.utf8.allSatisfy { byte in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || [".", "_", "-"].contains(UnicodeScalar(byte))
            }
    }

    package static func require(_ name: String) throws {
        guard !isAllowed(name) else { return }
        throw Failure(
            .invalidSetting, name.isEmpty ? "a job has no name" : "a job cannot be called `\(name.prefix(longest))`",
            why: "names of jobs have letters, digits, dots, dashes and underscores, and at most \(longest) of them",
            now: "choose another --name")
    }
}
