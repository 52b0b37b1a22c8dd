// What went wrong, why, and what to do now: the one error that crosses a process or reaches a person.
//
// `code` is what programs switch on; nobody greps a text. It answers the two questions of every handler: *whose* it is
// (`blame`) and *what now* (`remedy`). The three sentences are for people and are printed by the CLI as
// `sluice: WHAT`, `  why: WHY`, `  now: NOW`. They never contain a secret (see `Secret`) nor the content of a row.
//
// When adding a code: give it its blame and its remedy below; the switches are exhaustive on purpose.

/// An error for people and programs: what happened, why, and what to do now.
public struct Failure: Error, Hashable, Sendable, Codable, CustomStringConvertible {
    public enum Code: String, Sendable, Codable, CaseIterable {
        // Usage and set-up: a person must change something.
        case wrongUsage, unknownSetting, invalidSetting, fileMissing, fileInvalid, schemaMismatch, unknownJob, jobExists
        case portTaken, unauthorized, notAllowed, notPossible
        // The outside world: may pass by itself.
        case brokerUnreachable, topicMissing, kafkaTransient, kafkaFatal, databaseUnreachable, databaseBusy, databaseReadOnly
        case driverUnreachable, workerUnreachable, workerTrouble, diskFull, readTimeout, stateUnreachable
        // Guards of the protocol: the job must not go on as it is.
        case offsetsGone, topicRecreated, offsetsMoved, offsetsWithoutLog, sinkOwnedByOther, sinkMismatch, ledgerConflict
        case rowRefused, recordCrash, staleEpoch, leaseHeld, leaseLost, otherBuild, otherSettings, planSealedByOther, tooManyRejected, limitExceeded
        case clockBack, catalogLocked, catalogAway, catalogReadOnly, catalogNewer, catalogFailed, auditFailed, digestMismatch, stateMissing
        // Inside a batch.
        case blockLost, taskCancelled
        // A defect of ours.
        case `internal`
    }
    public enum Blame: String, Sendable, Codable { case user, external, `internal` }
    public enum Remedy: String, Sendable, Codable { case retryTask, rerunParentStage, failBatch, stopJob }

    public var code: Code
    public var what: String
    public var why: String
    public var now: String

    public init(_ code: Code, _ what: String, why: String, now: String) {
        self.code = code
        self.what = what
        self.why = why
        self.now = now
    }

    public var description: String { "\(what): \(why) (now: \(now))" }

    public var blame: Blame {
        switch code {
        case .wrongUsage, .unknownSetting, .invalidSetting, .fileMissing, .fileInvalid, .schemaMismatch, .unknownJob,
            .jobExists, .portTaken, .unauthorized, .notAllowed, .notPossible, .offsetsMoved, .offsetsWithoutLog,
            .sinkOwnedByOther, .sinkMismatch, .otherBuild, .otherSettings, .planSealedByOther, .tooManyRejected,
            .limitExceeded, .catalogReadOnly, .catalogNewer, .leaseHeld, .clockBack, .rowRefused, .recordCrash:
            .user
        case .brokerUnreachable, .topicMissing, .kafkaTransient, .kafkaFatal, .databaseUnreachable, .databaseBusy,
            .databaseReadOnly, .driverUnreachable, .workerUnreachable, .workerTrouble, .diskFull, .readTimeout, .stateUnreachable, .offsetsGone,
            .topicRecreated, .staleEpoch, .leaseLost, .catalogLocked, .catalogAway, .catalogFailed, .blockLost, .taskCancelled,
            .stateMissing:
            .external
        case .ledgerConflict, .auditFailed, .digestMismatch, .internal:
            .internal
        }
    }

    /// The outside is away, full, or takes nothing now: what was computed is kept, and the same is asked again later.
    public var isOutage: Bool {
        switch code {
        case .brokerUnreachable, .kafkaTransient, .databaseUnreachable, .databaseBusy, .databaseReadOnly, .diskFull,
            .stateUnreachable, .readTimeout:
            true
        default: false
        }
    }

    public var remedy: Remedy {
        switch code {
        case .kafkaTransient, .readTimeout, .workerUnreachable, .workerTrouble, .databaseBusy, .taskCancelled, .brokerUnreachable,
            .databaseUnreachable, .databaseReadOnly, .diskFull, .stateUnreachable:
            .retryTask
        case .blockLost:
            .rerunParentStage
        case .catalogLocked, .catalogAway, .driverUnreachable:
            .failBatch
        case .wrongUsage, .unknownSetting, .invalidSetting, .fileMissing, .fileInvalid, .schemaMismatch, .unknownJob,
            .jobExists, .portTaken, .unauthorized, .notAllowed, .notPossible, .topicMissing, .kafkaFatal, .rowRefused, .recordCrash,
            .offsetsGone, .topicRecreated, .offsetsMoved, .offsetsWithoutLog, .sinkOwnedByOther, .sinkMismatch,
            .ledgerConflict, .staleEpoch, .leaseHeld, .leaseLost, .otherBuild, .otherSettings, .planSealedByOther,
            .tooManyRejected, .limitExceeded, .clockBack, .catalogReadOnly, .catalogNewer, .catalogFailed, .auditFailed,
            .digestMismatch, .stateMissing, .internal:
            .stopJob
        }
    }
}

/// Any error as the `Failure` that travels; one that is not a `Failure` is a defect of ours.
package func failure(_ error: any Error) -> Failure {
    if let failure = error as? Failure { return failure }
    return Failure(
        .internal, "an unexpected error", why: "\(error)", now: "report this with the log of driver and workers")
}
