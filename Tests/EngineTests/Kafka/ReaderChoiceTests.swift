// Which reader a job gets, by its settings alone.

import Engine
import Testing

struct ReaderChoiceTests {
    @Test(
        arguments: [
            ([:], nil),
            (["client.id": "x", "fetch.min.bytes": "1", "check.crcs": "false"], nil),
            (["linger.ms": "5", "compression.codec": "zstd", "queue.buffering.max.kbytes": "1"], nil),
            (["security.protocol": "PLAINTEXT"], nil),
            (["socket.blocking.max.ms": "1"], "kafka.socket.blocking.max.ms is for librdkafka"),
            (["a.later.setting": "1", "client.id": "x"], "kafka.a.later.setting is for librdkafka"),
            (["security.protocol": "sasl_gssapi"], "kafka.security.protocol is sasl_gssapi"),
        ] as [([String: String], String?)])
    func `auto takes fetch unless a property is for librdkafka, and names it`(properties: [String: String], reason: String?) throws {
        let choice = try ReaderChoice.of(.auto, properties: properties)
        #expect(choice.kind == (reason == nil ? .fetch : .librdkafka))
        #expect(choice.reason == reason)
        #expect(try ReaderChoice.of(.librdkafka, properties: properties) == ReaderChoice(kind: .librdkafka))
        if let reason {
            let failure = #expect(throws: Failure.self) { try ReaderChoice.of(.fetch, properties: properties) }
            #expect(failure?.code == .invalidSetting && failure?.why == reason)
        } else {
            #expect(try ReaderChoice.of(.fetch, properties: properties).kind == .fetch)
        }
    }
}
