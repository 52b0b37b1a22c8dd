// Asks for a topic's id, which tells a recreated topic from the one we knew.
//
// The calls exist from librdkafka 2.3 on, and the headers we build against may be older (`LibrarySymbol`): where one is
// missing the answer is nil. The tail fingerprint guards with any client; the id only adds to it.

import CRdKafka

enum TopicIdentity {
    private typealias MakeTopics = @convention(c) (UnsafeMutablePointer<UnsafePointer<CChar>?>?, Int) -> OpaquePointer?
    private typealias DestroyTopics = @convention(c) (OpaquePointer?) -> Void
    private typealias Describe = @convention(c) (OpaquePointer?, OpaquePointer?, OpaquePointer?, OpaquePointer?) -> Void
    private typealias Result = @convention(c) (OpaquePointer?) -> OpaquePointer?
    private typealias Topics =
        @convention(c) (OpaquePointer?, UnsafeMutablePointer<Int>?) -> UnsafeMutablePointer<OpaquePointer?>?
    private typealias Text = @convention(c) (OpaquePointer?) -> UnsafePointer<CChar>?

    static func ask(_ client: KafkaClient, topic: String, timeoutMillis: Int32) throws -> String? {
        guard let makeTopics = LibrarySymbol.find("rd_kafka_TopicCollection_of_topic_names", MakeTopics.self),
            let destroyTopics = LibrarySymbol.find("rd_kafka_TopicCollection_destroy", DestroyTopics.self),
            let describe = LibrarySymbol.find("rd_kafka_DescribeTopics", Describe.self),
            let resultOf = LibrarySymbol.find("rd_kafka_event_DescribeTopics_result", Result.self),
            let topicsOf = LibrarySymbol.find("rd_kafka_DescribeTopics_result_topics", Topics.self),
            let errorOf = LibrarySymbol.find("rd_kafka_TopicDescription_error", Result.self),
            let idOf = LibrarySymbol.find("rd_kafka_TopicDescription_topic_id", Result.self),
            let textOf = LibrarySymbol.find("rd_kafka_Uuid_base64str", Text.self)
        else { return nil }
        let doing = "describe topic \(topic)"
        return try client.administer(doing, timeoutMillis: timeoutMillis) { options, queue in
            topic.withCString { name in
                var names: [UnsafePointer<CChar>?] = [name]
                let collection = makeTopics(&names, 1)
                describe(client.handle, collection, options, queue)
                destroyTopics(collection)
            }
        } _: { event in
            var count = 0
            guard let result = resultOf(event), let topics = topicsOf(result, &count), count == 1 else { return nil }
            if let error = errorOf(topics[0]) {
                let code = rd_kafka_error_code(error)
                if KafkaTrouble(code: code.rawValue) == .unknownTopic {
                    _ = try client.partitions(of: topic, timeoutMillis: timeoutMillis)
                }
                guard code == RD_KAFKA_RESP_ERR_NO_ERROR else { throw client.failure(code, doing: doing) }
            }
            guard let id = idOf(topics[0]), let base64 = textOf(id) else { return nil }
            let answer = String(cString: base64)
            // All zero bits: a broker that knows no ids.
            return answer.allSatisfy { $0 == "A" || $0 == "=" } ? nil : answer
        }
    }
}
