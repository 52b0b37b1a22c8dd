// In which manner the next small batches are done: by one worker as a whole, steadily, cut of what has arrived there.
//
// A job whose batches come one right after the other lets its worker's fetches gather, and cuts each batch of what the worker
// says has arrived. A record that comes alone must not wait for a fetch that gathers, and changing the manner of fetching
// costs a connection: so it takes some batches in a row. Survives nothing; a wrong guess costs milliseconds.

struct BatchPace: Sendable {
    /// The last plan is for one worker.
    private(set) var isGathered = false
    /// The last plan took what had arrived at a worker.
    private(set) var isCutOfArrived = false
    /// The last plan was made together with a DONE: records come all the time.
    private(set) var isSteady = false
    /// The worker that did the last batch as a whole, which follows the partitions.
    private(set) var worker: String?
    private var wasGathered = false
    /// The batch that ended was the first of a row that one worker does.
    private(set) var isNewlyGathered = false
    private var steadyInARow = 0
    private static let steadyForGathering = 8

    var isSteadyForGathering: Bool { steadyInARow >= Self.steadyForGathering }

    mutating func cut(isGathered: Bool, ofArrived: Bool) {
        self.isGathered = isGathered
        isCutOfArrived = ofArrived
    }

    /// Takes who did the batch, before the next one is cut.
    mutating func ran(by workers: Set<String>) {
        isNewlyGathered = isGathered && !wasGathered
        wasGathered = isGathered
        worker = isGathered && workers.count == 1 ? workers.first : nil
    }

    mutating func isPlannedTogether(_ together: Bool, isPaced: Bool) {
        isSteady = together
        steadyInARow = together && isPaced ? steadyInARow + 1 : 0
    }
}
