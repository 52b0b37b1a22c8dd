// Rung when records come into a queue of the Kafka client that was empty, so that nobody has to look again and again.
//
// The client rings from a thread of its own, under the queue's lock: ringing is one exchange and at most one signal. A
// ring stays until somebody has waited for it; several become one. What has come is seen by looking into the queues, and
// looking comes first: a queue that was not emptied does not ring again.

import CRdKafka
import Synchronization

package final class ArrivalBell: Sendable {
    private let isRung = Atomic(false)
    private let signal = SteadySignal()

    package init() {}

    package func ring() {
        if !isRung.exchange(true, ordering: .acquiringAndReleasing) { signal.give() }
    }

    /// Returns when it rings or has rung since the last wait; false when it did not within `millis`.
    package func wait(millis: Int) -> Bool {
        guard signal.take(withinMillis: millis) else { return false }
        isRung.store(false, ordering: .releasing)
        return true
    }

    /// Lets this queue ring it. The caller keeps the bell until `silence` has returned.
    func listen(to queue: OpaquePointer) {
        rd_kafka_queue_cb_event_enable(
            queue, { _, bell in Unmanaged<ArrivalBell>.fromOpaque(bell!).takeUnretainedValue().ring() },
            Unmanaged.passUnretained(self).toOpaque())
    }

    static func silence(_ queue: OpaquePointer) { rd_kafka_queue_cb_event_enable(queue, nil, nil) }
}
