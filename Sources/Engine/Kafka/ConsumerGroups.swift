// Lists the consumer groups of a cluster by the beginning of their names.
//
// Groups without members are listed too as long as they hold a position; those are the ones that we look for. Every
// broker is asked; one that does not answer is an error, because a group that it knows would be overlooked. One whose coordinator is only
// not ready (it has just taken over a partition of group positions) is asked again until the time limit is over.

import CRdKafka
import Foundation

extension OffsetQueries {
    /// The names of all groups that begin with `prefix`, sorted.
    package func groups(prefix: String) throws -> [String] {
        let deadline = ContinuousClock.now + .milliseconds(Int(timeoutMillis))
        while true {
            do { return try groupsNow(prefix: prefix) } catch let failure as Failure where failure.code == .kafkaTransient && ContinuousClock.now < deadline {
                usleep(100_000)
            }
        }
    }

    private func groupsNow(prefix: String) throws -> [String] {
        let doing = "list its consumer groups"
        return try client.administer(doing, timeoutMillis: timeoutMillis) { options, queue in
            rd_kafka_ListConsumerGroups(client.handle, options, queue)
        } _: { event in
            let result = rd_kafka_event_ListConsumerGroups_result(event)
            var count = 0
            let errors = rd_kafka_ListConsumerGroups_result_errors(result, &count)
            if count > 0, let error = errors?[0] { throw client.failure(rd_kafka_error_code(error), doing: doing) }
            let found = rd_kafka_ListConsumerGroups_result_valid(result, &count)
            return (0..<count).compactMap { index in
                guard let name = rd_kafka_ConsumerGroupListing_group_id(found?[index]) else { return nil }
                let text = String(cString: name)
                return text.hasPrefix(prefix) ? text : nil
            }.sorted()
        }
    }
}
