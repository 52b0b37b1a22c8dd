// A question to a broker that blocks, asked on a thread of its own, and its answer where the asker looks for it.
//
// A reader must not stand still because one broker does not answer while others have records for it. So whatever blocks (opening a
// connection, Metadata, look-ups) is an inquiry; the reader looks whether it is answered. Nobody has to wait for one: an
// inquiry that nobody holds any more ends by its own deadlines.

import Synchronization

package final class Inquiry<Answer: Sendable>: Sendable {
    private let result = Mutex<Result<Answer, any Error>?>(nil)
    private let done = SteadySignal()

    /// - Parameter finished: called on the inquiry's thread when the answer is there.
    package init(_ finished: (@Sendable () -> Void)? = nil, _ body: @escaping @Sendable () throws -> Answer) {
        InquiryThreads.shared.run { [self] in
            let answer = Result { try body() }
            result.withLock { $0 = answer }
            done.give()
            finished?()
        }
    }

    /// Nil while it is under way.
    package var answer: Result<Answer, any Error>? { result.withLock { $0 } }

    /// Returns when it is answered, or after so many milliseconds.
    package func wait(millis: Int) {
        _ = done.isGiven(withinMillis: millis)
    }
}

private enum InquiryThreads {
    static let shared = CallerThreads("kafka inquiry", most: 64, restMillis: 2_000)
}
