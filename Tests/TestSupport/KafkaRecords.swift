// Writes small records for tests, and says what they contain.

import Engine

extension KafkaProducer {
    /// Sends one record of text.
    package func send(
        topic: String, partition: Int32 = 0, key: String? = nil, text: String, timestampMillis: Int64 = 0
    ) throws {
        try Array(text.utf8).withUnsafeBufferPointer { value in
            guard let key else {
                try send(topic: topic, partition: partition, value: value, timestampMillis: timestampMillis)
                return
            }
            try Array(key.utf8).withUnsafeBufferPointer {
                try send(topic: topic, partition: partition, key: $0, value: value, timestampMillis: timestampMillis)
            }
        }
    }

    /// Sends `count` records "FIRST", "FIRST + 1", ... and waits until they are stored.
    package func sendNumbers(_ count: Int, from first: Int = 0, topic: String, partition: Int32 = 0) throws {
        for number in first..<first + count { try send(topic: topic, partition: partition, text: String(number)) }
        try flush()
    }

    /// Sends `count` numbers in a transaction of their own and ends it.
    package func sendTransaction(
        _ count: Int, from first: Int = 0, topic: String, partition: Int32 = 0, commit: Bool
    ) throws {
        try beginTransaction()
        try sendNumbers(count, from: first, topic: topic, partition: partition)
        if commit { try commitTransaction() } else { try abortTransaction() }
    }
}
