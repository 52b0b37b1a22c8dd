// What a job writes beside its positions into Kafka's group: the batch and the epoch that they are of.
//
// Kafka's own tools erase it. So a committed position with a mark is ours, however old, and one without was moved by
// somebody (protocol 4). The text is read by people, too, and stays in groups for weeks: it may get longer, never another
// beginning.

import Engine

package struct OffsetMark: Sendable, Hashable {
    package var batch: BatchNumber
    package var epoch: Epoch

    package init(batch: BatchNumber, epoch: Epoch) {
        self.batch = batch
        self.epoch = epoch
    }

    package var text: String { "batch=\(batch) epoch=\(epoch)" }

    /// Nil of any other text, and of none.
    package init?(_ text: String?) {
        var values: [Substring: Int64] = [:]
        for word in (text ?? "").split(separator: " ") {
            let pair = word.split(separator: "=", maxSplits: 1)
            if pair.count == 2, let number = Int64(pair[1]) { values[pair[0]] = number }
        }
        guard let batch = values["batch"], let epoch = values["epoch"] else { return nil }
        self.init(batch: batch, epoch: epoch)
    }
}
