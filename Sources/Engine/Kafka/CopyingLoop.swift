// A plain program that reads a topic and writes a part of it to another one, in transactions: the bench's baseline for a
// job with a Kafka sink.
//
// One consumer as in `ReadingLoop`, one transactional producer, one thread. Every n-th record's first bytes go to the same
// partition of the output topic; after enough records of the input the transaction is committed and the next one begun.
// Nothing is decoded, no position is kept, nothing is written twice only because nothing fails: it is the yardstick, never
// a part of a job. The producer takes its id before the clock starts; its first commit, which is the dear one, is timed.

import CRdKafka

package struct CopyingLoop {
    package var topic: String
    package var transactionalID: String
    /// One record of so many is written.
    package var every: Int
    /// At most so many bytes of it.
    package var valueBytes: Int
    /// Records of the input that make a transaction.
    package var transactionRecords: Int

    package init(topic: String, transactionalID: String, every: Int, valueBytes: Int, transactionRecords: Int) {
        self.topic = topic
        self.transactionalID = transactionalID
        self.every = every
        self.valueBytes = valueBytes
        self.transactionRecords = transactionRecords
    }

    package func run(_ configuration: KafkaConfiguration, _ ranges: [OffsetRange]) throws -> ReadingLoop.Result {
        // What is there goes out when a request is full or with the commit, as in the sink.
        let producer = try KafkaProducer(configuration, lingerMillis: 30_000, transactionalID: transactionalID)
        try producer.initTransactions()
        try producer.beginTransaction()
        var (seen, inTransaction) = (0, 0)
        var result = try ReadingLoop.run(configuration, ranges) { messages in
            for message in messages {
                seen += 1
                guard seen % every == 0, let message else { continue }
                let bytes = UnsafeBufferPointer(
                    start: message.pointee.payload?.assumingMemoryBound(to: UInt8.self),
                    count: min(message.pointee.len, valueBytes))
                try producer.send(topic: topic, partition: message.pointee.partition, value: bytes)
            }
            inTransaction += messages.count
            if inTransaction >= transactionRecords {
                try producer.commitTransaction()
                try producer.beginTransaction()
                inTransaction = 0
            }
        }
        try producer.commitTransaction()
        result.endedNanos = ProcessClocks.steadyNanos()
        result.cpuNanos = ProcessClocks.usedNanos()
        return result
    }
}
